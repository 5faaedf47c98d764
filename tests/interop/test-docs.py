# SPDX-License-Identifier: LGPL-2.1-or-later
"""The blocks of a page run as they stand, one after another in one folder.

Usage: test-docs.py PAGE FOLDER-OF-SYSTEM-PLUGINS
A block that uses an element that is not installed here is skipped.
"""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "plugin"))
import launch  # noqa: E402
import nnstreamer  # noqa: E402
import tap  # noqa: E402

import numpy as np  # noqa: E402

page = pathlib.Path(sys.argv.pop(1))
nnstreamer.use(sys.argv.pop(1))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OPTIONAL = re.compile(r"\b(tensor_\w+|gdp\w+|tcp\w+(?:src|sink)|shm\w+|appsrc)\b")
blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
folder = launch.folder()


def find_missing(text):
    return [
        name for name in sorted(set(OPTIONAL.findall(text)))
        if subprocess.run(["gst-inspect-1.0", "--exists", name]).returncode != 0
    ]


def has_overrides():
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst

    return hasattr(Gst, "MapInfo") and hasattr(Gst.MapInfo, "__enter__")


def run_block(language, text):
    missing = find_missing(text)
    if missing:
        raise tap.Skip(f"no {', '.join(missing)}")
    if language == "python":
        if not has_overrides():
            raise tap.Skip("no python3-gst-1.0")
        pathlib.Path("block.py").write_text(text)
        text = f"{sys.executable} block.py"
    # Errors, but not those of a background job that is killed on purpose.
    pathlib.Path("block.sh").write_text(f"set -e\n{text}")
    printed = launch.run("bash block.sh")
    assert "CRITICAL" not in printed and "ERROR" not in printed, printed


def save_rows():
    # As in examples/data: float16, of a width that a language model has.
    np.save("train.npy", launch.activations(4096, 384, seed=1).astype(np.float16))
    heldout = launch.activations(512, 384, seed=2)
    np.save("heldout.npy", heldout.astype(np.float16))
    heldout.tofile("heldout.raw")


assert blocks, f"no blocks in {page}"
for number, (language, text) in enumerate(blocks, 1):
    def block_test(language=language, text=text):
        run_block(language, text)

    tap.test(f"/interop/docs/block-{number}")(block_test)

os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
with folder:
    save_rows()
    tap.main()
