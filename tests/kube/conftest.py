"""What the tests against a real API server share: one control plane a session, a namespace a test."""

import itertools

import pytest

for module in (
    "audit", "client", "controlplane", "fakenode", "faultproxy", "operatorkit", "plugin", "pods", "processes", "tlskit",
):  # fmt: skip
    pytest.register_assert_rewrite(module)

import operatorkit  # noqa: E402
from controlplane import ControlPlane, NoKubernetes, find_programs  # noqa: E402
from faultproxy import FaultProxy  # noqa: E402

COUNTER = itertools.count(1)


@pytest.fixture(scope="session")
def kube_programs():
    """Where Kubernetes' programs are. Without them nothing here can run."""
    try:
        return find_programs()
    except NoKubernetes as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cluster(kube_programs):
    """The control plane that all tests of a session use; a test leaves it as it found it."""
    # Stricter than the default: who names an owner must be allowed to hold it back.
    strict = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]
    with ControlPlane(programs=kube_programs, apiserver_flags=strict) as plane:
        yield plane


@pytest.fixture
def namespace(cluster):
    """A fresh namespace; it is deleted afterwards, and emptied when the controllers come to it."""
    name = cluster.create_namespace(f"test-{next(COUNTER)}")
    yield name
    cluster.delete_namespace(name)


@pytest.fixture
def proxy(cluster):
    """A proxy before the API server that does no harm until it is told to."""
    with FaultProxy(cluster) as made:
        yield made


@pytest.fixture(scope="session")
def installed(cluster):
    """The cluster with the CRD and what the operator may do."""
    operatorkit.install(cluster)
    return cluster


@pytest.fixture
def system(installed, namespace, tmp_path):
    """The namespace with the operators that a test starts; each must end well."""
    made = operatorkit.System(installed, namespace, tmp_path)
    yield made
    made.stop()
