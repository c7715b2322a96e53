"""Checks that other programs make: clang-format, clang-tidy, shellcheck."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

from tree import Finding

CLANG_FORMAT = "clang-format-16"
CLANG_TIDY = "clang-tidy-16"
DIAGNOSTIC = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?:warning|error): (?P<text>.*)$", re.M)
CACHE = "build/lint-cache"
BUILD = "build/debug"


def run(tree, *command):
    return subprocess.run(
        command, cwd=tree.root, capture_output=True, text=True, errors="replace", check=False
    )


def findings(tree, output):
    """Compiler-like lines of a program's output, each place and sentence once."""
    seen = set()
    for match in DIAGNOSTIC.finditer(output):
        path = os.path.relpath(os.path.join(tree.root, match["path"]), tree.root)
        text = match["text"].replace(",-warnings-as-errors]", "]")
        finding = Finding(path, int(match["line"]), text)
        if finding not in seen:
            seen.add(finding)
            yield finding


def format_check(tree, fix=False, only=()):
    """refuses C files that clang-format-16 would change"""
    paths = [p for p in tree.c_files() if not only or p in only]
    if fix:
        before = {p: (tree.root / p).read_bytes() for p in paths}
        for start in range(0, len(paths), 100):
            run(tree, CLANG_FORMAT, "-i", *paths[start : start + 100])
        for path in paths:
            if (tree.root / path).read_bytes() != before[path]:
                print(f"formatted {path}")
        return
    for start in range(0, len(paths), 100):
        done = run(tree, CLANG_FORMAT, "--dry-run", *paths[start : start + 100])
        unformatted = {}
        for finding in findings(tree, done.stderr):
            unformatted.setdefault(finding.path, finding)
        for finding in unformatted.values():
            yield finding._replace(message="is not as clang-format-16 writes it; run ./dev format")
        if done.returncode != 0 and not unformatted:
            yield Finding(".clang-format", 1, done.stderr.strip() or "clang-format-16 failed")


def shell(tree):
    """refuses what shellcheck warns about"""
    paths = tree.shell_files()
    if paths:
        done = run(tree, "shellcheck", "-x", "--format=gcc", *paths)
        yield from findings(tree, done.stdout.replace(": note: ", ": warning: "))
        if done.returncode > 1:
            yield Finding("dev", 1, done.stderr.strip() or "shellcheck failed")


def tidy(tree):
    """refuses what clang-tidy-16 warns about (.clang-tidy); looks only at what changed since it was clean"""
    database = tree.root / BUILD / "compile_commands.json"
    if not database.is_file():
        yield Finding(".clang-tidy", 1, f"{BUILD}/compile_commands.json is not there; run ./dev lint")
        return
    version = run(tree, CLANG_TIDY, "--version").stdout
    cache = tree.root / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    todo = []
    for entry in json.loads(database.read_text()):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), tree.root)
        if path not in tree.paths:
            continue
        stamp = cache / digest(tree, version, entry, path)
        if stamp.exists():
            os.utime(stamp)
        else:
            todo.append((path, stamp))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        began = told = time.monotonic()
        seen = set()  # a header's trouble shows in every file that includes it
        jobs = {pool.submit(tidy_one, tree, path, stamp): path for path, stamp in todo}
        for count, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            yield from (finding for finding in job.result() if finding not in seen)
            seen.update(job.result())
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"    clang-tidy: {count} of {len(todo)} files, {told - began:.0f} s", flush=True)
    forget(cache)


def digest(tree, version, entry, path):
    """What the verdict on a file depends on: it, the headers it reads, the rules, flags and versions."""
    rules = [tree.text(p) for p in tree.matching(".clang-tidy") if path.startswith(p[: -len(".clang-tidy")])]
    parts = [version, *rules, entry.get("command", "")]
    parts += [name + "\0" + tree.text(name) for name in tree.closure(path)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def tidy_one(tree, path, stamp):
    done = run(tree, CLANG_TIDY, "--quiet", "-p", BUILD, path)
    found = list(findings(tree, done.stdout + done.stderr))
    if not found and done.returncode == 0:
        stamp.touch()
    elif not found:
        found = [Finding(path, 1, done.stderr.strip() or "clang-tidy-16 failed")]
    return found


def forget(cache):
    """Verdicts that nobody asked for in two weeks go."""
    for stamp in cache.iterdir():
        if time.time() - stamp.stat().st_mtime > 14 * 86400:
            stamp.unlink()


def missing():
    """Programs that are not installed."""
    from shutil import which

    return [name for name in (CLANG_FORMAT, CLANG_TIDY, "shellcheck") if not which(name)]


if __name__ == "__main__":
    sys.exit("run ./dev lint")
