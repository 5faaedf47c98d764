# SPDX-License-Identifier: LGPL-2.1-or-later
"""That the benchmarks of quality measure what they say.

  test-quality.py BUILD
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

here = pathlib.Path(__file__).resolve().parent
build = sys.argv.pop(1)
sys.path += [str(here), str(here.parent / "python")]

import measure  # noqa: E402
import rows  # noqa: E402
import tap  # noqa: E402


def make_synthetic(folder, *arguments):
    script = here / "make-synthetic.py"
    subprocess.run(
        [sys.executable, script, folder, "--rows=70000", "--directions=64",
         "--d-in=16", *arguments],
        check=True,
    )
    return np.load(folder / "directions.npy"), rows.load(folder / "shards")


@tap.test("/bench/quality/the-library-and-gst-launch-train-the-same")
def _():
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "out.json"
        subprocess.run(
            [sys.executable, here / "quality.py", build, "--through=both",
             "--run=full,short,unknown-length", "--scale=0.05",
             "--threads=1", f"--json={out}"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        results = json.loads(out.read_text())
    assert [r["rows"] for r in results] == [7358] * 2 + [1471] * 2 + [7358] * 2
    for library, launch in zip(results[::2], results[1::2]):
        for key in ("fvu", "l0", "dead"):
            assert library[key] == launch[key], (library, launch)
    # The schedule of a known length is another.
    assert results[0]["fvu"] != results[4]["fvu"]


@tap.test("/bench/rows/an-order-has-every-row-once-and-is-its-own")
def _():
    orders = [rows.permutation(1000, 3, number) for number in range(2)]
    for order in orders:
        assert (np.sort(order) == np.arange(1000)).all()
    assert (orders[0] != orders[1]).any()


@tap.test("/bench/rows/a-batch-goes-over-the-end-of-a-pass")
def _():
    x = np.arange(10, dtype=np.float16)[:, None]
    batches = list(rows.stream(x, 25, 4, shuffle=False))
    assert [len(batch) for batch in batches] == [4] * 6 + [1]
    assert (np.concatenate(batches)[:, 0] == np.arange(25) % 10).all()


@tap.test("/bench/measure/the-mean-explains-nothing-and-a-copy-all")
def _():
    x = np.random.default_rng(1).normal(3, 1, (5000, 6)).astype(np.float32)
    mean = x.mean(axis=0, dtype=np.float64)
    worst = measure.quality(lambda x: (0 * x + mean, [2]), 4, x, x)
    assert abs(worst["fvu"] - 1) < 1e-6 and worst["dead"] == 0.75
    best = measure.quality(lambda x: (x, [0, 1] * len(x)), 4, x, x)
    assert best == {"fvu": 0, "l0": 2, "dead": 0.5}


@tap.test("/bench/measure/recovery-sees-neither-sign-nor-length-nor-order")
def _():
    truth = np.eye(4, dtype=np.float32)
    found = measure.recovery(truth, -3 * truth[[2, 0, 1]])
    assert found == {"cosine": 0.75, "above": 0.75}


@tap.test("/bench/synthetic/rows-are-sums-of-directions-that-fire-as-said")
def _():
    with tempfile.TemporaryDirectory() as scratch:
        truth, x = make_synthetic(pathlib.Path(scratch) / "a")
        _, same = make_synthetic(pathlib.Path(scratch) / "b")
        assert (x == same).all() and x.dtype == np.float16
    assert x.shape == (70000, 16) and truth.shape == (64, 16)
    # With p the chances and D the directions, the mean is p D; the variance is
    # Σ p (1 + 0.15² − p) over the directions, and 0.01² a coordinate.
    chances = np.linspace(0.02, 0.001, 64)
    x = x.astype(np.float64)
    want = (chances * (1 + 0.15**2 - chances)).sum() + 16 * 0.01**2
    got = x.var(axis=0).sum()
    assert abs(got - want) < 0.02 * want, (got, want)
    assert np.abs(x.mean(axis=0) - chances @ truth).max() < 0.005


tap.main()
