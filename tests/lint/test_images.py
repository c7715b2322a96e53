"""./dev images without an engine, or with one that only says what it was asked; and the check of Dockerfiles."""

import os
import pathlib
import re
import subprocess

import dockerfiles
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ("bash", "basename", "cat", "dirname", "env", "grep", "head", "id", "mkdir", "mktemp", "rm", "sed", "timeout")
GOOD = 'FROM x AS build\nRUN make\nFROM x\nCOPY a \\\n  /b\nUSER 65532:65532\nENTRYPOINT ["/usr/bin/a"]\n'


@pytest.fixture
def images(tmp_path):
    """images(*arguments, docker=SCRIPT...): ./dev images where these programs are all the engines there are."""
    for name in TOOLS:
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")

    def run(*arguments, **engines):
        for name, script in engines.items():
            (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
            (tmp_path / name).chmod(0o755)
        return subprocess.run(
            ["bash", TOP / "dev", "images", *arguments], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        )  # fmt: skip

    return run


def test_without_an_engine_it_is_said_what_is_needed(images):
    done = images()
    assert done.returncode == 2 and done.stdout == ""
    assert "neither docker (with buildx) nor buildah nor podman works here" in done.stderr
    assert "./dev setup images installs buildah" in done.stderr


def test_an_engine_that_does_not_work_is_none(images):
    assert images(docker="exit 1", buildah="exit 1").returncode == 2
    done = images("--engine", "buildah", buildah="exit 1")
    assert done.returncode == 2 and "buildah is there but does not work" in done.stderr
    done = images("--engine", "podman")
    assert done.returncode == 2 and "podman is not on this machine" in done.stderr


def test_the_first_engine_that_works_is_taken(images):
    has_base = '[ "$1" != images ] || echo sha256:1'
    assert images("--find", podman=has_base).stdout == "podman\n"
    assert images("--find", buildah=has_base).stdout == "buildah\n"
    assert images("--find", docker="exit 1").stdout == "buildah\n"
    assert images("--find", docker="exit 0").stdout == "docker\n"
    assert images("--find", "--engine=podman").stdout == "podman\n"
    assert images("--find", "--bootstrap-base").stdout == "buildah\n"
    done = images("--engine", "docker", "--bootstrap-base")
    assert done.returncode == 2 and "--bootstrap-base works with buildah and podman" in done.stderr


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.replace("COPY", "ADD"), 4, "COPY what is in the tree"),
        (GOOD + "HEALTHCHECK CMD /usr/bin/a\n", 8, "Kubernetes has probes"),
        (GOOD.replace("65532:65532", "nobody"), 6, "USER nobody is not two numbers"),
        (GOOD.replace("65532:65532", "0:0"), 6, "USER 0:0 is not two numbers"),
        (GOOD.replace("USER 65532:65532\n", ""), 6, "has no USER"),
        ("USER 1:1\n" + GOOD.replace("USER 65532:65532\n", ""), 7, "has no USER"),
        (GOOD.replace('["/usr/bin/a"]', "/usr/bin/a"), 7, "needs a shell"),
        (GOOD + "cmd run\n", 8, "CMD needs a shell"),
        (GOOD.partition("ENTRYPOINT")[0], 6, "has no ENTRYPOINT"),
    ],
)
def test_a_dockerfile_that_breaks_a_promise_is_refused(make_tree, text, line, words):
    found = list(dockerfiles.check(make_tree({"Dockerfile.a": text, "deep/Dockerfile": GOOD})))
    assert [(f.path, f.line) for f in found] == [("Dockerfile.a", line)], found
    assert words in found[0].message


def test_both_images_compile_in_the_same_stage():
    stages = [
        re.search(r"^# The build stage.*?(?=^FROM \$\{BASE\}$)", path.read_text(), re.M | re.S)[0]
        for path in sorted(TOP.glob("Dockerfile.*"))
    ]
    assert len(stages) == 2 and stages[0] == stages[1]


def test_what_the_images_are_built_from_is_there():
    wanted = [line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all(os.path.exists(TOP / name) for name in wanted), wanted
