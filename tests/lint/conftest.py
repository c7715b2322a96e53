"""The checks of ./dev lint, fed with trees made for the purpose."""

import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools" / "lint"))

ARCHITECTURE = """\
| room | may include | what |
| --- | --- | --- |
| `base` | - | ground |
| `obs` | base | metrics |
| `spec` | base, model | documents |
| `model` | base | arithmetic |
| `agent` | base, model, spec, obs | the agent |
"""

DEPENDENCIES = """\
| library | headers | rooms | why |
| --- | --- | --- | --- |
| libmicrohttpd | `microhttpd.h` | obs | serves |
| libck | `ck_*.h` | agent, bench | rings |
"""


@pytest.fixture
def make_tree(tmp_path):
    """make_tree({path: text}) is a Tree of these files and the two tables."""
    from tree import Tree

    def make(files):
        files = {
            "docs/architecture.md": ARCHITECTURE,
            "docs/dependencies.md": DEPENDENCIES,
            **files,
        }
        for path, content in files.items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        return Tree(tmp_path)

    return make


@pytest.fixture
def places():
    """The findings of a check as [(path, line)], in order."""

    def run(check, tree):
        return sorted((finding.path, finding.line) for finding in check(tree))

    return run
