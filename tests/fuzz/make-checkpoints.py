#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seeds of fuzz-checkpoint to corpus/checkpoint/.

Runs where the library is found: meson devenv -C build tests/fuzz/make-checkpoints.py
"""
import pathlib
import random
import struct

import gi

gi.require_version("Sae", "1.0")
from gi.repository import GLib, Sae

HERE = pathlib.Path(__file__).resolve().parent / "corpus" / "checkpoint"
D = 2


def rows(n):
    draw = random.Random(n)
    values = [draw.gauss(1, 1) for _ in range(n * D)]
    return GLib.Bytes.new(struct.pack(f"<{len(values)}f", *values))


HERE.mkdir(parents=True, exist_ok=True)
for name, sparsity, n in (
    ("top-k", Sae.Sparsity.TOP_K, 7),
    ("top-k-calibrated", Sae.Sparsity.TOP_K, 8201),
    ("l1-calibrated", Sae.Sparsity.L1, 8201),
):
    trainer = Sae.Trainer.new(D, 3, 2)
    trainer.props.sparsity = sparsity
    trainer.props.batch_size = 3
    trainer.props.shuffle_rows = 2
    trainer.props.n_threads = 1
    trainer.push(rows(n), None)
    trainer.checkpoint().save(str(HERE / name))
