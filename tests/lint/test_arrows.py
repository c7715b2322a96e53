"""The dependency rule: what is refused, and that the real tree's tables are read."""

import pathlib

import arrows
import pytest
from tree import Tree

TOP = pathlib.Path(__file__).resolve().parents[2]

HEADERS = {
    "lib/base/error.h": "/* */\n",
    "lib/obs/metric.h": '/* */\n#include "base/error.h"\n',
    "lib/model/random.h": "/* */\n",
    "agent/wire.h": "/* */\n",
    "agent/CMakeLists.txt": "dpumesh_library(dpumesh_agent_core SOURCES wire.c DEPS dpumesh_obs)\n",
    "lib/obs/CMakeLists.txt": "dpumesh_library(dpumesh_obs SOURCES metric.c DEPS dpumesh_base)\n",
    "lib/base/CMakeLists.txt": "dpumesh_library(dpumesh_base SOURCES error.c)\n",
}


def test_a_tree_along_the_arrows_is_clean(make_tree, places):
    tree = make_tree(
        HEADERS
        | {
            "agent/wire.c": '#include "agent/wire.h"\n#include "obs/metric.h"\n#include <ck_ring.h>\n',
            "tests/agent/test_wire.c": '#include "agent/wire.h"\n#include "model/random.h"\n',
            "lib/obs/server.c": "#include <microhttpd.h>\n#include <stdio.h>\n",
        }
    )
    assert places(arrows.check, tree) == []


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("lib/base/error.c", '#include "base/error.h"\n#include "obs/metric.h"\n', 2),
        ("lib/obs/metric.c", '\n\n  #  include "agent/wire.h"\n', 3),
        ("lib/model/random.c", '#include "obs/metric.h"\n', 1),
        ("lib/base/up.c", '#include "../obs/metric.h"\n', 1),
        ("tests/obs/test_metric.c", '#include "agent/wire.h"\n', 1),
        ("agent/front.c", "#include <microhttpd.h>\n", 1),
        ("lib/base/ring.c", "#include <ck_ring.h>\n", 1),
        ("lib/base/CMakeLists.txt", "dpumesh_library(dpumesh_base SOURCES e.c DEPS dpumesh_obs)\n", 1),
        ("lib/obs/CMakeLists.txt", "\ntarget_link_libraries(dpumesh_obs\n  PUBLIC dpumesh_agent_core)\n", 2),
    ],
)
def test_against_an_arrow_is_refused(make_tree, places, path, text, line):
    tree = make_tree(HEADERS | {path: text})
    assert places(arrows.check, tree) == [(path, line)]


def test_the_sentence_says_what_would_be_right(make_tree):
    tree = make_tree(HEADERS | {"lib/obs/metric.c": '#include "agent/wire.h"\n'})
    (finding,) = arrows.check(tree)
    assert 'includes "agent/wire.h" of agent; obs may include base' in finding.message


def test_an_include_in_a_comment_is_none(make_tree, places):
    tree = make_tree(HEADERS | {"lib/base/error.c": '/*\n#include "obs/metric.h"\n*/\n'})
    assert places(arrows.check, tree) == []


def test_without_its_table_the_rule_refuses(make_tree, places):
    tree = make_tree({"docs/architecture.md": "nothing\n"})
    assert places(arrows.check, tree) == [("docs/architecture.md", 1)]


def test_the_rule_of_this_project():
    """The tables say what the design says; a typing error in them must not turn the check off."""
    rooms = arrows.room_table(Tree(TOP))
    assert rooms["base"] == {"base"}
    assert rooms["obs"] == {"obs", "base"}
    assert rooms["model"] == {"model", "base"}
    assert rooms["spec"] == {"spec", "doc", "model", "base"}
    assert rooms["agent"] == {"agent", "doc", "model", "spec", "obs", "base"}
    assert rooms["ctl"] == {"ctl", "doc", "figures", "kube", "model", "spec", "obs", "base"}
    assert rooms["kube"] == {"kube", "doc", "obs", "base"}
    assert rooms["operator"] == {"operator", "doc", "figures", "kube", "obs", "scale", "spec", "base"}
    assert rooms["figures"] == {"figures", "obs", "base"}
    assert rooms["scale"] == {"scale", "base"}
    homes = {library: rooms for _, library, rooms in arrows.library_table(Tree(TOP))}
    assert "agent" not in homes["libmicrohttpd"]
    assert homes["libck"] == {"bench"}
