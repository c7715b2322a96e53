"""The tests of deploy/: what they share with tests/kube is imported from there."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kube"))

for module in ("operatorkit", "plugin", "processes", "manifests"):
    pytest.register_assert_rewrite(module)

import manifests  # noqa: E402
from controlplane import ControlPlane, NoKubernetes, find_programs  # noqa: E402


@pytest.fixture(scope="session")
def kube_programs():
    """Where Kubernetes' programs are, kubectl among them."""
    try:
        return find_programs()
    except NoKubernetes as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tools():
    """{name: path} of Helm and the CRDs of the Prometheus Operator, as far as they are there."""
    return manifests.find_tools()


@pytest.fixture(scope="session")
def renderer(kube_programs, tools):
    """What renders deploy/ in both ways; without Helm nothing that asks for it can run."""
    return manifests.Renderer(kube_programs["kubectl"], tools.get("helm"))


@pytest.fixture(scope="session")
def helm(renderer):
    if renderer.helm_program is None:
        pytest.skip("helm is not here; ./dev setup --kube finds or builds it, which needs Go")
    return renderer


@pytest.fixture
def cluster(kube_programs):
    """A control plane of the test's own: an installation is of the whole cluster."""
    with ControlPlane(programs=kube_programs) as plane:
        yield plane
