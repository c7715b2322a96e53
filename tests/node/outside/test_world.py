"""The world of a node (world.py), seen from outside: what it leaves on this machine is nothing, whatever ends it."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "kube")]

import world  # noqa: E402
from processes import eventually  # noqa: E402

CLUSTER = ("kubelet", "kube-proxy", "containerd", "etcd", "kube-apiserver", "kube-scheduler", "coredns")
SHOW = "echo ready $DPUMESH_NODE_FOLDER; exec sleep 1000"


def start(*arguments):
    """A world with a command, in its own process group, once it has said where its folder is."""
    command = ["/usr/bin/python3", HERE / "world.py", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    folder = process.stdout.readline().split()[1]
    return process, folder.rpartition(".")[2]


def left(number):
    """All that a world of this number may have left on this machine."""
    found = list(pathlib.Path(tempfile.gettempdir()).glob(f"{world.PREFIX}.{number}"))
    found += world.CGROUPS.glob(f"**/{world.PREFIX}-{number}")
    found += pathlib.Path("/sys/class/net").glob(f"dpumesh-{number}")
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    return found + [line for line in mounts.splitlines() if f"{world.PREFIX}.{number}/" in line]


def inhabitants(number):
    """Processes, other than this one's zombies, that run with the world's folder in their environment or arguments."""
    mark = f"{world.PREFIX}.{number}".encode()
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes() or mark in (path / "cmdline").read_bytes():
                found.append(path.name)
        except OSError:
            continue  # it has just ended
    return found


def state():
    """What the kubelet, kube-proxy and CNI would have changed on this machine."""
    sysctls = {name: (pathlib.Path("/proc/sys") / name).read_text() for name in (
        "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet",
    )}  # fmt: skip
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    links = sorted(path.name for path in pathlib.Path("/sys/class/net").iterdir())
    places = [name for name in ("containerd", "netns", "xtables.lock") if os.path.exists(f"/run/{name}")]
    return sysctls, [line for line in rules.splitlines() if "KUBE" in line], links, places


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_world_that_is_told_to_end_leaves_nothing(number):
    process, world_number = start("--bare", "bash", "-c", SHOW)
    assert left(world_number) and inhabitants(world_number)
    process.send_signal(number)
    process.wait(30)
    assert left(world_number) == inhabitants(world_number) == []


def test_a_killed_world_has_no_processes_and_the_next_one_sweeps():
    process, number = start("--bare", "bash", "-c", SHOW)
    process.kill()
    process.wait()
    eventually(lambda: inhabitants(number) == [], 10, "its processes go on")
    assert left(number), "a folder and cgroups"
    done = subprocess.run(["/usr/bin/python3", HERE / "world.py", "--bare", "true"], check=False)
    assert done.returncode == 0
    assert left(number) == []


def test_a_killed_node_leaves_nothing_for_long():
    """With all its servers and a pod's first process at work."""
    before = state()
    process, number = start("bash", "-c", f"kubectl get nodes --no-headers >&2; {SHOW}")
    names = {(pathlib.Path("/proc") / pid / "comm").read_text().strip() for pid in inhabitants(number)}
    assert {name[:15] for name in CLUSTER} <= names
    process.kill()
    process.wait()
    eventually(lambda: inhabitants(number) == [], 20, "its processes go on")
    subprocess.run(["/usr/bin/python3", HERE / "world.py", "--bare", "true"], check=True)
    assert left(number) == []
    eventually(lambda: state() == before, 10, lambda: f"before {before}, now {state()}")


def test_worlds_do_not_meet():
    first, one = start("--bare", "bash", "-c", SHOW)
    second, other = start("--bare", "bash", "-c", SHOW)
    try:
        assert one != other
    finally:
        for process in (first, second):
            process.terminate()
            process.wait(30)
    assert left(one) == left(other) == []


def test_the_status_is_the_commands():
    for command, status in ((["bash", "-c", "exit 7"], 7), (["no-such-program"], 127)):
        done = subprocess.run(
            ["/usr/bin/python3", HERE / "world.py", "--bare", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
    assert "no-such-program: no such program" in done.stderr


def test_who_is_not_root_is_told():
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c",
         f"import sys; sys.path.insert(0, {str(HERE)!r}); import world; world.check()"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "a node needs root" in done.stderr
