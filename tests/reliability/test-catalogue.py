#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the catalogue of faults speaks of what is there: sources, tests, and
the rows of docs/reliability.md.

Usage: test-catalogue.py BUILD-FOLDER
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import catalogue  # noqa: E402
import tap  # noqa: E402

build = pathlib.Path(sys.argv.pop(1))
rows = catalogue.read_rows()


@tap.test("/reliability/catalogue/has-a-row-for-each-fault")
def _():
    assert list(rows) == list(range(1, len(rows) + 1)), list(rows)


@tap.test("/reliability/catalogue/guards-are-in-the-sources")
def _():
    for number, row in rows.items():
        for guard in row.get("guard", []):
            n = (catalogue.TOP / guard["file"]).read_text().count(guard["old"])
            assert n == 1, f"{number}: {guard['what']}: {n} times in {guard['file']}"


@tap.test("/reliability/catalogue/tests-are-there")
def _():
    tests = json.loads((build / "meson-info" / "intro-tests.json").read_text())
    names = {test["name"] for test in tests}
    # Some are not made everywhere; what the source calls so may be.
    sources = "".join(
        path.read_text() for path in (catalogue.TOP / "tests").rglob("meson.build")
    )
    for number, row in rows.items():
        wanted = set(row.get("tests", []))
        wanted |= {guard["test"] for guard in row.get("guard", [])}
        for name in wanted - names:
            assert f"'{name}'" in sources, f"{number}: there is no test {name}"


@tap.test("/reliability/catalogue/page-has-its-rows")
def _():
    page = (catalogue.TOP / "docs" / "reliability.md").read_text()
    for number, row in rows.items():
        assert f"| {number} | {row['fault']} | {row['expected']} |" in page, number
        for line in catalogue.guard_lines(number, row):
            assert line in page, line


tap.main()
