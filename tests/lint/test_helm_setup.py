"""tools/dev/helm.sh: where Helm and the CRDs of the Prometheus Operator come from, and what is said when they are
nowhere."""

import re
import subprocess

import pytest

from test_kube_setup import TOP, Machine


class Box(Machine):
    """Without go and helm; run() runs helm.sh."""

    def run(self, *arguments, assets=False):
        del assets
        environment = {
            "PATH": str(self.folder / "tools"),
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        command = [self.folder / "tools" / "bash", TOP / "tools" / "dev" / "helm.sh", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def helm(self, where, version):
        return self.program(where, "helm", version, "v{}+gabc")


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def required(folder, module):
    return re.search(rf"^require {module} v(.*)$", (TOP / "tools" / folder / "go.mod").read_text(), re.M)[1]


def test_what_is_there_is_found(box):
    assert box.find() == ({}, 1)
    built = box.helm(f"cache/dpumesh/helm/v{required('helm', 'helm.sh/helm/v3')}", "3.19.0")
    assert box.find() == ({"helm": built}, 1)
    operator = "prometheus-operator"
    crds = box.folder / "cache/dpumesh" / operator / f"v{required('prometheus', f'github.com/{operator}/{operator}')}"
    crds.mkdir(parents=True)
    assert box.find() == ({"helm": built, operator: str(crds)}, 0)
    for other in ("3.9.4", "4.0.0", "2.17.0"):
        box.helm("tools", other)
        assert box.find()[0]["helm"] == built
    mine = box.helm("tools", "3.14.2")
    assert box.find()[0]["helm"] == mine
    assert box.run().stdout.splitlines() == [f"setup: {mine}", f"setup: {crds}"]


def test_without_go_it_is_said_what_is_needed(box):
    done = box.run()
    assert done.returncode == 3 and done.stdout == ""
    assert "there is no go in PATH" in done.stderr and re.search(r"Install Go \d+\.\d+ or later", done.stderr)
    assert "Only some tests of deploy/ need them" in done.stderr


def test_kubernetes_is_not_touched_by_helm():
    """Each has a module of its own, so that one's versions do not change the other's."""
    assert "helm.sh" not in (TOP / "tools/kube/go.mod").read_text()
