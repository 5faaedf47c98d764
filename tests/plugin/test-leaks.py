#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""GStreamer's leaks tracer over whole test programs: no object of theirs or
of the elements is alive at the end.

Usage: test-leaks.py PROGRAM…
"""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import tap  # noqa: E402

PATIENCE = 300


def find_alive(program, **environment):
    """What the tracer says of each object that is left."""
    settings = {
        "GST_TRACERS": "leaks",
        "GST_DEBUG": "GST_TRACER:7",
        "GST_DEBUG_NO_COLOR": "1",
        # Memory is looked after without the tracer, which leaks a little.
        "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=0",
    }
    done = subprocess.run(
        [program],
        env={**os.environ, **settings, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=PATIENCE,
    )
    # The tracer also prints the format of such a line, with %s in it.
    alive = re.findall(r"object-alive, type-name=\(string\)(?!%).*", done.stderr)
    # It warns when there are any, which is fatal in tests.
    others = [line for line in done.stderr.splitlines() if "GST_TRACER" not in line]
    assert alive or done.returncode == 0, "\n".join(others)
    return alive


programs = sys.argv[1:]
alive_in = {}  # the objects that each program left


@tap.test("/leaks/seen-where-there-is-one")
def _():
    alive = find_alive(programs[0], SAE_TEST_LEAK="1")
    assert len(alive) == 1 and "GstCaps" in alive[0], alive


def add(program):
    @tap.test(f"/leaks/none-in-{pathlib.Path(program).name}")
    def _():
        alive = alive_in[program] = find_alive(program)
        assert not alive, "\n".join(alive[:20])


for program in programs:
    add(program)


@tap.test("/leaks/all-programs-were-looked-at")
def _():
    clean = [program for program, alive in alive_in.items() if not alive]
    tap.fault(36, len(programs), len(clean), sum(map(len, alive_in.values())))
    assert len(alive_in) == len(programs)


del sys.argv[1:]
tap.main()
