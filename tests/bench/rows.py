# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rows that the benchmarks of quality train on, in the order in which
saesrc sends them, so that every contender sees the same stream."""

import pathlib

import numpy as np

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
ROUNDS = 8
MIN_HALF_BITS = 3


def mix(z):
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def permutation(n, seed, number):
    """The order of pass `number` of `saesrc shuffle=true seed=…` over n rows:
    the same Feistel network with cycle walking as gstsaepermutation.c."""
    half_bits = MIN_HALF_BITS
    while half_bits < 32 and 1 << (2 * half_bits) < n:
        half_bits += 1
    half, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    # An array of one: with scalars numpy warns where it wraps around.
    start = np.array([seed], np.uint64) + GOLDEN_GAMMA
    state = mix(mix(start) + np.uint64(number))
    keys = []
    for _ in range(ROUNDS):
        state = state + GOLDEN_GAMMA
        keys.append(mix(state))

    def encrypt(value):
        left, right = value >> half, value & mask
        for key in keys:
            left, right = right, left ^ (mix(right ^ key) & mask)
        return left << half | right

    order = encrypt(np.arange(n, dtype=np.uint64))
    outside = order >= n
    while outside.any():
        order[outside] = encrypt(order[outside])
        outside = order >= n
    return order.astype(np.int64)


def list_shards(path):
    """A .npy file, or those of a folder in order of their names."""
    path = pathlib.Path(path)
    return sorted(path.glob("*.npy")) if path.is_dir() else [path]


def load(path):
    """[n, d_in] of all shards in the type of the files; a single file is
    mapped, not read."""
    shards = [np.load(shard, mmap_mode="r") for shard in list_shards(path)]
    return shards[0] if len(shards) == 1 else np.concatenate(shards)


def stream(x, total, batch, seed=0, shuffle=True):
    """float32 [<= batch, d_in] of x in passes of their own order, `total` rows
    in all. As saesrc, a batch may end one pass and begin the next."""
    n, left = len(x), np.arange(0)
    for number in range(-(-total // n)):
        order = permutation(n, seed, number) if shuffle else np.arange(n)
        order = np.concatenate([left, order[: total - number * n]])
        whole = len(order) // batch * batch
        for first in range(0, whole, batch):
            yield take(x, order[first : first + batch])
        left = order[whole:]
    if len(left):
        yield take(x, left)


def take(x, rows):
    return np.ascontiguousarray(x[rows], np.float32)
