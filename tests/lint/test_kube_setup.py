"""tools/dev/kube.sh: where Kubernetes' programs come from, and what is said when they are nowhere."""

import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
SAYS = {
    "etcd": "etcd Version: {}.9",
    "kube-apiserver": "Kubernetes v{}.9",
    "kube-controller-manager": "Kubernetes v{}.9",
    "kubectl": "Client Version: v{}.9",
}
NAMES = list(SAYS)


class Machine:
    """A machine with a PATH, a cache and a KUBEBUILDER_ASSETS of its own."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("tools", "assets", "cache"):
            (folder / name).mkdir()
        self.set_up_path()

    def set_up_path(self):
        """What the script itself needs, and neither go nor anything of Kubernetes."""
        for name in ("bash", "basename", "cat", "dirname", "mkdir", "sed", "tail", "timeout"):
            found = next(p for p in ("/usr/bin", "/bin") if os.path.exists(f"{p}/{name}"))
            (self.folder / "tools" / name).symlink_to(f"{found}/{name}")

    def program(self, where, name, version, text=None):
        path = self.folder / where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\necho '{(text or SAYS[name]).format(version)}'\n")
        path.chmod(0o755)
        return str(path)

    def run(self, *arguments, assets=False):
        environment = {
            "PATH": str(self.folder / "tools"),
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        if assets:
            environment["KUBEBUILDER_ASSETS"] = str(self.folder / "assets")
        command = [self.folder / "tools" / "bash", TOP / "tools" / "dev" / "kube.sh", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def find(self, **options):
        """({name: path}, exit status)."""
        done = self.run("--find", **options)
        return dict(line.split(" ", 1) for line in done.stdout.splitlines()), done.returncode


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def versions():
    """(minor release of Kubernetes, version of Kubernetes, version of etcd) as go.mod has them."""
    kubernetes = re.search(r"^require k8s.io/kubernetes v(.*)$", (TOP / "tools/kube/go.mod").read_text(), re.M)[1]
    etcd = re.search(r"^require go.etcd.io/etcd/server/v3 v(.*)$", (TOP / "tools/kube/etcd/go.mod").read_text(), re.M)
    return kubernetes.rpartition(".")[0], kubernetes, etcd[1]


def test_go_mod_fixes_one_version_of_all_of_kubernetes():
    text = (TOP / "tools/kube/go.mod").read_text()
    minor, version, _ = versions()
    staging = re.findall(r"^\t(k8s.io/\S+) => (\S+) v(\S+)$", text, re.M)
    assert len(staging) > 20
    for name, replacement, replaced in staging:
        assert name == replacement
        assert "1." + replaced.partition(".")[2] == version, name
    assert minor.startswith("1.")


def test_programs_are_found_where_people_have_them(machine):
    minor = versions()[0]
    in_path = {n: machine.program("tools", n, "3.6" if n == "etcd" else minor) for n in NAMES}
    assert machine.find() == (in_path, 0)
    # envtest's directory has no controller manager.
    asset = {n: machine.program("assets", n, "3.5" if n == "etcd" else minor) for n in NAMES if "manager" not in n}
    assert machine.find(assets=True) == ({**in_path, **asset}, 0)
    assert machine.run("--check", assets=True).returncode == 0


def test_programs_of_another_release_are_not_taken(machine):
    minor, version, etcd = versions()
    for name in NAMES:
        machine.program("tools", name, "3.4" if name == "etcd" else "1.33")
    assert machine.find() == ({}, 1)
    machine.program("tools", "kubectl", "", "Client Version: v1.32.4-dispatcher")
    built = {n: machine.program(f"cache/dpumesh/kube/v{version}", n, minor) for n in NAMES if n != "etcd"}
    assert machine.find() == (built, 1)
    built["etcd"] = machine.program(f"cache/dpumesh/etcd/v{etcd}", "etcd", "3.6")
    assert machine.find() == (built, 0)
    assert machine.run().stdout.splitlines() == [f"setup: {built[name]}" for name in NAMES]


def test_the_programs_of_a_node_are_asked_for(machine):
    """And who does not ask for them does not miss them."""
    minor = versions()[0]
    for name in NAMES:
        machine.program("tools", name, "3.6" if name == "etcd" else minor)
    assert machine.find()[1] == 0
    assert machine.run("--find", "--node").returncode == 1
    made = [machine.program("tools", n, minor, "Kubernetes v{}.9") for n in ("kube-scheduler", "kube-proxy", "kubelet")]
    made.append(machine.program("tools", "metrics-server", "0.8", "v{}.0"))
    old = machine.program("tools", "coredns", "0.9", "CoreDNS-{}.5")
    assert machine.run("--find", "--node").returncode == 1
    done = machine.run("--node")
    assert done.returncode == 3 and "coredns of Kubernetes" in done.stderr and "node tier" in done.stderr
    assert machine.program("tools", "coredns", "1.14", "CoreDNS-{}.3") == old
    done = machine.run("--find", "--node")
    assert done.returncode == 0 and set(made) | {old} < {line.split()[1] for line in done.stdout.splitlines()}


def test_without_go_it_is_said_what_is_needed(machine):
    machine.program("tools", "kubectl", versions()[0])
    for arguments in ([], ["--check"]):
        done = machine.run(*arguments)
        assert done.returncode == 3 and done.stdout == ""
        assert "etcd kube-apiserver kube-controller-manager of Kubernetes" in done.stderr
        assert "there is no go in PATH" in done.stderr
        assert re.search(r"Install Go \d+\.\d+ or later", done.stderr)


def test_an_old_go_is_not_enough(machine):
    path = machine.folder / "tools" / "go"
    path.write_text(
        "#!/usr/bin/env bash\n"
        '[ "$1" != version ] || { echo go version go1.19.8 linux/amd64; exit; }\n'
        "echo 'go: errors parsing go.mod: unknown directive: godebug' >&2\nexit 1\n"
    )
    path.chmod(0o755)
    done = machine.run()
    assert done.returncode == 3
    assert "go version go1.19.8 linux/amd64 can't: go: errors parsing go.mod" in done.stderr


def test_its_page_tells_where_it_looks(machine):
    done = machine.run("--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: ./dev setup --kube")
    for word in ("KUBEBUILDER_ASSETS", "PATH", "/cache/dpumesh", "status is 3"):
        assert word in done.stdout
    assert machine.run("--fly").returncode == 2
