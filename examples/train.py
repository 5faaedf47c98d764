#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Training without a pipeline, on rows that numpy holds.

  python3 train.py train.npy heldout.npy dictionary/

Rows go to the library as GLib.Bytes of float32, row by row: one copy in, one
copy out, whatever the number of rows.
"""

import sys

import gi
import numpy as np

gi.require_version("Sae", "1.0")
from gi.repository import GLib, Sae

EPOCHS, ROWS_PER_PUSH = 2, 4096


def to_bytes(rows):
    """rows [n, d], any float type -> GLib.Bytes of float32"""
    return GLib.Bytes.new(np.asarray(rows, dtype=np.float32).tobytes())


def to_rows(data, width):
    """GLib.Bytes of float32 -> [n, width]"""
    return np.frombuffer(data.get_data(), dtype=np.float32).reshape(-1, width)


def train(x):
    """x [n, d_in] -> Sae.Model"""
    trainer = Sae.Trainer.new(x.shape[1], 1024, 16)  # d_in, d_sae, k
    # Every option is a property. With the length of the run known, the learning
    # rate falls to 0 at its end.
    trainer.props.total_rows = EPOCHS * len(x)
    trainer.props.seed = 1
    random = np.random.default_rng(1)
    for epoch in range(EPOCHS):
        # Neighbouring tokens are alike: shuffled rows make better batches.
        order = random.permutation(len(x))
        for start in range(0, len(x), ROWS_PER_PUSH):
            trainer.push(to_bytes(x[order[start : start + ROWS_PER_PUSH]]))
        metrics = trainer.take_metrics()  # of the rows since the last call
        print(
            f"epoch {epoch}: {metrics.rows} rows, fvu {metrics.fvu:.4f}, "
            f"l0 {metrics.l0:.1f}, dead {100 * metrics.dead_fraction:.1f} %, "
            f"{metrics.rows_per_second:.0f} rows/s"
        )
    trainer.flush()  # the last batch, though it is not full
    return trainer.get_model()


def main():
    train_path, heldout_path, folder = sys.argv[1:]
    model = train(np.load(train_path))
    # A folder that SAELens loads, and this library, and saeencoder.
    model.with_metadata("hook_name", "encoder.layer.2").save(folder)

    model = Sae.Model.load(folder)
    x = np.load(heldout_path).astype(np.float32)
    latents = model.encode(to_bytes(x))
    x_hat = to_rows(model.decode(latents), model.get_d_out())

    # The latents are sparse: those of row r are the places from offsets[r] to
    # offsets[r + 1] of two flat arrays.
    offsets = np.frombuffer(latents.get_offsets().get_data(), dtype=np.uintp)
    indices = np.frombuffer(latents.get_indices().get_data(), dtype=np.uint32)
    values = np.frombuffer(latents.get_values().get_data(), dtype=np.float32)
    for row in range(3):
        active = slice(offsets[row], offsets[row + 1])
        strongest = np.argsort(-values[active])[:4]
        print(
            f"row {row}:",
            ", ".join(
                f"latent {indices[active][place]} {values[active][place]:.2f}"
                for place in strongest
            ),
        )

    fvu = np.square(x - x_hat).sum() / np.square(x - x.mean(axis=0)).sum()
    print(f"held-out fvu {fvu:.4f}")


if __name__ == "__main__":
    main()
