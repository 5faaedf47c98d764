# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks of quality measure, each by one function, for every
contender alike."""

import numpy as np

# Rows that are encoded at once.
CHUNK = 4096


def chunks(x):
    for first in range(0, len(x), CHUNK):
        yield np.ascontiguousarray(x[first : first + CHUNK], np.float32)


class HeldOut:
    """fvu about the mean of the measured rows, Σ‖x − x̂‖² / Σ‖x − mean x‖², and
    mean active latents per row."""

    def __init__(self, x):
        self.mean = np.mean(x, axis=0, dtype=np.float64)
        self.error = self.variance = self.active = self.rows = 0

    def add(self, x, x_hat, n_active):
        self.error += np.square(x.astype(np.float64) - x_hat).sum()
        self.variance += np.square(x - self.mean).sum()
        self.active += n_active
        self.rows += len(x)

    @property
    def fvu(self):
        return float(self.error / self.variance)

    @property
    def l0(self):
        return float(self.active / self.rows)


def quality(forward, d_sae, held_out, train):
    """fvu and l0 on held_out; dead: share of latents that fire on no row of
    train. forward: x [n, d_in] -> x_hat [n, d_in], indices of the active
    latents of all rows, one after the other."""
    held, fires = HeldOut(held_out), np.zeros(d_sae, bool)
    for x in chunks(held_out):
        x_hat, active = forward(x)
        held.add(x, x_hat, len(active))
    for x in chunks(train):
        fires[forward(x)[1]] = True
    return {"fvu": held.fvu, "l0": held.l0, "dead": float(1 - fires.mean())}


def unit_rows(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)


def recovery(directions, W_dec):
    """How well decoder rows find the true directions: the mean over directions
    of the best |cosine|, and the share of them above 0.9."""
    found, truth = unit_rows(W_dec), unit_rows(directions)
    best = np.array([np.abs(found @ direction).max() for direction in truth])
    return {"cosine": float(best.mean()), "above": float((best > 0.9).mean())}
