# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests in Python that report in TAP, as the tests in C do.

    @tap.test("/python/model/refuses-half-rows")
    def _():
        ...

    tap.main()
"""

import sys
import traceback

_tests = []


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def test(path):
    def register(function):
        _tests.append((path, function))
        return function

    return register


def skip_all(reason):
    """Ends the program as skipped before any test ran."""
    print(f"1..0 # SKIP {reason}", flush=True)
    sys.exit(0)


def fault(number, tried, survived, lost=0):
    """What a test has seen of one row of docs/reliability.md (see
    tests/reliability/fault.h)."""
    print(f"# fault {number}: tried {tried}, survived {survived}, lost {lost}", flush=True)


def _run(number, path, function):
    try:
        function()
    except Skip as skip:
        print(f"ok {number} {path} # SKIP {skip}", flush=True)
    except Exception:  # a failed assertion as well as a bug in the test
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        print(f"not ok {number} {path}", flush=True)
        return False
    else:
        print(f"ok {number} {path}", flush=True)
    return True


def main():
    wanted = [argument for argument in sys.argv[1:] if argument[0] == "/"]
    chosen = [
        (path, function)
        for path, function in _tests
        if not wanted or any(path.startswith(prefix) for prefix in wanted)
    ]
    print(f"1..{len(chosen)}", flush=True)
    passed = [
        _run(number, path, function)
        for number, (path, function) in enumerate(chosen, 1)
    ]
    sys.exit(0 if all(passed) else 1)
