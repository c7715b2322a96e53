"""./dev lint: runs the checks on a tree and prints what they refuse. Exit status 1 when one did."""

import argparse
import pathlib
import sys
import time

import arrows
import dockerfiles
import documents
import programs
import promises
import text
from tree import Tree

CHECKS = {
    "arrows": arrows.check,
    "banned": text.banned,
    "headers": text.headers,
    "length": text.length,
    "paths": text.machine_paths,
    "white-space": text.white_space,
    "dockerfiles": dockerfiles.check,
    "documents": documents.check,
    "promises": promises.check,
    "shell": programs.shell,
    "format": programs.format_check,
    "tidy": programs.tidy,
}
SLOW = {"tidy"}


def options():
    parser = argparse.ArgumentParser(prog="./dev lint", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out " + ", ".join(SLOW))
    parser.add_argument("--list", action="store_true", help="list the checks")
    parser.add_argument("--fix", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--root", default=".", help="the tree to look at (default: here)")
    parser.add_argument("--counts", metavar="FILE", help="write passed, failed and skipped there")
    parser.add_argument("names", metavar="CHECK", nargs="*")
    return parser.parse_args()


def main():
    chosen = options()
    if chosen.list:
        for name, check in CHECKS.items():
            print(f"  {name:12} {check.__doc__}")
        return 0
    tree = Tree(chosen.root)
    if chosen.fix:
        for _ in programs.format_check(tree, fix=True, only=chosen.names[1:]):
            pass
        return 0
    unknown = [name for name in chosen.names if name not in CHECKS]
    if unknown:
        print(f"./dev lint: there is no check {unknown[0]}; one of {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, check in CHECKS.items():
        if chosen.names and name not in chosen.names:
            continue
        if chosen.quick and name in SLOW and name not in chosen.names:
            print(f"  {name:12} skipped: --quick")
            counts["skipped"] += 1
            continue
        began = time.monotonic()
        refused = 0
        for finding in check(tree):
            print(finding, flush=True)
            refused += not finding.note
        counts["failed" if refused else "passed"] += 1
        verdict = f"refused {refused}" if refused else "ok"
        print(f"  {name:12} {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
    if chosen.counts:
        pathlib.Path(chosen.counts).write_text("{passed} {failed} {skipped}\n".format(**counts))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
