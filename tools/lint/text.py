"""Checks that read text: banned functions, length, machine paths, headers, white space."""

import pathlib
import re

from tree import Finding, blank, line_of

# What to use instead.
BANNED = {
    "sprintf": "snprintf or buffer_printf",
    "vsprintf": "vsnprintf or buffer_vprintf",
    "strcpy": "xstrdup or buffer_puts",
    "strcat": "buffer_puts",
    "strtok": "strcspn or strtok_r",
    "gets": "getline",
    "atoi": "strtol and its errors",
    "atol": "strtol and its errors",
    "atoll": "strtoll and its errors",
    "atof": "strtod and its errors",
    "alloca": "xmalloc",
    "system": "posix_spawn with an argument vector",
    "popen": "posix_spawn with an argument vector",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
}
IN_TESTS = {"system", "popen"}  # a test may use a shell
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")

LINES_MAX = 600


def banned(tree):
    """refuses sprintf, strcpy, strcat, strtok, atoi, gets, alloca, system, popen and their like"""
    for path in tree.c_files():
        text = blank(tree.text(path))
        for match in BANNED_CALL.finditer(text):
            if path.startswith("tests/") and match[1] in IN_TESTS:
                continue
            yield Finding(
                path, line_of(text, match.start()), f"{match[1]}() is banned; use {BANNED[match[1]]}"
            )


def length(tree):
    """notes a file of more than 600 lines: does it still hold one thing?"""
    for path in tree.matching(".c", ".h", ".py", ".sh"):
        lines = tree.text(path).count("\n")
        if lines > LINES_MAX and "corpus" not in path:
            yield Finding(path, 1, f"{lines} lines; split what is more than one thing", note=True)


def machine_paths(tree):
    """refuses paths of one person's machine: home directories and the place of this checkout"""
    ordinary = {"/", "/home", "/root", "/tmp", "/opt", "/srv", "/usr", "/var"}
    here = [str(p) for p in (tree.root, *tree.root.parents) if str(p) not in ordinary]
    here = [p for p in here if p.count("/") > 1 or p == str(tree.root.parent)]
    patterns = [r"/home/\w[\w.-]*/", r"/Users/\w[\w.-]*/", r"/root/\w"]
    patterns += [re.escape(p) + r"/" for p in here]
    path_pattern = re.compile(r"(?<![\w.}$-])(" + "|".join(patterns) + ")")
    for path in tree.paths:
        if path.startswith("tests/fuzz/") and "corpus" in path:
            continue
        text = tree.text(path)
        for match in path_pattern.finditer(text):
            yield Finding(path, line_of(text, match.start()), f"{match[1]} is a path of one machine")


def headers(tree):
    """refuses a header without an opening comment or with a guard that is not its path"""
    for path in tree.matching(".h"):
        text = tree.text(path)
        if not text.startswith("/*"):
            yield Finding(path, 1, "a header opens with a comment on how to use the thing")
        inner = path[4:] if path.startswith("lib/") else path
        guard = "DPUMESH_" + re.sub(r"\W", "_", inner).upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield Finding(path, 1, f"the include guard should be {guard}")


def white_space(tree):
    """refuses tabs in C, trailing blanks, CRLF and a missing last newline"""
    suffixes = (".c", ".h", ".py", ".sh", ".md", ".yaml", ".yml", ".txt", ".cmake", ".json")
    for path in tree.paths:
        if not path.endswith(suffixes) and path != "dev" or "corpus" in path:
            continue
        text = tree.text(path)
        if text and not text.endswith("\n"):
            yield Finding(path, text.count("\n") + 1, "the last line has no end")
        bad = r"[ \t\r]+$|\t" if pathlib.PurePath(path).suffix in (".c", ".h") else r"[ \t\r]+$"
        for match in re.finditer(bad, text, re.MULTILINE):
            yield Finding(path, line_of(text, match.start()), "a tab or a trailing blank")
