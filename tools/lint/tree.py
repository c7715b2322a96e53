"""What the checks look at: the files of a tree, and what a C file includes."""

import functools
import pathlib
import re
import subprocess
from typing import NamedTuple

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


class Finding(NamedTuple):
    """Something a check has to say. A note is printed but refuses nothing."""

    path: str
    line: int
    message: str
    note: bool = False

    def __str__(self):
        return f"{self.path}:{self.line}: {'note: ' if self.note else ''}{self.message}"


class Tree:
    """The files of a checkout (tracked, or new and not ignored), or of a plain directory."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.paths = sorted(p for p in self._list() if (self.root / p).is_file())

    def _list(self):
        if (self.root / ".git").exists():
            command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            done = subprocess.run(command, cwd=self.root, capture_output=True, check=False)
            if done.returncode == 0:
                return set(done.stdout.decode().split("\0")) - {""}
        found = (p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file())
        return {str(p) for p in found if p.parts[0] not in (".git", "build")}

    def matching(self, *suffixes):
        return [p for p in self.paths if p.endswith(suffixes)]

    def c_files(self):
        return self.matching(".c", ".h")

    def shell_files(self):
        """By suffix, or by the first line."""
        return [p for p in self.paths if p.endswith(".sh") or self._is_script(p)]

    def _is_script(self, path):
        if "." in pathlib.PurePath(path).name:
            return False
        return re.match(r"#!.*\b(ba)?sh\b", self.text(path).partition("\n")[0]) is not None

    @functools.lru_cache(maxsize=None)
    def text(self, path):
        """The text of a file; empty when it is not text."""
        data = (self.root / path).read_bytes()
        return "" if b"\0" in data[:8192] else data.decode("utf-8", "replace")

    @functools.lru_cache(maxsize=None)
    def includes(self, path):
        """[(line, name, path in the tree or None)]: a name in quotes lies beside the file, under lib/
        or at the top, as the compiler's -I says; one in brackets is a library's."""
        found = []
        text = blank(self.text(path), strings=False)
        for match in INCLUDE.finditer(text):
            resolved = None
            if match[1] == '"':
                beside = pathlib.PurePath(path).parent
                for base in (beside, pathlib.PurePath("lib"), pathlib.PurePath()):
                    if (self.root / base / match[2]).is_file():
                        resolved = normal(base / match[2])
                        break
            found.append((text.count("\n", 0, match.start(1)) + 1, match[2], resolved))
        return found

    def closure(self, path):
        """The files of the tree that compiling this one reads, itself included."""
        seen, todo = set(), [path]
        while todo:
            current = todo.pop()
            if current not in seen:
                seen.add(current)
                todo += [target for _, _, target in self.includes(current) if target]
        return sorted(seen)


def normal(path):
    """a/../b becomes b."""
    parts = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL
)


def blank(text, strings=True):
    """C text with its comments (and its strings) blanked out; lines stay where they are."""

    def replace(match):
        if not strings and match[0][0] in "\"'":
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    return TOKEN.sub(replace, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1
