"""Banned functions, length, machine paths, headers, white space."""

import pytest
import text


@pytest.mark.parametrize("name", sorted(text.BANNED))
def test_each_banned_function_is_refused(make_tree, places, name):
    tree = make_tree({"agent/a.c": f"int f(void)\n{{\n    return {name} (x);\n}}\n"})
    assert places(text.banned, tree) == [("agent/a.c", 3)]


def test_a_test_may_use_a_shell(make_tree, places):
    tree = make_tree({"tests/a.c": "int r = system(c);\nint n = atoi(s);\n", "agent/a.c": "int r = system(c);\n"})
    assert places(text.banned, tree) == [("agent/a.c", 1), ("tests/a.c", 2)]


def test_names_like_a_banned_one_are_fine(make_tree, places):
    source = """\
/* sprintf(a) is not used here */
// nor strcpy(b)
const char *s = "atoi(x) \\" gets(y)";
int n = snprintf(a, 1, "x") + my_system(1) + vtable->system(2) + queue.system(3) + fgets(a, 1, f);
"""
    assert places(text.banned, make_tree({"agent/a.c": source})) == []


def test_a_long_file_is_noted_and_not_refused(make_tree):
    tree = make_tree({"agent/a.c": "\n" * 601, "agent/b.c": "\n" * 600})
    (finding,) = text.length(tree)
    assert (finding.path, finding.note) == ("agent/a.c", True)


def test_paths_of_one_machine_are_refused(make_tree, places):
    tree = make_tree({})
    here = str(tree.root)
    tree = make_tree(
        {
            "docs/a.md": "fine: /usr/bin/env, /tmp/x, $HOME/x, /home directories, a/root/b\n",
            "docs/b.md": f"\nsee {here}/docs\n",
            "docs/c.md": "see /ho" + "me/somebody/project\n",
            "agent/d.c": '"/Us' + 'ers/somebody/x"\n',
        }
    )
    assert places(text.machine_paths, tree) == [("agent/d.c", 1), ("docs/b.md", 2), ("docs/c.md", 1)]


def test_headers(make_tree, places):
    guard = "#ifndef DPUMESH_{0}\n#define DPUMESH_{0}\n#endif\n"
    tree = make_tree(
        {
            "lib/obs/good.h": "/* Use it so. */\n" + guard.format("OBS_GOOD_H"),
            "agent/good.h": "/* Use it so. */\n" + guard.format("AGENT_GOOD_H"),
            "lib/obs/mute.h": guard.format("OBS_MUTE_H"),
            "lib/obs/guard.h": "/* Use it so. */\n" + guard.format("METRIC_H"),
        }
    )
    assert places(text.headers, tree) == [("lib/obs/guard.h", 1), ("lib/obs/mute.h", 1)]


def test_white_space(make_tree, places):
    tree = make_tree(
        {
            "agent/tab.c": "int a;\n\tint b;\n",
            "agent/end.c": "int a;",
            "docs/blank.md": "a \nb\n",
            "docs/crlf.md": "a\r\nb\n",
            "examples/tab.yaml": "a: b\tc\n",
        }
    )
    (tree.root / "docs/crlf.md").write_bytes(b"a\r\nb\n")
    assert places(text.white_space, tree) == [
        ("agent/end.c", 1),
        ("agent/tab.c", 2),
        ("docs/blank.md", 1),
        ("docs/crlf.md", 1),
    ]
