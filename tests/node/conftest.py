"""What the tests on a real node share: one node a session, and a namespace a test. They run in a world, elsewhere they are
skipped: ./dev test --only node, or `./dev node --bare /usr/bin/python3 -m pytest tests/node` with images and programs that
./dev images and ./dev build have made."""

import itertools
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kube"))

for module in ("nodekit", "node", "containers", "client", "controlplane", "manifests", "processes"):
    pytest.register_assert_rewrite(module)

import place  # noqa: E402
from node import Node  # noqa: E402
from nodekit import Installation, Space, images  # noqa: E402
from world import TOP  # noqa: E402

COUNTER = itertools.count(1)


@pytest.fixture(scope="session")
def node():
    if not place.ADDRESS:
        pytest.skip("a node needs a world of its own: ./dev test --only node makes one")
    with Node() as made:
        for image in ("agent", "operator"):
            made.import_image(images() / f"mubench-dpu-{image}.oci.tar")
        yield made
        # For who wants to know what happened.
        logs = TOP / "build" / "log" / "node"
        logs.mkdir(parents=True, exist_ok=True)
        for path in made.folder.glob("*.log"):
            shutil.copy(path, logs)


@pytest.fixture(scope="session")
def installation(node):
    return Installation(node)


@pytest.fixture
def operator(installation):
    """Installed by kubectl, unless a test asks for the other way."""
    return installation.ensure("kubectl")


@pytest.fixture
def space(node, operator):
    del operator
    made = Space(node, f"test-{next(COUNTER)}")
    yield made
    node.delete_namespace(made.name)
