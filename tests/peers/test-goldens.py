# SPDX-License-Identifier: LGPL-2.1-or-later
"""The committed goldens are what their script makes.

Usage: test-goldens.py GOLDENS-FOLDER
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

goldens = pathlib.Path(sys.argv.pop(1))


@tap.test("/peers/pytorch/training-goldens-are-what-autograd-gives")
def _():
    script = goldens / "make-training.py"
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "24 runs agree" in result.stdout, result.stdout


tap.main()
