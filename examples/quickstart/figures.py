# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures of a run: what training said of itself, and what held-out
activations say of the dictionary."""

import json

import numpy as np


def read_history(path):
    """The sae-stats messages, in order, as dictionaries."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def loss_curve(history):
    """(rows, loss): each message tells the mean loss since the one before."""
    told = [entry for entry in history if entry["rows"]]
    rows = np.cumsum([entry["rows"] for entry in told])
    return rows, np.array([entry["loss"] for entry in told])


def training_speed(history):
    """(rows, seconds) of training itself, from the first row to the last."""
    told = [e for e in history if e["rows"] and e["rows-per-second"] > 0]
    rows = sum(entry["rows"] for entry in told)
    return rows, sum(e["rows"] / e["rows-per-second"] for e in told)


def fvu(x, x_hat):
    """Fraction of variance unexplained, about the mean of these rows:
    Σ‖x − x_hat‖² / Σ‖x − mean x‖², in float64."""
    x = x.astype(np.float64)
    return np.square(x - x_hat).sum() / np.square(x - x.mean(axis=0)).sum()


def l0(values):
    """Mean number of active latents per row."""
    return (values > 0).sum(axis=1).mean()


def firing_frequency(indices, values, d_sae):
    """Share of the rows that each latent fires on, [d_sae]."""
    active = indices[values > 0]
    return np.bincount(active, minlength=d_sae) / len(indices)
