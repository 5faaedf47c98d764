#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of docs/tutorial.md, as they stand there and in their order, in
an empty folder; and whether they leave what it says.

Usage: test-tutorial.py SOURCES TOOLS-FOLDER [ELEMENT-THAT-IS-NOT-BUILT…]
"""

import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "plugin"))
import launch  # noqa: E402
import tap  # noqa: E402

sources, tools, *missing = sys.argv[1:]
del sys.argv[1:]
tutorial = pathlib.Path(sources) / "docs" / "tutorial.md"


def read_blocks():
    blocks = re.findall(
        r"^```sh\n(.*?)^```", tutorial.read_text(), re.DOTALL | re.MULTILINE
    )
    return [b for b in blocks if not any(f"! \\\n  {m} " in b for m in missing)]


def run_all():
    """Output of each block, in the current folder."""
    os.environ["GST_SAE"] = sources
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    return [launch.run("set -euo pipefail\n" + block) for block in read_blocks()]


@tap.test("/docs/tutorial/runs-from-start-to-end")
def _():
    with launch.folder():
        printed = "".join(run_all())
        assert "CRITICAL" not in printed and "WARNING" not in printed, printed
        fvu = float(re.search(r"held-out +fvu ([0-9.]+)", printed)[1])
        print(f"# held-out fvu {fvu}")
        assert fvu < 0.25, fvu
        assert "gst-launch-1.0 saesrc" in printed
        latents = json.load(open("latents.json"))["latents"]
        assert 4000 < len(latents) <= 4096, len(latents)  # those that fired
        page = pathlib.Path("latents.html").read_text()
        assert "<html" in page and "all-MiniLM-L6-v2, layer 3" in page
        assert os.path.getsize("steered.npy") > 2016 * 384 * 2
        if "saescope" not in missing:
            assert list(pathlib.Path().glob("scope-*.png"))
        # Some latent stands for one word.
        assert re.search(r"^\d+ [a-z]+ \d+\.\d$", printed, re.MULTILINE), printed


tap.main()
