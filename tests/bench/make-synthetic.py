#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stream whose true dictionary is known, for measuring how much of it
training finds.

  make-synthetic.py DIR [--rows N] [--directions N] [--d-in N] [--seed N]

A row is the sum of the directions that fire in it, each with a chance of its
own and a magnitude of 1 ± 0.15 (normal), and noise of 0.01 a coordinate. The
directions are random unit vectors; their chances fall linearly from 0.02 of
the first to 0.001 of the last. Writes

  DIR/directions.npy           float32 [directions, d_in]
  DIR/shards/shard-00000.npy   [65536, d_in] each, the last one shorter

The same seed gives the same bytes. The defaults take 1.6 GB.
"""

import argparse
import pathlib

import numpy as np

SHARD_ROWS = 65536
# Rows that are summed at once, so that what is gathered for them stays small.
CHUNK_ROWS = 2048


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=3072000)
    parser.add_argument("--directions", type=int, default=2048)
    parser.add_argument("--d-in", type=int, default=256)
    parser.add_argument("--most", type=float, default=0.02)
    parser.add_argument("--least", type=float, default=0.001)
    parser.add_argument("--magnitude-deviation", type=float, default=0.15)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_directions(options):
    rng = np.random.default_rng([options.seed, 0])
    directions = rng.standard_normal((options.directions, options.d_in))
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    return (directions / norms).astype(np.float32)


def draw_firings(rng, n_rows, options):
    """Row and direction of every firing, by row. A binomial number of rows
    without repetition is an independent chance in every row."""
    chances = np.linspace(options.most, options.least, options.directions)
    counts = rng.binomial(n_rows, chances)
    rows = np.concatenate(
        [rng.choice(n_rows, count, replace=False) for count in counts]
    )
    which = np.repeat(np.arange(options.directions), counts)
    by_row = np.argsort(rows, kind="stable")
    return rows[by_row], which[by_row]


def sum_firings(x, rows, which, magnitudes, directions):
    """Adds to x [n, d_in] the firings, which come by row."""
    for first in range(0, len(x), CHUNK_ROWS):
        start, end = np.searchsorted(rows, (first, first + CHUNK_ROWS))
        if start == end:
            continue
        parts = directions[which[start:end]] * magnitudes[start:end, None]
        fired, starts = np.unique(rows[start:end], return_index=True)
        x[fired] += np.add.reduceat(parts, starts, axis=0)


def make_shard(number, n_rows, directions, options):
    rng = np.random.default_rng([options.seed, 1, number])
    rows, which = draw_firings(rng, n_rows, options)
    magnitudes = 1 + options.magnitude_deviation * rng.standard_normal(
        len(rows), np.float32
    )
    x = options.noise * rng.standard_normal((n_rows, options.d_in), np.float32)
    x = x.astype(np.float32)
    sum_firings(x, rows, which, magnitudes.astype(np.float32), directions)
    return x.astype(options.dtype)


def main():
    options = parse_arguments()
    shards = options.folder / "shards"
    shards.mkdir(parents=True)
    directions = make_directions(options)
    np.save(options.folder / "directions.npy", directions)
    for number, first in enumerate(range(0, options.rows, SHARD_ROWS)):
        n_rows = min(SHARD_ROWS, options.rows - first)
        shard = make_shard(number, n_rows, directions, options)
        np.save(shards / f"shard-{number:05d}.npy", shard)


if __name__ == "__main__":
    main()
