#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The catalogue of faults, and what the tests have seen of each.

Usage: catalogue.py [--write PAGE [--machine TEXT]] [--also LOG]
           [--ran NUMBER FOLDER] BUILD-FOLDER...

Reads the rows from faults/*.toml, and what tests said of them (fault_report()
of fault.h, tap.fault() in Python) from the logs of build folders. Without
--write, prints the figures and fails if a row that has tests has none though
nothing of them was skipped, or if anything did not survive.
"""

import argparse
import collections
import json
import pathlib
import re
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# Newer GLib indents what a test of a suite says.
SAID = re.compile(
    r"^ *# fault (\d+): tried (\d+), survived (\d+), lost (\d+)$", re.MULTILINE
)
SKIPPED = re.compile(r"^ *(ok\b|1\.\.0).*# SKIP", re.MULTILINE | re.IGNORECASE)
BEGIN, END = "<!-- catalogue -->", "<!-- end of catalogue -->"
KEYS = {"number", "fault", "expected", "tests", "guard", "without", "lost"}

Figures = collections.namedtuple("Figures", "tried survived lost")


def read_rows():
    """All rows by their number, as faults/README.md explains them."""
    rows = {}
    for path in sorted((HERE / "faults").glob("*.toml")):
        for row in tomllib.loads(path.read_text())["row"]:
            where = f"{path.name}, row {row.get('number')}"
            assert set(row) <= KEYS, f"{where}: {set(row) - KEYS} is no key"
            assert row["number"] not in rows, f"{where} is there twice"
            assert bool(row.get("guard")) != bool(row.get("without")), (
                f"{where}: either guards, or why there is none to take out"
            )
            rows[row["number"]] = row
    return dict(sorted(rows.items()))


def read_logs(folders):
    """What each test printed, as (name, text)."""
    for folder in folders:
        for log in sorted((folder / "meson-logs").glob("testlog*.json")):
            for line in log.read_text().splitlines():
                entry = json.loads(line)
                # "suite - project:name", or as the version of meson has it
                name = re.split("[ :/]", entry["name"])[-1]
                yield name, entry.get("stdout") or ""


def read_figures(texts):
    """What the tests said, summed up for each row."""
    sums = collections.defaultdict(lambda: [0, 0, 0])
    for text in texts:
        for number, *figures in SAID.findall(text):
            for place, figure in enumerate(figures):
                sums[int(number)][place] += int(figure)
    return {number: Figures(*three) for number, three in sums.items()}


def read_runs(runs):
    """Of a tool that fails each test that it complains of, by the row's number:
    how many tests ran under it. A folder without a log was left out."""
    for number, folder in runs:
        log = pathlib.Path(folder) / "meson-logs" / "testlog.json"
        if log.exists():
            lines = log.read_text().splitlines()
            results = [json.loads(line)["result"] for line in lines]
            n_skipped = results.count("SKIP")
            yield int(number), Figures(
                len(results) - n_skipped, results.count("OK"), 0
            )


def complaints(rows, figures, skipped):
    for number in sorted(figures.keys() - rows.keys()):
        yield f"fault {number}: tests speak of it, but the catalogue does not"
    for number, row in rows.items():
        if number in figures:
            if figures[number].survived != figures[number].tried:
                yield f"fault {number} ({row['fault']}): {figures[number]}"
        elif row.get("tests") and not skipped.intersection(row["tests"]):
            yield f"fault {number} ({row['fault']}): no test said what it saw"


def guard_lines(number, row):
    """Lines of the second table: what is taken out, and what fails then."""
    if row.get("without"):
        return [f"| {number} | – | {row['without']} |"]
    return [
        f"| {number} | {guard['what']} (`{guard['file']}`) | `{guard['case']}` |"
        for guard in row["guard"]
    ]


def make_table(rows, figures):
    lines = [
        "| # | fault | what is expected | tried | survived | lost |",
        "|---:|---|---|---:|---:|---:|",
    ]
    for number, row in rows.items():
        seen = figures.get(number)
        cells = [f"{figure:,}" for figure in seen] if seen else ["–"] * 3
        lines.append(
            f"| {number} | {row['fault']} | {row['expected']} | "
            + " | ".join(cells) + " |"
        )
    lines += ["", "| # | without its guard | this fails |", "|---:|---|---|"]
    for number, row in rows.items():
        lines += guard_lines(number, row)
    return "\n".join(lines)


def write_page(page, table, machine):
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{page} has no place for the catalogue ({BEGIN} … {END})"
    page.write_text(f"{before}{BEGIN}\n{machine}\n\n{table}\n{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE")
    parser.add_argument("--machine", default="", help="a sentence for the page")
    parser.add_argument("--also", action="append", default=[], metavar="LOG",
                        type=pathlib.Path, help="a text that has figures, too")
    parser.add_argument("--ran", action="append", default=[], nargs=2,
                        metavar=("NUMBER", "FOLDER"),
                        help="each test of that build is a try of that row")
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    rows = read_rows()
    logs = list(read_logs(options.folders))
    skipped = {name for name, text in logs if SKIPPED.search(text)}
    figures = read_figures(
        [text for _, text in logs] + [path.read_text() for path in options.also]
    )
    figures.update(read_runs(options.ran))
    if options.write:
        write_page(options.write, make_table(rows, figures), options.machine)
    for number, row in rows.items():
        if number in figures:
            tried, survived, lost = figures[number]
            print(f"{number:3} {row['fault']}: tried {tried:,}, "
                  f"survived {survived:,}, lost {lost:,}")
        elif skipped.intersection(row["tests"]):
            print(f"{number:3} {row['fault']}: not tried, for its tests were skipped")
    bad = list(complaints(rows, figures, skipped))
    for line in bad:
        print(line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
