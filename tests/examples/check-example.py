# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs an example as its reader would and looks at what it says and writes.

    check-example.py PATH [--below REGEX BOUND]… [--writes FILE]…
        [--needs MODULE]… [--python PYTHON] -- COMMAND…

{out} in FILE and COMMAND is a fresh folder; the example runs in another one, for
it must not matter from where.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))
import tap  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("path", help="of the test, such as /examples/train")
    parser.add_argument(
        "--below",
        nargs=2,
        action="append",
        default=[],
        metavar=("REGEX", "BOUND"),
        help="the last number that REGEX finds in the output is below BOUND",
    )
    parser.add_argument("--writes", action="append", default=[], metavar="FILE")
    parser.add_argument("--needs", action="append", default=[], metavar="MODULE")
    parser.add_argument("--python", default="/usr/bin/python3")
    mark = sys.argv.index("--")
    options = parser.parse_args(sys.argv[1:mark])
    # Ours are named from the build folder, and it runs elsewhere.
    program, *arguments = sys.argv[mark + 1 :]
    if os.path.exists(program):
        program = os.path.abspath(program)
    options.command = [program, *arguments]
    return options


def skip_without(python, modules):
    for module in modules:
        command = [python, "-c", f"import {module}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            tap.skip_all(f"{python} has no {module}")


class Example:
    """Run once; the tests look at what came of it."""

    def __init__(self, command, folder):
        self.out = os.path.join(folder, "out")
        elsewhere = os.path.join(folder, "elsewhere")
        os.mkdir(elsewhere)
        result = subprocess.run(
            [argument.replace("{out}", self.out) for argument in command],
            cwd=elsewhere,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.status, self.output = result.returncode, result.stdout
        self.left_behind = os.listdir(elsewhere)
        for line in self.output.splitlines():
            print(f"# {line}")

    def last_number(self, regex):
        found = re.findall(regex, self.output)
        assert found, f"nothing in the output matches {regex}"
        return float(found[-1])

    def size_of(self, path):
        return os.path.getsize(path.replace("{out}", self.out))


def main():
    options = parse_arguments()
    skip_without(options.python, options.needs)
    with tempfile.TemporaryDirectory() as folder:
        example = Example(options.command, folder)

        @tap.test(options.path + "/runs")
        def _():
            assert example.status == 0, f"expected status 0, got {example.status}"

        @tap.test(options.path + "/leaves-nothing-where-it-was-started")
        def _():
            assert not example.left_behind, example.left_behind

        for regex, bound in options.below:
            name = re.sub("[^a-z0-9]+", "-", regex.lower()).strip("-")

            @tap.test(f"{options.path}/{name}-is-below-{bound}")
            def _(regex=regex, bound=float(bound)):
                number = example.last_number(regex)
                assert number < bound, f"expected less than {bound}, got {number}"

        for file in options.writes:
            name = os.path.basename(file)

            @tap.test(f"{options.path}/writes-{name}")
            def _(file=file):
                assert example.size_of(file) > 0, f"{file} is empty"

        # The tests' names are no arguments of this program.
        sys.argv = sys.argv[:1]
        tap.main()


if __name__ == "__main__":
    main()
