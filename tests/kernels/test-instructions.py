# SPDX-License-Identifier: LGPL-2.1-or-later
"""That no kernel needs more instructions than it did. callgrind counts them,
so that other work on the machine changes nothing; what it cannot see is how
long an instruction takes, for which there is bench-kernels.

  test-instructions.py COUNT-KERNELS [--update]

instructions.json has the instructions of one call, for every compiler and C
library (the reference calls its fma) that somebody counted with; --update adds
or replaces those of this machine. With others only the ratio of the levels is
compared, and loosely. Skipped where there is no valgrind; it emulates a
processor with AVX2 and without AVX-512.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "python"))
import tap  # noqa: E402

TABLE = here / "instructions.json"
LEVELS = ("c", "avx2")
# A count may exceed the table's by so much, and is worth a new table when it
# is below it by so much.
MOST, LEAST = 1.03, 0.9
# With another compiler, the share of the stored ratio to the reference.
LEAST_RATIO = 0.6


def run_callgrind(program, level, out):
    """What the program printed; the counts are in out.1, out.2, …"""
    # Symbols are resolved at the start, not inside what is counted.
    environment = os.environ | {"SAE_KERNELS": level, "LD_BIND_NOW": "1"}
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
         "--toggle-collect=count_calls", "--dump-after=count_calls", program],
        env=environment, capture_output=True, text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def count(program, level):
    """The key of the table, and the instructions of one call of each kernel;
    no counts where the level is not there."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "out"
        text = run_callgrind(program, level, out)
        lines = [line.split() for line in text.splitlines()]
        said = {name: value for name, value in lines if name != "kernel"}
        names = [value for name, value in lines if name == "kernel"]
        if said["level"] != level:
            return said["key"], None
        counts = {}
        for number, name in enumerate(names, 1):
            dump = pathlib.Path(f"{out}.{number}").read_text()
            total = re.search(r"^totals: (\d+)$", dump, re.MULTILINE)
            counts[name] = int(total[1]) // int(said["calls"])
    return said["key"], counts


def check(level, name, got, want):
    """Against the table's own compiler."""
    text = f"{name}, {level}: {got:,} instructions a call, {want:,} before"
    assert got <= MOST * want, (
        f"{text}. If that is meant to be, run {sys.argv[0]} with --update"
    )
    if got < LEAST * want:
        print(f"# {text}: well done; --update keeps it so")


def check_ratio(level, name, got, table):
    """Against what another compiler made of it."""
    want = max(
        counts["c"][name] / counts[level][name]
        for counts in table.values()
        if name in counts.get(level, {}) and name in counts["c"]
    )
    ratio = got["c"][name] / got[level][name]
    assert ratio >= LEAST_RATIO * want, (
        f"{name}: c needs {ratio:.1f} times the instructions of {level}, "
        f"with another compiler {want:.1f} times"
    )


def add_test(key, level, name, got, table):
    @tap.test(f"/kernels/instructions/{level}/{name}")
    def _():
        if key in table:
            want = table[key].get(level, {}).get(name)
            assert want, f"{name} is not in {TABLE.name}: run with --update"
            check(level, name, got[level][name], want)
        elif level == "c":
            raise tap.Skip(f"nobody counted with {key} yet (--update does)")
        else:
            check_ratio(level, name, got, table)


def add_gone(key, got, table):
    @tap.test("/kernels/instructions/the-table-has-no-kernel-that-is-gone")
    def _():
        for level, counts in table.get(key, {}).items():
            gone = set(counts) - set(got.get(level, counts))
            assert not gone, f"{level}: {gone}; run with --update"


def main():
    program = sys.argv.pop(1)
    if not shutil.which("valgrind"):
        tap.skip_all("no valgrind")
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    got = {}
    for level in LEVELS:
        key, counts = count(program, level)
        if counts:
            got[level] = counts
    if "--update" in sys.argv:
        table[key] = got
        TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
        return
    for level, counts in got.items():
        for name in counts:
            add_test(key, level, name, got, table)
    add_gone(key, got, table)
    tap.main()


main()
