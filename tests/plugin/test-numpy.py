# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files between NumPy and pipelines, as gst-launch-1.0 runs them.

Usage: test-numpy.py GST-LAUNCH [/path/of/a/test ...]
"""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))

import numpy as np
import tap

gst_launch = sys.argv.pop(1)
random = np.random.default_rng(20240607)


def launch(*words):
    done = subprocess.run(
        [gst_launch, "-q", *" ! ".join(words).split()],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=60)
    assert done.returncode == 0, done.stdout


def any_bits(shape, dtype):
    """Every bit pattern is a value: NaNs and denormals have to survive."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(random.bytes(size), dtype=dtype).reshape(shape)


def same_bytes(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, a.shape,
                                                       b.dtype, b.shape)
    assert a.tobytes() == b.tobytes()


def round_trip(folder, array, read, write="saenpyenc"):
    source = os.path.join(folder, "in.npy")
    target = os.path.join(folder, "out.npy")
    np.save(source, array)
    launch(read.format(source), write, f"filesink location={target}")
    return np.load(target)


READERS = ["saesrc location={} rows-per-buffer=7",
           "filesrc location={} ! saeparse rows-per-buffer=7",
           "filesrc location={} blocksize=100 ! queue ! saeparse"]


@tap.test("/plugin/numpy/round-trip-is-the-same-bytes")
def _():
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ["<f4", "<f2", "<f8"]:
            for shape in [(100, 12), (1, 1), (7, 3), (0, 5), (1000, 64)]:
                for read in READERS:
                    array = any_bits(shape, dtype)
                    same_bytes(round_trip(folder, array, read), array)


@tap.test("/plugin/numpy/outer-dimensions-become-rows")
def _():
    with tempfile.TemporaryDirectory() as folder:
        array = any_bits((4, 5, 12), "<f4")
        for read in READERS:
            same_bytes(round_trip(folder, array, read), array.reshape(20, 12))


@tap.test("/plugin/numpy/header-versions-2-and-3")
def _():
    with tempfile.TemporaryDirectory() as folder:
        array = any_bits((50, 6), "<f4")
        source = os.path.join(folder, "in.npy")
        target = os.path.join(folder, "out.npy")
        for version in [(2, 0), (3, 0)]:
            with open(source, "wb") as file:
                np.lib.format.write_array(file, array, version=version)
            for read in READERS:
                launch(read.format(source), "saenpyenc",
                       f"filesink location={target}")
                same_bytes(np.load(target), array)


@tap.test("/plugin/numpy/raw-rows")
def _():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "in.raw")
        target = os.path.join(folder, "out.npy")
        for dtype, name in [("<f4", "float32"), ("<f2", "float16"),
                            ("<f8", "float64")]:
            array = any_bits((50, 6), dtype)
            array.tofile(source)
            launch(f"filesrc location={source}",
                   f"saeparse input-size=6 dtype={name} rows-per-buffer=7",
                   "saenpyenc", f"filesink location={target}")
            same_bytes(np.load(target), array)


@tap.test("/plugin/numpy/bfloat16-is-the-upper-half-of-float32")
def _():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "in.raw")
        target = os.path.join(folder, "out.npy")
        halves = np.arange(65536, dtype="<u2").reshape(1024, 64)
        halves.tofile(source)
        launch(f"filesrc location={source}",
               "saeparse input-size=64 dtype=bfloat16", "saenpyenc",
               f"filesink location={target}")
        want = (halves.astype("<u4") << 16).view("<f4")
        same_bytes(np.load(target), want)


@tap.test("/plugin/numpy/shuffled-passes-have-each-row-once")
def _():
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "out.npy")
        shards = os.path.join(folder, "shards")
        os.mkdir(shards)
        array = np.arange(3 * 333, dtype="<f4").reshape(333, 3)
        for i, part in enumerate(np.array_split(array, 5)):
            np.save(os.path.join(shards, f"part-{i:04d}.npy"), part)
        launch(f"saesrc location={shards} epochs=3 shuffle=true seed=5",
               "saenpyenc", f"filesink location={target}")
        got = np.load(target)
        assert got.shape == (999, 3)
        for rows in np.split(got, 3):
            order = np.argsort(rows[:, 0])
            assert not np.array_equal(order, np.arange(333))
            same_bytes(rows[order], array)


@tap.test("/plugin/numpy/files-of-a-loop")
def _():
    with tempfile.TemporaryDirectory() as folder:
        array = any_bits((40, 6), "<f4")
        got = round_trip(
            folder, array, "multifilesrc location={} loop=true num-buffers=3 "
            "! saeparse rows-per-buffer=16")
        same_bytes(got, np.concatenate([array] * 3))


tap.main()
