#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads what `gst-launch-1.0 -m` prints and shows how training goes.

Of the messages only saetrainer's sae-stats is looked at:

  Got message #7 from element "saetrainer0" (element): sae-stats,
  rows=(guint64)20480, …, loss=(double)0.21, fvu=(double)0.2, …;

Each tells of the rows since the one before. Every one is written as a line of
JSON to --log, with the field names of the message; errors and warnings come
on stderr, which this program does not read.
"""

import argparse
import json
import re
import sys
import time

MESSAGE = re.compile(r"^Got message #\d+ .*\(element\): sae-stats, (.*);$")
# A nested structure (the field total) is quoted: its fields have a backslash
# before "=", and so do not look like this.
FIELD = re.compile(r"(?:^|, )([a-z0-9-]+)=\((\w+)\)([^,;\"]+)")
CONVERT = {"guint64": int, "double": float, "boolean": lambda text: text == "true"}


def parse(line):
    """The fields of a sae-stats message, or None for any other line."""
    match = MESSAGE.match(line.rstrip("\n"))
    if not match:
        return None
    return {
        name: CONVERT[kind](value)
        for name, kind, value in FIELD.findall(match[1])
        if kind in CONVERT
    }


class ProgressLine:
    """One line that is rewritten in a terminal, now and then one elsewhere."""

    QUIET_SECONDS = 5

    def __init__(self, expected_rows):
        self.expected_rows, self.rows = expected_rows, 0
        self.in_place = sys.stdout.isatty()
        self.last_shown = -self.QUIET_SECONDS

    def show(self, stats):
        self.rows += stats["rows"]
        now = time.monotonic()
        if stats["rows"] == 0 or not (
            self.in_place
            or stats["final"]
            or now - self.last_shown >= self.QUIET_SECONDS
        ):
            return
        self.last_shown = now
        done = ""
        if self.expected_rows:
            done = f"{100 * self.rows / self.expected_rows:4.0f} %"
        text = (
            f"{done}{self.rows:>11,} rows {stats['rows-per-second']:>8,.0f} "
            f"rows/s   fvu {stats['fvu']:.4f}   l0 {stats['l0']:.1f}   "
            f"dead {100 * stats['dead-fraction']:.2f} %"
        )
        print(
            f"\r{text}\033[K" if self.in_place else text,
            end="" if self.in_place else "\n",
            flush=True,
        )

    def finish(self):
        if self.in_place and self.rows:
            print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", required=True, help="JSON lines are written here")
    parser.add_argument(
        "--rows", type=int, default=0, help="rows that will come, for the percentage"
    )
    options = parser.parse_args()

    progress = ProgressLine(options.rows)
    with open(options.log, "w", encoding="utf-8") as log:
        for line in sys.stdin:
            stats = parse(line)
            if stats:
                log.write(json.dumps(stats) + "\n")
                progress.show(stats)
    progress.finish()


if __name__ == "__main__":
    main()
