# SPDX-License-Identifier: LGPL-2.1-or-later
"""sae_model_compare() against numpy in float64."""

import hashlib
import os
import subprocess
import sys

import numpy as np

import tap
from bridge import Sae, expect_error, make_config, to_array, to_bytes

NONE = 0xFFFFFFFF
# A dot product of unit rows in float32.
TOLERANCE = 1e-6


def model_with(W_dec):
    d_sae, d = W_dec.shape
    zeros = np.zeros
    return Sae.Model.new_from_weights(
        make_config(d, d_sae, 1), to_bytes(zeros((d_sae, d))), to_bytes(zeros(d_sae)),
        to_bytes(W_dec), to_bytes(zeros(d)),
    )


def random_rows(n, d, seed):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * rng.uniform(0.1, 9, (n, 1))).astype(np.float32)


def compare(a, b, progress=None):
    return model_with(a).compare(model_with(b), progress)


def arrays(comparison):
    return (
        to_array(comparison.get_cosines()),
        to_array(comparison.get_matches(), dtype=np.uint32),
    )


def reference(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    return a @ b.T


def check(comparison, cosines):
    got, matches = arrays(comparison)
    assert np.abs(got - cosines.max(axis=1)).max() < TOLERANCE
    rows = np.arange(len(cosines))
    # Where two are as good as equal, either may be the best in float32.
    assert (cosines.max(axis=1) - cosines[rows, matches] < TOLERANCE).all()
    assert (matches == cosines.argmax(axis=1)).mean() > 0.99


@tap.test("/python/comparison/matches-numpy-both-ways")
def _():
    for n, m, d in (1, 1, 1), (1, 300, 7), (300, 1, 7), (64, 128, 16), (65, 129, 17), (700, 333, 40):
        a, b = random_rows(n, d, 1), random_rows(m, d, 2)
        cosines = reference(a, b)
        comparison = compare(a, b)
        check(comparison, cosines)
        check(comparison.reverse(), cosines.T)
        check(comparison.reverse().reverse(), cosines)


@tap.test("/python/comparison/a-permutation-is-found")
def _():
    a = random_rows(500, 24, 3)
    order = np.random.default_rng(4).permutation(500)
    cosines, matches = arrays(compare(a, a[order] * 3))
    assert (order[matches] == np.arange(500)).all()
    assert np.abs(cosines - 1).max() < TOLERANCE and cosines.max() <= 1


@tap.test("/python/comparison/of-equal-ones-the-lower-index-wins")
def _():
    a = np.repeat(random_rows(1, 8, 5), 400, axis=0)
    for side in compare(a, a[:300]), compare(a, a[:300]).reverse():
        assert (arrays(side)[1] == 0).all()


@tap.test("/python/comparison/cosines-are-signed")
def _():
    a = random_rows(1, 8, 6)
    cosines, matches = arrays(compare(a, -a))
    assert abs(cosines[0] + 1) < TOLERANCE and matches[0] == 0


@tap.test("/python/comparison/a-row-of-zeros-has-no-match-and-is-none")
def _():
    a, b = random_rows(70, 8, 7), -np.abs(random_rows(140, 8, 8))
    a = np.abs(a)  # against b only negative cosines, which 0 would beat
    a[[0, 69]] = 0
    b[[0, 5, 139]] = 0
    for side, of, zeros in (compare(a, b), b, [0, 69]), (compare(a, b).reverse(), a, [0, 5, 139]):
        cosines, matches = arrays(side)
        assert (matches[zeros] == NONE).all() and (cosines[zeros] == 0).all()
        rest = np.delete(np.arange(len(matches)), zeros)
        assert (cosines[rest] < 0).all() and np.linalg.norm(of[matches[rest]], axis=1).all()
    cosines, matches = arrays(compare(a, np.zeros((3, 8), np.float32)))
    assert (matches == NONE).all() and (cosines == 0).all()


@tap.test("/python/comparison/rows-of-any-size-of-number")
def _():
    a, b = random_rows(50, 16, 9), random_rows(60, 16, 10)
    cosines = reference(a, b)
    for scale in 1e-36, 1e36:
        check(compare((a * np.float32(scale)), b), cosines)
        check(compare(a, (b * np.float32(scale))), cosines)


@tap.test("/python/comparison/shares-and-quantiles-are-numpy's")
def _():
    comparison = compare(random_rows(301, 6, 11), random_rows(200, 6, 12))
    cosines = arrays(comparison)[0].astype(np.float64)
    for bound in 0.5, 0.9, 2, -2:
        assert comparison.get_share_above(bound) == (cosines > bound).mean()
    for q in 0, 0.1, 0.5, 0.77, 1:
        assert abs(comparison.get_quantile(q) - np.quantile(cosines, q)) < 1e-7
    single = compare(random_rows(1, 6, 11), random_rows(2, 6, 12))
    assert single.get_quantile(0.5) == arrays(single)[0][0]


@tap.test("/python/comparison/progress-rises-to-one")
def _():
    told = []
    compare(random_rows(3000, 6, 13), random_rows(20, 6, 14), told.append)
    assert told == sorted(told) and told[-1] == 1, told


@tap.test("/python/comparison/other-widths-are-refused")
def _():
    with expect_error(Sae.Error.SIZE, "8", "9"):
        compare(random_rows(4, 8, 1), random_rows(4, 9, 1))


def digest():
    comparison = compare(random_rows(500, 37, 15), random_rows(300, 37, 16))
    data = b"".join(
        side.get_cosines().get_data() + side.get_matches().get_data()
        for side in (comparison, comparison.reverse())
    )
    return hashlib.sha256(data).hexdigest()


@tap.test("/python/comparison/the-same-bits-at-every-level-and-thread-count")
def _():
    here = digest()
    for level, processors in ("c", 64), ("avx2", 1), ("avx512", 1):
        command = [sys.executable, __file__, "--digest"]
        if processors == 1 and os.path.exists("/usr/bin/taskset"):
            command = ["taskset", "1", *command]
        there = subprocess.run(
            command, env={**os.environ, "SAE_KERNELS": level}, capture_output=True, text=True
        )
        assert there.stdout.strip() == here, (level, there.stdout, there.stderr)


if "--digest" in sys.argv:
    print(digest())
else:
    tap.main()
