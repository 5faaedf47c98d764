#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what meson's tests found in one build folder or several.

Usage: summary.py [--also PASSED FAILED SKIPPED] BUILD-FOLDER...

Each line of TAP is a test of its own; a program that speaks no TAP is one.
Names what failed and why something was skipped; the last line is
"N passed, N failed, N skipped".
"""

import argparse
import collections
import json
import pathlib
import re
import sys

TAP_LINE = re.compile(
    r"^(?P<indent> *)(?P<not>not )?ok\b\s*\d*\s*-?\s*(?P<name>[^#]*?)\s*"
    r"(?:#\s*(?P<directive>SKIP|TODO)\S*\s*(?P<reason>.*))?$",
    re.IGNORECASE,
)
PLAN_SKIP = re.compile(r"^1\.\.0\s*#\s*SKIP\S*\s*(?P<reason>.*)$", re.I)
GOOD = ("OK", "EXPECTEDFAIL")

Case = collections.namedtuple("Case", "result name reason")


def tap_cases(program, output):
    nested = False  # newer GLib indents tests under one line for their suite
    for line in output.splitlines():
        plan = PLAN_SKIP.match(line)
        if plan:
            yield Case("skipped", program, plan["reason"])
            continue
        found = TAP_LINE.match(line)
        if not found:
            continue
        if nested and not found["indent"]:
            nested = False
            continue
        nested = bool(found["indent"])
        name = f"{program} {found['name']}"
        if (found["directive"] or "").upper() == "SKIP":
            yield Case("skipped", name, found["reason"])
        elif found["not"]:
            yield Case("failed", name, "")
        else:
            yield Case("passed", name, "")


def program_cases(entry):
    """Cases of one program. One that died, hung or ran less than it planned
    counts as failed even where none of its lines says so."""
    program, result = entry["name"], entry["result"]
    cases = list(tap_cases(program, entry.get("stdout") or ""))
    if result == "SKIP":
        return cases or [Case("skipped", program, "")]
    failed = any(case.result == "failed" for case in cases)
    if result in GOOD:
        return cases or [Case("passed", program, "")]
    if not failed:
        code = entry.get("returncode")
        cases.append(Case("failed", program, f"{result}, exit status {code}"))
    return cases


def read_build(folder):
    logs = sorted((folder / "meson-logs").glob("testlog*.json"))
    if not logs:
        return [Case("failed", str(folder), "its tests did not run")]
    entries = [
        json.loads(line) for log in logs for line in log.read_text().splitlines()
    ]
    return [case for entry in entries for case in program_cases(entry)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--also", nargs=3, type=int, default=(0, 0, 0))
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    count = collections.Counter(
        dict(zip(("passed", "failed", "skipped"), options.also))
    )
    for folder in options.folders:
        cases = read_build(folder)
        count.update(case.result for case in cases)
        for case in cases:
            if case.result != "passed":
                reason = f": {case.reason}" if case.reason else ""
                print(f"{case.result}: [{folder.resolve().name}] {case.name}{reason}")
    print(
        f"{count['passed']} passed, {count['failed']} failed, "
        f"{count['skipped']} skipped"
    )
    sys.exit(1 if count["failed"] or not count["passed"] else 0)


if __name__ == "__main__":
    main()
