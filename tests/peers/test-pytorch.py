# SPDX-License-Identifier: LGPL-2.1-or-later
"""PyTorch's autograd gives the committed goldens, and PyTorch's training
reaches what ours reaches.

Usage: test-pytorch.py SOURCE-FOLDER SAE-BENCH
"""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

source = pathlib.Path(sys.argv.pop(1))
sae_bench = sys.argv.pop(1)


def run(*command):
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@tap.test("/peers/pytorch/training-goldens-are-what-autograd-gives")
def _():
    script = source / "tests" / "goldens" / "make-training.py"
    out = run(sys.executable, script, "--check")
    assert "24 runs agree" in out, out


@tap.test("/peers/pytorch/rules-goldens-are-what-autograd-gives")
def _():
    script = source / "tests" / "goldens" / "make-rules.py"
    out = run(sys.executable, script, "--check")
    assert "17 runs agree" in out, out


@tap.test("/peers/pytorch/the-same-training-reaches-the-same-fvu")
def _():
    data = source / "examples" / "data"
    arguments = [
        f"--data={data / 'train.npy'}", f"--held-out={data / 'heldout.npy'}",
        "--d-sae=512", "--k=16", "--epochs=2", "--learning-rate=3e-3",
    ]
    script = source / "tests" / "bench" / "bench-pytorch.py"
    theirs = json.loads(run(sys.executable, script, *arguments))
    ours = json.loads(run(sae_bench, *arguments))
    assert ours["steps"] == theirs["steps"], (ours, theirs)
    # Start and order are drawn otherwise, which moves the fvu by about 1 %.
    ratio = ours["held_out_fvu"] / theirs["held_out_fvu"]
    assert 0.97 < ratio < 1.03, (ours, theirs)


tap.main()
