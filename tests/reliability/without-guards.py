#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes each guard of the catalogue out and sees its test fail.

Usage: without-guards.py [--keep FOLDER] [--list] [NUMBER...]

Works in a copy of the source tree. First each test has to pass there as it
is; then one guard after the other is replaced by what its entry in
faults/*.toml says, the project is built, and the test has to fail, or to
hang where the entry says that it may. Where the test is skipped, so is its
guard. Prints TAP.
"""

import argparse
import filecmp
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from catalogue import SKIPPED, TOP, read_rows

SANITIZED = ["-Db_lundef=false", "--buildtype=debugoptimized",
             "-Dintrospection=disabled"]
SETUP = {
    "plain": ["-Ddocs=disabled"],
    "sanitized": ["-Db_sanitize=address,undefined", *SANITIZED],
    "tsan": ["-Db_sanitize=thread", *SANITIZED],
}


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, **more)


class Tree:
    """The copy, with a build folder of each kind that is asked for."""

    def __init__(self, folder):
        self.source = folder / "source"
        self.folder = folder
        names = run(["git", "-C", TOP, "ls-files", "-z", "--cached",
                     "--others", "--exclude-standard"], check=True).stdout
        for name in filter(None, names.split("\0")):
            if (TOP / name).is_file():
                self.copy(name)

    def copy(self, name):
        """What a run that was killed has left is not the source's."""
        target = self.source / name
        if target.exists() and filecmp.cmp(TOP / name, target, shallow=False):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, target)

    def build(self, kind):
        build = self.folder / kind
        if not (build / "build.ninja").exists():
            done = run(["meson", "setup", *SETUP[kind], build, self.source])
            assert done.returncode == 0, done.stdout + done.stderr
        return build, run(["meson", "compile", "-C", build])

    def test(self, guard, patience):
        """How the test of a guard ends: passed, failed, timed out (after so
        many times what meson waits), skipped, no such case, or the error of
        the build."""
        build, compiled = self.build(guard.get("build", "plain"))
        if compiled.returncode != 0:
            return "does not build", compiled.stdout[-2000:]
        command = ["meson", "test", "-C", build, "--no-rebuild",
                   "-t", str(patience), guard["test"],
                   "--test-args", guard.get("arguments", f"-p {guard['case']}")]
        if guard.get("arguments") == "":
            command = command[:-2]
        done = run(command, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        log = (build / "meson-logs" / "testlog.json").read_text().splitlines()
        results = [json.loads(line) for line in log]
        text = "\n".join(result.get("stdout") or "" for result in results)
        if SKIPPED.search(text) and done.returncode in (0, 77):
            return "skipped", text
        if done.returncode == 0:
            return ("passed" if guard["case"] in text else "no such case"), text
        if any(result["result"] == "TIMEOUT" for result in results):
            return "timed out", text
        return "failed", text


class Without:
    """The source without one guard, as long as it lasts."""

    def __init__(self, tree, guard):
        self.path = tree.source / guard["file"]
        self.text = self.path.read_text()
        self.guard = guard

    def __enter__(self):
        n = self.text.count(self.guard["old"])
        assert n == 1, f"{self.guard['file']} has {n} times {self.guard['old']!r}"
        self.path.write_text(self.text.replace(self.guard["old"], self.guard["new"]))

    def __exit__(self, *_):
        self.path.write_text(self.text)


def check(tree, number, guard):
    how, text = tree.test(guard, 30)
    if how == "skipped":
        return "SKIP", text
    if how != "passed":
        return f"with the guard: {how}", text
    may_hang = guard.get("hangs")
    with Without(tree, guard):
        how, text = tree.test(guard, 1 if may_hang else 5)
    if how != "failed" and not (may_hang and how == "timed out"):
        return f"without the guard: {how}", text
    return None, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER",
                        help="work here and leave it for the next time")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("numbers", nargs="*", type=int)
    options = parser.parse_args()
    todo = [
        (number, guard)
        for number, row in read_rows().items()
        for guard in row.get("guard", [])
        if not options.numbers or number in options.numbers
    ]
    if options.list:
        for number, guard in todo:
            print(f"{number:3} {guard['what']} ({guard['file']}; {guard['case']})")
        return 0
    failed = False
    with tempfile.TemporaryDirectory(prefix="sae-guards-") as temporary:
        tree = Tree((options.keep or pathlib.Path(temporary)).resolve())
        print(f"1..{len(todo)}", flush=True)
        for i, (number, guard) in enumerate(todo, 1):
            wrong, text = check(tree, number, guard)
            skipped = wrong == "SKIP"
            for line in text.splitlines()[-40:] if wrong else []:
                print(f"#   {line}")
            print(f"{'not ' if wrong and not skipped else ''}ok {i} /reliability/without-guards/"
                  f"{number}/{guard['what'].replace(' ', '-')}"
                  f"{' # ' + wrong if wrong else ''}", flush=True)
            failed = failed or bool(wrong) and not skipped
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
