#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the decimal point is a comma, every file and every line that is printed
is the same, and so is what properties are read as.

Usage: test-locale.py SAE-TRAIN SAE-INSPECT
"""

import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "plugin"))
import commas  # noqa: E402
import launch  # noqa: E402
import tap  # noqa: E402

if len(sys.argv) < 3:
    sys.exit(__doc__)
sae_train, sae_inspect = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]

# Numbers that are not the same in any two runs.
TIMES = re.compile(
    r'("?\\?"?(time|elapsed|seconds|rows[-_ ]per[-_ ]second|stream-time)[^\n:]*"?: ?'
    r"[-+.\de]+|^(sae_rows_per_second|sae_[a-z_]*seconds)\b.*$|[\d,.]+ rows/s"
    r"|in [\d.]+ s\b)",
    re.MULTILINE,
)

# What each writes into the current folder or prints.
COMMANDS = {
    "saetrainer": "gst-launch-1.0 -q saesrc location=train.npy ! saetrainer "
    "dict-size=64 sparsity=l1 target-l0=4.5 learning-rate=0.0015 beta1=0.85 "
    "grad-clip=1.5 metadata=note=0.5 checkpoint-location=run.sae "
    "log-location=log.jsonl metrics-location=sae.prom stats-interval=0 "
    "location=out ! fakesink",
    "saetop": "gst-launch-1.0 -q saesrc location=heldout.npy ! saeencoder "
    "location=out ! saetop model-location=out location=top.json "
    "page-location=top.html ! fakesink",
    "saesteer": "gst-launch-1.0 -q saesrc location=heldout.npy ! saesteer "
    "location=out latents=3:*0.5+1.25,4:=0.75 ! saenpyenc ! "
    "filesink location=steered.npy",
    "saescope": "gst-launch-1.0 -q saesrc location=heldout.npy ! saeencoder "
    "location=out ! saescope dict-size=64 rows-per-frame=1000 ! "
    "video/x-raw,width=300,height=200 ! filesink location=scope.raw",
    "sae-inspect": f"{sae_inspect} out; {sae_inspect} --json out; "
    f"{sae_inspect} --compare --matches out out",
    "sae-train": f"{sae_train} train.npy -o trained --dict-size 64 --top-k 4 "
    "--set beta2=0.98 --held-out heldout.npy --quiet --json",
    "sae-train-in-words": f"{sae_train} train.npy -o words --dict-size 64 "
    "--top-k 4 --set beta2=0.98 --held-out heldout.npy",
}


def results(command):
    """What it prints and the files that it leaves, without times."""
    before = set(pathlib.Path().rglob("*"))
    printed = launch.run(command)
    files = {
        str(path): path.read_bytes()
        for path in sorted(set(pathlib.Path().rglob("*")) - before)
        if path.is_file()
    }
    found = {"what it prints": printed.encode(), **files}
    return {
        name: TIMES.sub("", data.decode(errors="surrogateescape"))
        for name, data in found.items()
    }


def run_all(environment):
    os.environ.update(environment)
    with launch.folder():
        launch.save_activations(train=3000, heldout=500)
        return {name: results(command) for name, command in COMMANDS.items()}


@tap.test("/reliability/locale/commas-change-nothing")
def _():
    with launch.folder() as folder:
        comma = run_all({"TZ": "UTC", **commas.make_locale(folder)})
        point = run_all({"LC_ALL": "C.UTF-8"})
    tried = 0
    for name, want in point.items():
        assert comma[name].keys() == want.keys()
        for what, text in want.items():
            got = comma[name][what]
            assert got == text, f"{name}, {what}:\n{text[:2000]}\n{got[:2000]}"
            tried += 1
    assert tried > 15
    tap.fault(38, tried, tried)


tap.main()
