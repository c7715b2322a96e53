"""Callees by name. DNS has one port, so these tests live in names_world.py, which runs in a network and a mount of its
own, with a name server made of a few lines."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


def test_names(tmp_path):
    for program in ("unshare", "ip", "mount"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not here")
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    resolv.write_text("nameserver 127.0.0.53\nsearch apps.test\noptions ndots:5\n")
    hosts.write_text("127.0.0.1 localhost\n127.0.0.77 by-file\n")
    script = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'
    world = ["unshare", "--map-root-user", "--net", "--mount", "bash", "-c", script, "world", str(resolv), str(hosts)]
    if subprocess.run([*world, "true"], capture_output=True).returncode:
        pytest.skip("namespaces are not allowed here")
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(HERE.parent / "pytest.ini"), str(HERE / "names_world.py")]
    done = subprocess.run([*world, *tests], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
