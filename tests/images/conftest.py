"""What the tests of the images share: both, built from a copy of the tree, and unpacked."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools" / "dev"))

from oci import Archive  # noqa: E402
from runtime import unpack  # noqa: E402

NAMES = ("agent", "operator")
ROW = re.compile(r"^ +mubench-dpu-(\w+) +(sha256:[0-9a-f]{64}) +([0-9.]+) +([0-9.]+)$", re.M)
EPOCH = 1700000000
MADE_BY_ENGINES = {"etc/hostname", "etc/hosts", "etc/resolv.conf"}


class Build:
    """The images of one run of ./dev images: `table[NAME]` is (digest, MB over the base, MB packed)."""

    def __init__(self, tree, output, *options, names=NAMES):
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
        command = [tree / "dev", "images", "--tag", "test", "--output", output, *options]
        if len(names) == 1:
            command += ["--only", names[0]]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.table = {m[1]: (m[2], float(m[3]), float(m[4])) for m in ROW.finditer(done.stdout)}
        self.paths = {name: output / f"mubench-dpu-{name}.oci.tar" for name in names}
        self.archives = {name: Archive(path) for name, path in self.paths.items()}


def copy_tree(target, seconds, mode):
    """What the images are built from, with other times and modes, and without git."""
    wanted = [line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in [".dockerignore", "Dockerfile.agent", "Dockerfile.operator", "dev", "tools/dev", *wanted]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (TOP / name).is_dir() else shutil.copy)(TOP / name, target / name)
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode & mode)
        os.utime(path, (seconds, seconds))
    return target


@pytest.fixture(scope="session")
def scratch():
    """A directory that every user may pass through, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="dpumesh-images.") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def build(scratch):
    return Build(copy_tree(scratch / "tree", EPOCH, 0o755), scratch / "first")


@pytest.fixture(scope="session")
def rootfs(build, scratch):
    """{name: the unpacked image}."""
    if os.geteuid() != 0 or not shutil.which("runc"):
        pytest.skip("running an image takes root and runc (./dev setup images)")
    folders = {}
    for name in NAMES:
        folders[name] = scratch / f"rootfs-{name}"
        folders[name].mkdir()
        unpack(build.archives[name], folders[name])
    return folders
