# SPDX-License-Identifier: LGPL-2.1-or-later
"""The man pages say what --help says, and are well-formed.

Usage: test-manuals.py SAE-TRAIN SAE-INSPECT FOLDER
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "python"))
import tap  # noqa: E402

programs = {pathlib.Path(path).name: path for path in sys.argv[1:3]}
folder = pathlib.Path(sys.argv[3])
del sys.argv[1:]

# What checks pages is not ours to sanitize.
CHECKERS_ENV = {key: os.environ[key] for key in os.environ if key != "LD_PRELOAD"}

# Those of GStreamer, of which the page says where they are.
OTHERS = {"--help-all"}


def options_of(program):
    text = subprocess.run(
        [programs[program], "--help"], capture_output=True, text=True, check=True
    ).stdout
    return {
        (short or None, long)
        for short, long in re.findall(r"^  (?:(-\w), )?(--[a-z][a-z0-9-]*)", text, re.MULTILINE)
    }


def options_of_page(program):
    text = (folder / f"{program}.1").read_text().replace("\\-", "-")
    found = set()
    for line in re.findall(r"^\.TP\n\.BR (-.*)$", text, re.MULTILINE):
        names = re.findall(r"(?<![\w-])--?[a-z0-9-]+", line.split("=")[0], re.IGNORECASE)
        long = [name for name in names if name.startswith("--")]
        short = [name for name in names if not name.startswith("--")]
        found.add((short[0] if short else None, long[0]))
    return found


for program in programs:

    @tap.test(f"/tools/manuals/{program}/has-every-option-and-no-other")
    def _(program=program):
        said = {pair for pair in options_of(program) if pair[1] not in OTHERS}
        said.discard((None, "--help-gst"))
        assert options_of_page(program) == said, options_of_page(program) ^ said

    @tap.test(f"/tools/manuals/{program}/is-without-warnings")
    def _(program=program):
        checked = False
        for checker in (
            ["groff", "-man", "-Tutf8", "-ww", "-z"],
            ["mandoc", "-T", "lint", "-W", "warning"],
        ):
            if not shutil.which(checker[0]):
                continue
            done = subprocess.run(
                [*checker, folder / f"{program}.1"], capture_output=True, text=True,
                env=CHECKERS_ENV,
            )
            said = [
                line for line in (done.stdout + done.stderr).splitlines()
                if "missing date" not in line
            ]
            assert not said, said
            checked = True
        if not checked:
            raise tap.Skip("neither groff nor mandoc")


tap.main()
