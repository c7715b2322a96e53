"""One mistake a file: the API server refuses it with a sentence that tells what is right, and local
mode refuses it with the same meaning. The first two lines of a file in bad/ say what each says."""

import pathlib

import pytest

import specs

BAD = sorted((pathlib.Path(__file__).parent / "bad").glob("*.yaml"))


@pytest.fixture(scope="module")
def crd(cluster):
    specs.install_crd(cluster)


def test_enough():
    assert len(BAD) >= 70


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_refused(cluster, crd, path):
    first, second = path.read_text().splitlines()[:2]
    server, local = first.removeprefix("# server: "), second.removeprefix("# local: ")
    assert (first, second) == (f"# server: {server}", f"# local: {local}")
    assert server in cluster.kubectl_refused("apply", "--dry-run=server", "-f", path)
    done = specs.validate(path)
    assert done.returncode != 0
    problems = done.stderr.splitlines()
    assert len(problems) == 1 and problems[0].endswith(f": {local}"), done.stderr
