"""Check of tests' pages: a test that is named for a demand exists."""

import ast
import pathlib
import re

from tree import Finding

# A file, with the tests of it that follow a colon, or a test.
NAMED = re.compile(
    r"(?P<file>(?:\w+/)*(?:test|race)_\w+\.(?:py|c)\b)(?::\s*(?P<in_file>\w+(?:,\s+\w+)*)(?!\w*[./]))?|(?P<test>\btest_\w+)"
)
PYTHON_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
CRITERION_TEST = re.compile(r"^Test\(\w+,\s*(\w+)", re.MULTILINE)


def tests_of(tree, path):
    """Names of the tests in a file."""
    found = PYTHON_TEST if path.endswith(".py") else CRITERION_TEST
    return set(found.findall(tree.text(path)))


def opening(text):
    """The docstring of a page of tests, and the line it begins in."""
    try:
        module = ast.parse(text)
    except SyntaxError:
        return "", 1
    return ast.get_docstring(module, clean=False) or "", module.body[0].lineno if module.body else 1


def check(tree):
    """refuses a page of tests whose opening names a test, or a file of tests, that does not exist"""
    for path in tree.matching(".py"):
        name = pathlib.PurePath(path)
        if not path.startswith("tests/") or not name.name.startswith("test_"):
            continue
        text, first = opening(tree.text(path))
        for match in NAMED.finditer(text):
            line = first + text.count("\n", 0, match.start())
            for sentence in wrong(tree, path, match):
                yield Finding(path, line, sentence)


def wrong(tree, path, match):
    if match["test"]:
        if match["test"] not in tests_of(tree, path):
            yield f"names {match['test']}, which is not in this file"
        return
    beside = str(pathlib.PurePath(path).parent / match["file"])
    file = next((found for found in (match["file"], beside) if found in tree.paths), None)
    if not file:
        yield f"names {match['file']}, which does not exist"
        return
    for test in re.findall(r"\w+", match["in_file"] or ""):
        if test not in tests_of(tree, file):
            yield f"names {test}, which is not in {file}"
