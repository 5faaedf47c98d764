#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every gst-launch-1.0 pipeline in a ```sh block of README.md runs as it
stands there, and every command of ours, one after the other, beside a train.npy
and a heldout.npy.

Usage: test-readme.py README.md FOLDER-OF-COMMANDS
"""

import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import launch  # noqa: E402
import tap  # noqa: E402


# At the beginning of a line: a pipe may come before gst-launch-1.0.
OURS = r"gst-launch-1\.0 |^sae-(train|inspect) "


def read_commands(text):
    """Lines of the sh blocks that run one, continuations joined."""
    commands = []
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        commands += [line.strip() for line in lines if re.search(OURS, line)]
    return [command for command in commands if not command.startswith("#")]


readme = pathlib.Path(sys.argv[1])
os.environ["PATH"] = f"{os.path.abspath(sys.argv[2])}:{os.environ['PATH']}"
if not readme.exists():
    tap.skip_all(f"no {readme}")
commands = read_commands(readme.read_text(encoding="utf-8"))
if not commands:
    tap.skip_all("no pipelines in it")


@tap.test("/readme/pipelines-run-as-they-stand")
def _():
    with launch.folder():
        launch.save_activations(d=384, train=2048, heldout=512)
        for command in commands:
            printed = launch.run(command)
            assert "CRITICAL" not in printed, printed


del sys.argv[1:]
tap.main()
