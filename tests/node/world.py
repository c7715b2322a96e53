#!/usr/bin/env python3
"""A world of its own for a Kubernetes node (./dev node): network, mount and process namespaces, in which inside.py
starts it. Nothing of a node reaches the machine: its bridges, iptables rules, mounts and /run are not this machine's, and when
the first process of the world ends, however that comes, the kernel ends all others and takes the rest away.

What stays outside are three things, all with the world's number: a folder under the temporary directory (logs and
kubeconfig), cgroups, which know no namespace here, and a veth pair, so that kubectl and clients on this machine reach the node.
A world that was killed leaves folder and empty cgroups behind; the next one to start removes them.
"""

import argparse
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
PREFIX = "dpumesh-node"
WORLDS = range(1, 100)
CGROUPS = pathlib.Path("/sys/fs/cgroup")
CNI = pathlib.Path("/usr/lib/cni")
PROGRAMS = ("containerd", "ctr", "gcc", "ip", "iptables", "openssl", "runc", "setpriv", "tini", "unshare")
PLUGINS = ("host-local", "loopback", "portmap", "ptp")


class NoNode(Exception):
    """No node can run on this machine; the text says why."""


def check():
    """NoNode when this machine can't run a node, with the first reason."""
    if os.geteuid() != 0:
        raise NoNode("a node needs root: it makes namespaces, cgroups and containers")
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    absent += [str(CNI / name) for name in PLUGINS if not (CNI / name).exists()]
    if absent:
        raise NoNode(f"{', '.join(absent)}: not found; ./dev setup node installs it on Debian 12")
    done = subprocess.run(
        ["bash", TOP / "tools/dev/kube.sh", "--find", "--node"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise NoNode("Kubernetes' programs are not all here; ./dev setup --kube finds or builds them")
    closed = [str(root) for root in hierarchies() if os.statvfs(root).f_flag & os.ST_RDONLY]
    if closed:
        raise NoNode(f"{closed[0]} can not be written: pods need cgroups")
    done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if done.returncode != 0:
        raise NoNode(f"no namespaces can be made here: {done.stderr.decode().strip()}")


def hierarchies():
    """The roots of the cgroup hierarchies: one of version 2, or one a controller of version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    # Some are links to others (cpu is cpu,cpuacct); unified has no controller here.
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink() and path.name != "unified"]


def make_cgroups(name):
    for root in hierarchies():
        folder = root / name
        folder.mkdir(exist_ok=True)
        # Version 1 lets no process into a set without these.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if root != CGROUPS and (folder / file).exists():
                (folder / file).write_text((root / file).read_text())


def remove_cgroups(name, timeout=10.0):
    """The kernel lets go of a process's cgroup a moment after the process."""
    until = time.monotonic() + timeout
    # The kubelet makes some in the hierarchy of version 2 even where that controls nothing.
    left = [root / name for root in {CGROUPS, CGROUPS / "unified", *hierarchies()} if (root / name).is_dir()]
    while left:
        for top in left:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        left = [top for top in left if top.is_dir()]
        if left and time.monotonic() > until:
            raise NoNode(f"{left[0]} can not be removed: processes are in it still")
        time.sleep(0.05 if left else 0)


def ip(*arguments, check=True):
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise NoNode(f"ip {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


class World:
    """One world. `with World() as world: world.run(command)` runs a command as inside.py does."""

    def __init__(self):
        self.lock = None
        for number in WORLDS:
            if self.take(number):
                break
        else:
            raise NoNode(f"all {len(WORLDS)} worlds are taken")
        self.process = None
        self.sweep()

    def sweep(self):
        """Takes away what worlds that were killed have left under other numbers."""
        for path in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}.*"):
            other = World.__new__(World)
            other.process = None
            if path != self.folder and path.suffix[1:].isdigit() and other.take(int(path.suffix[1:])):
                other.close()

    def take(self, number):
        """Whether the number is ours from here on; what a dead world left under it is gone then."""
        folder = pathlib.Path(tempfile.gettempdir()) / f"{PREFIX}.{number}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o755)
        if folder.is_symlink() or folder.stat().st_uid != 0:
            return False
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self.lock, self.folder, self.number = lock, folder, number
        self.name = f"{PREFIX}-{number}"
        self.link = f"dpumesh-{number}"
        # The network of a veth pair; Kubernetes' own ranges are inside of the world only.
        self.node_address, self.host_address = f"10.250.{number}.1", f"10.250.{number}.2"
        self.clean()
        if f" 10.250.{number}." in ip("-4", "route"):
            self.close()
            return False
        return True

    def clean(self):
        """All but the lock."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        remove_cgroups(self.name)
        ip("link", "delete", self.link, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.clean()
        shutil.rmtree(self.folder)
        os.close(self.lock)

    def run(self, command, environment=None):
        """The status of a command that runs in the world, below a first process that reaps."""
        make_cgroups(self.name)
        # When we die the kernel kills unshare, then tini, then everything.
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        words += ["--mount-proc", "tini", "-g", "--", *map(str, command)]
        own = {
            **os.environ,
            **(environment or {}),
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            "DPUMESH_NODE_FOLDER": str(self.folder),
            "DPUMESH_NODE_CGROUP": f"/{self.name}",
            "DPUMESH_NODE_ADDRESS": self.node_address,
            "DPUMESH_NODE_GATEWAY": self.host_address,
        }
        self.process = subprocess.Popen(words, env=own)
        self.connect()
        return self.process.wait()

    def connect(self):
        """Gives the world its end of a veth pair, once it has a network of its own."""
        outside = os.readlink("/proc/self/ns/net")
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{self.process.pid}/ns/net") != outside:
                    break
            time.sleep(0.01)
        else:
            return
        ip("link", "add", self.link, "type", "veth", "peer", "name", "node0", "netns", self.process.pid)
        ip("address", "add", f"{self.host_address}/30", "dev", self.link)
        ip("link", "set", self.link, "up")

    def forward(self, number, _):
        """A signal for us is one for the command; unshare itself lets none through."""
        if not self.process:
            sys.exit(128 + number)
        if self.process.poll() is None:
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            for pid in children.split():
                os.kill(int(pid), number)


def options():
    parser = argparse.ArgumentParser(prog="./dev node", usage="./dev node [COMMAND [ARGUMENT]...]")
    parser.add_argument("--check", action="store_true", help="only whether a node can run here, and why not")
    parser.add_argument("--bare", action="store_true", help="run COMMAND without starting a node")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def main():
    chosen = options()
    try:
        check()
        if chosen.check:
            return 0
        with World() as world:
            # tini has made the command a process group of its own, so that Ctrl-C of a terminal reaches us or it.
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, world.forward)
            bare = ["--bare"] if chosen.bare else []
            return world.run(["/usr/bin/python3", HERE / "inside.py", *bare, *chosen.command])
    except NoNode as error:
        print(f"./dev node: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
