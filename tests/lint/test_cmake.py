"""The build's own conditions: what one room needs is asked for where that room is built."""

import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

HIDES = """#!/bin/sh
case " $* " in *" {} "*) exit 1 ;; esac
exec pkg-config "$@"
"""


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """configure(LIBRARY, BENCH) runs CMake on this tree, without tests, on a machine that has not this library."""
    pkg_config = tmp_path / "pkg-config"
    monkeypatch.setenv("PKG_CONFIG", str(pkg_config))

    def run(library, bench="OFF"):
        pkg_config.write_text(HIDES.format(library))
        pkg_config.chmod(0o755)
        command = ["cmake", "-G", "Ninja", "-S", TOP, "-B", tmp_path / "build",
                   "-DDPUMESH_TESTS=OFF", f"-DDPUMESH_BENCH={bench}"]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def links(tmp_path, target):
    """The libraries on the link line of a program, as Ninja has it."""
    command = ["ninja", "-C", tmp_path / "build", "-t", "commands", "-s", target]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_libck_is_for_the_benchmarks_alone(configure):
    done = configure("ck")
    assert done.returncode == 0, done.stderr


def test_benchmarks_without_libck_are_refused_with_what_to_do(configure):
    done = configure("ck", bench="ON")
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "install libck-dev, or build all but the benchmarks with -DDPUMESH_BENCH=OFF" in said


def test_nlopt_is_for_the_fit_alone(configure, tmp_path):
    """The images are built where it is not."""
    done = configure("nlopt")
    assert done.returncode == 0, done.stderr
    assert "/libnlopt" not in links(tmp_path, "bin/dpumesh")


def targets(tmp_path):
    command = ["ninja", "-C", tmp_path / "build", "-t", "targets", "all"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_igraph_is_for_one_shape_alone_and_never_linked(configure, tmp_path):
    """It brings nineteen libraries, so it is loaded when it is asked for; the images are built where it is not."""
    done = configure("igraph")
    assert done.returncode == 0, done.stderr
    assert "generate_barabasi.c" not in targets(tmp_path) and "generate_graph.c" in targets(tmp_path)
    done = configure("ck")
    assert done.returncode == 0, done.stderr
    assert "generate_barabasi.c" in links(tmp_path, "bin/dpumesh") + targets(tmp_path)
    for program in ("bin/dpumesh", "pod/dpumesh"):
        assert "/libigraph" not in links(tmp_path, program)
    assert "dpumesh_ctl_graph" not in links(tmp_path, "pod/dpumesh")


def test_the_dpumesh_of_a_pod_links_neither_libcurl_nor_nlopt(configure, tmp_path):
    done = configure("ck")
    assert done.returncode == 0, done.stderr
    whole, pod = links(tmp_path, "bin/dpumesh"), links(tmp_path, "pod/dpumesh")
    for library in ("/libcurl", "/libnlopt"):
        assert library in whole and library not in pod
