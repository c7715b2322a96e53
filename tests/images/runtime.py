"""Runs an image as Kubernetes would run the operator's pods, without Kubernetes: unpacked, and started by runc as the
image's numeric user, with a read-only root, no capabilities, no new privileges, a network of its own, and no shell.

    with Container(rootfs, ["/usr/bin/dpumesh-agent", "--version"], bundle) as container:
        print(container.run())
"""

import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

COUNTER = itertools.count(1)
WHITEOUT = ".wh."


def unpack(archive, target):
    """The layers of an oci.Archive, one over the other."""
    for descriptor in archive.manifest()[1]["layers"]:
        with archive.layer(descriptor) as stream, tarfile.open(fileobj=stream) as tar:
            members = []
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                if name.startswith(WHITEOUT):
                    remove(target / folder, name[len(WHITEOUT) :])
                else:
                    members.append(member)
            tar.extractall(target, members, numeric_owner=True)


def remove(folder, name):
    paths = folder.iterdir() if name == ".wh..opq" else [folder / name]
    for path in list(paths):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def mount(kind, destination, *options):
    return {"type": kind, "source": kind, "destination": destination, "options": list(options)}


def specification(rootfs, arguments, user, mounts, shells):
    """runc's config.json."""
    uid, gid = (int(number) for number in user.split(":"))
    kinds = ("pid", "ipc", "uts", "mount", "network")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": gid},
            "args": arguments,
            "env": ["PATH=/usr/bin"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "root": {"path": str(rootfs), "readonly": True},
        "hostname": "s0-0",
        "mounts": [
            mount("proc", "/proc"),
            mount("tmpfs", "/dev", "nosuid", "mode=755", "size=65536k"),
            *(
                {"type": "bind", "source": str(source), "destination": where, "options": ["bind", "ro"]}
                for source, where in mounts
            ),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "maskedPaths": [] if shells else ["/usr/bin/dash", "/usr/bin/bash"],
        },
    }


class Container:
    """One container. `mounts` are pairs of a file here and its place there, where it can only be read."""

    def __init__(self, rootfs, arguments, folder, user="65532:65532", mounts=(), shells=False):
        self.name = f"dpumesh-test-{os.getpid()}-{next(COUNTER)}"
        self.bundle = pathlib.Path(folder) / self.name
        self.bundle.mkdir(parents=True)
        self.root = self.bundle / "state"
        text = json.dumps(specification(rootfs, arguments, user, mounts, shells))
        (self.bundle / "config.json").write_text(text)
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.runc("delete", "--force", self.name, check=False)
        if self.process:
            self.process.wait(timeout=20)

    def runc(self, *arguments, check=True):
        command = ["runc", "--root", str(self.root), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=check, timeout=60, stdin=subprocess.DEVNULL
        )

    def run(self):
        """Runs it to its end."""
        return self.runc("run", "--bundle", str(self.bundle), self.name, check=False)

    def start(self):
        """Starts it; its output goes to the bundle's log."""
        with (self.bundle / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["runc", "--root", str(self.root), "run", "--bundle", str(self.bundle), self.name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def log(self):
        return (self.bundle / "log").read_text()

    def execute(self, *arguments):
        """Runs a program inside, as the same user."""
        return self.runc("exec", self.name, *arguments, check=False)
