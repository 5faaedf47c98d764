# SPDX-License-Identifier: LGPL-2.1-or-later
"""What examples/steer-language-model.py prints has to be consistent.

    test-steer-language-model.py PYTHON EXAMPLE
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))
import tap  # noqa: E402

python, example = sys.argv[1:3]
NUMBER = r"([-+]?[0-9.]+)"


def run(folder, *options):
    done = subprocess.run(
        [python, example, os.path.join(folder, "dictionary"), *options],
        cwd=folder, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    for line in done.stdout.splitlines():
        print(f"# {line}")
    assert done.returncode == 0, f"it ended with {done.returncode}"
    return done.stdout


def numbers(pattern, printed):
    """The numbers of the first place where the pattern is; # stands for one."""
    found = re.search(pattern.replace("#", NUMBER), printed)
    assert found, f"no '{pattern}'"
    return [float(group) for group in found.groups()]


def needs(*modules):
    for module in modules:
        command = [python, "-c", f"import {module}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            tap.skip_all(f"{python} has no {module}")


needs("gi", "numpy", "torch")
sys.argv = sys.argv[:1]
with tempfile.TemporaryDirectory() as folder:
    first = run(folder)
    # The dictionary is there now, and the model is made anew, the same one.
    again = run(folder, "--latents", "3:*1,5:+0")

    @tap.test("/examples/steer-language-model/the-model-has-learnt")
    def _():
        clean, zeros, mean = numbers(
            "clean #, with the reconstruction [0-9.]+, with zeros #, with the mean #",
            first,
        )
        assert clean < mean and clean < zeros and clean < 3, (clean, mean, zeros)

    @tap.test("/examples/steer-language-model/loss-recovered-is-that-of-the-losses")
    def _():
        clean, spliced, zeros, mean = numbers(
            "clean #, with the reconstruction #, with zeros #, with the mean #", first
        )
        of_zeros, of_mean = numbers("loss recovered +# .*, # of", first)
        assert 0.5 < of_mean < 1 and 0.5 < of_zeros < 1, (of_mean, of_zeros)
        # The losses are printed with four digits.
        for ablated, recovered in (zeros, of_zeros), (mean, of_mean):
            want = (ablated - spliced) / (ablated - clean)
            assert abs(recovered - want) < 1e-3, (recovered, want)

    @tap.test("/examples/steer-language-model/without-edits-the-bits-are-the-same")
    def _():
        assert "without edits    the same bits as clean" in first
        loss, more, kl = numbers("edit 3.*loss # \\(#\\), KL #", again)
        assert more == 0 and kl == 0, (more, kl)
        assert loss == numbers("clean #", again)[0]

    @tap.test("/examples/steer-language-model/the-model-is-the-same-each-time")
    def _():
        lines = [text.splitlines()[:4] for text in (first, again)]
        assert lines[0] == lines[1], lines

    @tap.test("/examples/steer-language-model/an-edit-changes-the-distribution")
    def _():
        clean = numbers("clean #", first)[0]
        edits = re.findall("edit .*", first)
        assert len(edits) == 2, edits
        for edit in edits:
            loss, more, kl, most = numbers(
                "loss # \\(#\\), KL # nats a token, at most #", edit
            )
            assert abs(loss - clean - more) < 2e-4, (loss, clean, more)
            assert 0 < kl <= most, (kl, most)
        assert first.count("more likely: ") == first.count("less likely: ") == 2
        shifts = [float(n) for n in re.findall(r" ([-+]0\.\d{5})\b", first)]
        # A character less likely is another one more likely.
        assert len(shifts) == 24 and max(shifts) > 0 > min(shifts), shifts

    tap.main()
