"""The ground of a node inside of its world: what it may write to, and its network."""

import os
import pathlib
import subprocess
import time

FOLDER = pathlib.Path(os.environ.get("DPUMESH_NODE_FOLDER", "/nonexistent"))
ADDRESS = os.environ.get("DPUMESH_NODE_ADDRESS", "")
GATEWAY = os.environ.get("DPUMESH_NODE_GATEWAY", "")
CGROUP = os.environ.get("DPUMESH_NODE_CGROUP", "")
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
# Images, containers, volumes and etcd: in memory, and gone with the world.
DATA = FOLDER / "data"
DATA_BYTES = "3g"

# Of the whole machine, and the kubelet sets them: it finds what it wants there, and has nothing to write.
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


class NoPlace(Exception):
    """The world can't be prepared; the text says what failed."""


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoPlace(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def mount(kind, target, options=""):
    run("mount", "-t", kind, *(["-o", options] if options else []), kind, target)


def prepare_mounts():
    DATA.mkdir()
    mount("tmpfs", DATA, f"mode=755,size={DATA_BYTES}")
    # Programs have places of their own that no option moves: /run/netns, /run/containerd, /run/xtables.lock,
    # /var/lib/cni, /var/log/containers.
    mount("tmpfs", "/run", "mode=755,size=256m")
    for name in ("var", "work", "sysctl", "kubelet"):
        (DATA / name).mkdir()
    mount("overlay", "/var", f"lowerdir=/var,upperdir={DATA}/var,workdir={DATA}/work")
    for name, value in SYSCTLS.items():
        file = DATA / "sysctl" / name.replace("/", ".")
        file.write_text(f"{value}\n")
        run("mount", "--bind", file, f"/proc/sys/{name}")


def prepare_network():
    until = time.monotonic() + 10
    while not pathlib.Path("/proc/sys/net/ipv4/conf/node0").exists():
        if time.monotonic() > until:
            raise NoPlace("the world got no network link")
        time.sleep(0.01)
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{ADDRESS}/30", "dev", "node0")
    run("ip", "link", "set", "node0", "up")
    # Services' addresses need a route before iptables turns them into pods'; those that it knows nothing of
    # are refused at once. There is no route to anywhere else, and what pods send goes to this node only.
    run("ip", "route", "add", SERVICES, "via", GATEWAY)
    for chain in ("OUTPUT", "FORWARD"):
        run("iptables", "-A", chain, "-o", "node0", "-d", SERVICES, "-j", "REJECT")
    run("iptables", "-A", "FORWARD", "-s", PODS, "-o", "node0", "-j", "REJECT")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def prepare():
    """Once a world, before anything else runs in it."""
    if not ADDRESS:
        raise NoPlace("inside.py runs in a world that world.py made")
    prepare_mounts()
    prepare_network()
