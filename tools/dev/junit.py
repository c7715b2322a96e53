"""Counts the tests in a JUnit file of CTest or pytest, and prints those that failed or were skipped.

A Criterion program is one test to CTest; here its cases count, as its last line tells them
("Tested: 12 | Passing: 11 | Failing: 1 | Crashing: 0").
"""

import argparse
import pathlib
import re
import sys
import xml.etree.ElementTree

SYNTHESIS = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
# What a second run must not make good: a sanitizer's finding may need luck to be seen at all.
FINDING = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")
COLOUR = re.compile(r"\x1b\[[0-9;]*m|&#27;\[[0-9;]*m|\[[0-9;]*m")


def output_of(case):
    return "".join(node.text or "" for node in case.iter() if node.tag in ("system-out", "failure", "error"))


def judge(case):
    """(passed, failed, skipped, reason) of one test case."""
    skipped = case.find("skipped")
    if skipped is not None or case.get("status") in ("notrun", "disabled"):
        reason = skipped.get("message", "") if skipped is not None else ""
        return 0, 0, 1, reason or "not run"
    broken = case.find("failure") is not None or case.find("error") is not None
    broken = broken or case.get("status") == "fail"
    synthesis = SYNTHESIS.search(COLOUR.sub("", output_of(case)))
    if synthesis:
        _, passed, failing, crashing = map(int, synthesis.groups())
        # What CTest saw and Criterion did not: a sanitizer's finding, a time-out.
        failed = max(failing + crashing, int(broken))
        return passed, failed, 0, ""
    return int(not broken), int(broken), 0, ""


def worth_another_run(cases, most):
    """Whether a second run may tell a fault from a moment's load: few failed, and no sanitizer spoke."""
    failed = [case for case in cases if judge(case)[1]]
    return 0 < len(failed) <= most and not any(FINDING.search(output_of(case)) for case in failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", required=True, help="write passed, failed and skipped there")
    parser.add_argument(
        "--again",
        type=int,
        metavar="MOST",
        help="status 3 when tests failed, at most MOST, and none by a sanitizer's finding",
    )
    parser.add_argument("--quiet", action="store_true", help="only count")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    totals = [0, 0, 0]
    cases = [case for file in options.files for case in xml.etree.ElementTree.parse(file).iter("testcase")]
    for case in cases:
        *numbers, reason = judge(case)
        totals = [total + number for total, number in zip(totals, numbers)]
        if options.quiet:
            continue
        name = case.get("name")
        if numbers[1]:
            print(f"  FAILED {name}; its output ends:")
            for line in COLOUR.sub("", output_of(case)).splitlines()[-40:]:
                print(f"    | {line}")
        elif numbers[2]:
            print(f"  skipped {name}: {reason}")
    print("  {} passed, {} failed, {} skipped".format(*totals))
    pathlib.Path(options.counts).write_text("{} {} {}\n".format(*totals))
    if options.again is not None and worth_another_run(cases, options.again):
        sys.exit(3)


if __name__ == "__main__":
    main()
