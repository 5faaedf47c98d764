#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every gst-launch-1.0 pipeline in a ```sh block of a document runs as it stands
there, and every command of ours, one after the other, beside the files that the documents speak of:
train.npy, heldout.npy and their _tokens.txt, a.npy, the folder shards/, and a
dictionary out/.

Usage: test-documents.py FOLDER-OF-COMMANDS DOCUMENT… [--without ELEMENT…]
"""

import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import launch  # noqa: E402
import tap  # noqa: E402

PASSAGE = 126

# At the beginning of a line: a pipe may come before gst-launch-1.0.
OURS = r"gst-launch-1\.0 |^sae-(train|inspect) "


def read_commands(text):
    """Lines of the sh blocks that run one, continuations joined."""
    commands = []
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        commands += [line.strip() for line in lines if re.search(OURS, line)]
    return [command for command in commands if not command.startswith("#")]


def prepare():
    launch.save_activations(d=384, train=2048, heldout=4 * PASSAGE)
    shutil.copy("train.npy", "a.npy")
    pathlib.Path("shards").mkdir()
    shutil.copy("train.npy", "shards")
    for name, rows in ("train", 2048), ("heldout", 4 * PASSAGE):
        tokens = "".join(f"token{row}\n" for row in range(rows))
        pathlib.Path(f"{name}_tokens.txt").write_text(tokens)
    launch.launch(
        "saesrc location=train.npy ! saetrainer dict-size=256 top-k=32 location=out/ "
        "! fakesink"
    )


def add(document, missing):
    name = document.stem.lower()
    commands = [
        # A test has no screen, and nobody types.
        command.replace("autovideosink", "fakesink") + " < /dev/null"
        for command in read_commands(document.read_text(encoding="utf-8"))
        if not any(element in command for element in missing)
    ]

    @tap.test(f"/documents/{name}/pipelines-run-as-they-stand")
    def _():
        assert commands, f"no pipelines in {document}"
        with launch.folder():
            prepare()
            for command in commands:
                printed = launch.run(command)
                assert "CRITICAL" not in printed, printed


tools, *arguments = sys.argv[1:]
os.environ["PATH"] = f"{os.path.abspath(tools)}:{os.environ['PATH']}"
missing = []
if "--without" in arguments:
    at = arguments.index("--without")
    arguments, missing = arguments[:at], arguments[at + 1 :]
del sys.argv[1:]
for argument in arguments:
    add(pathlib.Path(argument), missing)
tap.main()
