"""clang-format, clang-tidy with its memory, shellcheck."""

import json
import shutil

import programs
import pytest
from tree import Tree

STYLE = "BasedOnStyle: LLVM\n"
TIDY = "Checks: '-*,bugprone-sizeof-expression'\nWarningsAsErrors: '*'\n"

needs_tidy = pytest.mark.skipif(
    not shutil.which(programs.CLANG_TIDY), reason=f"{programs.CLANG_TIDY} is not installed"
)


def test_format_refuses_and_mends(make_tree, places):
    tree = make_tree({".clang-format": STYLE, "a.c": "int  a ;\n", "b.c": "int b;\n"})
    assert places(programs.format_check, tree) == [("a.c", 1)]
    assert list(programs.format_check(tree, fix=True)) == []
    assert (tree.root / "a.c").read_text() == "int a;\n"
    assert (tree.root / "b.c").read_text() == "int b;\n"


def test_shellcheck_reads_scripts_without_a_suffix_too(make_tree, places):
    tree = make_tree(
        {
            "good.sh": "#!/bin/sh\necho \"$1\"\n",
            "tool": "#!/usr/bin/env bash\nset -eu\nrm $1\n",
            "other": "#!/usr/bin/env python3\nrm $1\n",
        }
    )
    assert places(programs.shell, tree) == [("tool", 3)]


@needs_tidy
def test_tidy_refuses_and_remembers_what_was_clean(make_tree, places, monkeypatch):
    bad = '#include "a.h"\nint f(struct a *p)\n{\n    return (int)sizeof(sizeof(*p));\n}\n'
    good = '#include "a.h"\nint g(struct a *p)\n{\n    return (int)sizeof(*p);\n}\n'
    tree = make_tree(
        {
            ".clang-tidy": TIDY,
            "a.h": "struct a {\n    int i;\n};\n",
            "bad.c": bad,
            "good.c": good,
        }
    )
    build = tree.root / programs.BUILD
    build.mkdir(parents=True)
    entries = [
        {"directory": str(build), "file": str(tree.root / name), "command": f"cc -c {tree.root / name}"}
        for name in ("bad.c", "good.c")
    ]
    (build / "compile_commands.json").write_text(json.dumps(entries))
    looked = []
    real = programs.tidy_one
    monkeypatch.setattr(
        programs, "tidy_one", lambda tree, path, stamp: looked.append(path) or real(tree, path, stamp)
    )
    assert places(programs.tidy, tree) == [("bad.c", 4)]
    assert sorted(looked) == ["bad.c", "good.c"]

    looked.clear()
    assert places(programs.tidy, tree) == [("bad.c", 4)]
    assert looked == ["bad.c"], "what was refused is looked at again, what was clean is not"

    looked.clear()
    (tree.root / "a.h").write_text("struct a {\n    long i;\n};\n")
    assert places(programs.tidy, Tree(tree.root)) == [("bad.c", 4)]
    assert sorted(looked) == ["bad.c", "good.c"], "a header that changed counts"


def test_tidy_without_a_build_says_so(make_tree, places):
    assert places(programs.tidy, make_tree({})) == [(".clang-tidy", 1)]
