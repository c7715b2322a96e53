"""The build's own conditions: what one room needs is asked for where that room is built."""

import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

HIDES_CK = """#!/bin/sh
case " $* " in *" ck "*) exit 1 ;; esac
exec pkg-config "$@"
"""


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """configure(BENCH) runs CMake on this tree, without tests, on a machine that has no libck."""
    pkg_config = tmp_path / "pkg-config"
    pkg_config.write_text(HIDES_CK)
    pkg_config.chmod(0o755)
    monkeypatch.setenv("PKG_CONFIG", str(pkg_config))

    def run(bench):
        command = ["cmake", "-G", "Ninja", "-S", TOP, "-B", tmp_path / "build",
                   "-DDPUMESH_TESTS=OFF", f"-DDPUMESH_BENCH={bench}"]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_libck_is_for_the_benchmarks_alone(configure):
    done = configure("OFF")
    assert done.returncode == 0, done.stderr


def test_benchmarks_without_libck_are_refused_with_what_to_do(configure):
    done = configure("ON")
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "install libck-dev, or build all but the benchmarks with -DDPUMESH_BENCH=OFF" in said
