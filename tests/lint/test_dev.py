"""./dev itself: help everywhere, refusals with status 2, a setup that is quick when there is nothing to do, and counts
that count."""

import os
import pathlib
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

VERBS = ["setup", "build", "demo", "test", "bench", "campaign", "cluster", "node", "images", "lint", "format", "clean"]


def dev(*arguments):
    return subprocess.run(
        [TOP / "dev", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page(verb):
    for arguments in ([verb, "--help"], ["help", verb]):
        done = dev(*arguments)
        assert done.returncode == 0
        assert done.stdout.startswith(f"Usage: ./dev {verb}")
        assert done.stderr == ""


def test_the_first_page_names_every_verb():
    page = dev().stdout
    assert dev("--help").stdout == page
    for verb in VERBS:
        assert f"\n  {verb} " in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly"], "there is no verb fly"),
        (["build", "--preset", "nope"], "there is no preset nope; one of release"),
        (["build", "--preset"], "--preset needs a name"),
        (["test", "--only", "nope"], "there is no tier nope; one of lint"),
        (["test", "--fuzz-seconds", "0"], "--fuzz-seconds takes a number of seconds, not 0"),
        (["test", "--fuzz-seed", "x"], "--fuzz-seed takes a number from 0 to 999999999, not x"),
        (["test", "x"], "unknown argument x"),
        (["campaign", "--hours", "some"], "--hours takes a number, not some"),
        (["campaign", "--minutes", "0"], "--minutes takes a number above 0, not 0"),
        (["images", "--engine", "kaniko"], "there is no engine kaniko; one of docker buildah podman"),
        (["images", "--tag", "a:b"], "--tag takes letters, digits, _, . and -, such as 0.1.0, not a:b"),
        (["images", "--only=ctl"], "there is no image ctl; one of agent, operator"),
        (["images", "--output"], "--output needs a value"),
        (["images", "x"], "unknown argument x"),
        (["setup", "x"], "unknown argument x"),
        (["demo", "--address", "example.org"], "--address takes an address of 127.0.0.0/8"),
        (["clean", "x"], "unknown argument x"),
        (["lint", "--quick", "nope"], "there is no check nope"),
    ],
)
def test_a_wrong_command_line_is_refused_with_a_sentence(arguments, sentence):
    done = dev(*arguments)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr


def test_setup_is_quick_when_nothing_is_missing():
    began = time.monotonic()
    done = dev("setup", "test")
    assert done.returncode == 0
    assert "nothing to install" in done.stdout or "not Debian 12" in done.stdout
    assert time.monotonic() - began < 1


def test_the_packages_of_a_demo_are_few():
    packages = dev("setup", "--print", "build").stdout.split()
    assert "gcc" in packages
    assert not {"clang-16", "prometheus", "python3", "nginx-light"} & set(packages)
    assert set(packages) < set(dev("setup", "--print", "test").stdout.split())


JUNIT = """<testsuite>
<testcase name="criterion" status="run"><system-out>
[\x1b[0;34m====\x1b[0m] \x1b[0;1mSynthesis: Tested: \x1b[0;34m5\x1b[0;1m | Passing: \x1b[0;32m5\x1b[0;1m | Failing: \x1b[0;31m0\x1b[0;1m | Crashing: \x1b[0;31m0\x1b[0;1m \x1b[0m
</system-out></testcase>
<testcase name="leaks" status="fail"><failure/><system-out>
Synthesis: Tested: 2 | Passing: 2 | Failing: 0 | Crashing: 0
</system-out></testcase>
<testcase name="crashes" status="fail"><failure/><system-out>
Synthesis: Tested: 4 | Passing: 1 | Failing: 1 | Crashing: 2
</system-out></testcase>
<testcase name="plain" status="run"/>
<testcase name="broken"><error>no</error></testcase>
<testcase name="elsewhere"><skipped message="needs a moon"/></testcase>
<testcase name="off" status="notrun"/>
</testsuite>
"""


def test_junit_counts_cases_and_names_what_failed(tmp_path):
    (tmp_path / "junit.xml").write_text(JUNIT.replace("\x1b", ""))
    done = subprocess.run(
        ["/usr/bin/python3", TOP / "tools/dev/junit.py", "--counts", "counts", "junit.xml"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (tmp_path / "counts").read_text() == "9 5 2\n"
    assert "FAILED leaks" in done.stdout
    assert "FAILED crashes" in done.stdout
    assert "FAILED broken" in done.stdout
    assert "skipped elsewhere: needs a moon" in done.stdout
    assert "plain" not in done.stdout


AGAIN = """
. "$TOP/tools/dev/common.sh"
. "$TOP/tools/dev/pytest.sh"
cd "$HERE"
scratch=$HERE/scratch counts=$HERE/counts
mkdir -p "$scratch"
status=0
run_pytest some tests || status=$?
echo "status $status, counts $(cat "$counts"), second ${second[*]}"
"""

# A test that passes when it runs for the second time.
ONCE = """
import pathlib
def test_{name}():
    mark = pathlib.Path("{name}.mark")
    there = mark.exists()
    mark.touch()
    assert there, "{words}"
"""


@pytest.mark.parametrize(
    ("tests", "end"),
    [
        (["def test_a(): pass"], "status 0, counts 1 0 0, second"),
        ([ONCE.format(name="b", words="late"), "def test_a(): pass"], "status 0, counts 2 0 0, second some 1"),
        (["def test_a(): assert False", ONCE.format(name="b", words="late")], "status 1, counts 1 1 0, second some 1"),
        ([ONCE.format(name="b", words="AddressSanitizer")], "status 1, counts 0 1 0, second"),
        ([ONCE.format(name=f"b{i}", words="late") for i in range(4)], "status 1, counts 0 4 0, second"),
        (["def test_("], "status 2, counts 0 1 0, second"),
    ],
)
def test_what_failed_runs_once_more_unless_that_would_hide_a_fault(tmp_path, tests, end):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").write_text("\n".join(tests))
    (tmp_path / "tools").symlink_to(TOP / "tools")
    environment = {**os.environ, "TOP": str(TOP), "HERE": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", AGAIN], env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.stdout.splitlines()[-1].strip() == end, done.stdout + done.stderr
