# SPDX-License-Identifier: LGPL-2.1-or-later
"""The forward pass in numpy, float64: what the library is compared with."""

import numpy as np


def pre_acts(weights, x, pre_bias=False):
    centred = x.astype(np.float64)
    if pre_bias:
        centred = centred - weights["b_dec"]
    return centred @ weights["W_enc"].astype(np.float64).T + weights["b_enc"]


def top_k(acts, k):
    """The k largest of each row, the lower index first among equals."""
    order = np.argsort(-acts, axis=1, kind="stable")[:, :k]
    latents = np.zeros_like(acts)
    np.put_along_axis(
        latents, order, np.take_along_axis(acts, order, axis=1), axis=1
    )
    return latents


def encode(weights, x, k=None, pre_bias=False):
    acts = np.maximum(pre_acts(weights, x, pre_bias), 0.0)
    return acts if k is None else top_k(acts, k)


def decode(weights, latents):
    return latents @ weights["W_dec"].astype(np.float64) + weights["b_dec"]


def fvu(x, x_hat):
    x = x.astype(np.float64)
    return ((x - x_hat) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()


def worst(got, want):
    """Largest difference, relative to the largest magnitude expected."""
    return np.abs(got - want).max() / np.abs(want).max()
