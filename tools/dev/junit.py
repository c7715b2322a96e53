"""Counts the tests in a JUnit file of CTest or pytest, and prints those that failed or were skipped.

A Criterion program is one test to CTest; here its cases count, as its last line tells them
("Tested: 12 | Passing: 11 | Failing: 1 | Crashing: 0").
"""

import argparse
import pathlib
import re
import xml.etree.ElementTree

SYNTHESIS = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m|&#27;\[[0-9;]*m|\[[0-9;]*m")


def output_of(case):
    return "".join(node.text or "" for node in case.iter() if node.tag in ("system-out", "failure"))


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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", required=True, help="write passed, failed and skipped there")
    parser.add_argument("--quiet", action="store_true", help="only count")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    totals = [0, 0, 0]
    for file in options.files:
        for case in xml.etree.ElementTree.parse(file).iter("testcase"):
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


if __name__ == "__main__":
    main()
