# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the strongest examples of latents are, by NumPy."""

import numpy as np

# Tokens that a page must show and never run.
HOSTILE = ["<script>document.title = 'taken'</script>", "</script>", "<!--",
           "<img src=x onerror=\"document.title = 'taken'\">", "&lt;b&gt;", "\u2028",
           "]]>", "\"", "\\", "\x01"]


def expected(dense, per_latent, context, tokens=None):
    """What the JSON should say of latents that fire, by NumPy."""
    n = len(dense)
    for latent in np.flatnonzero((dense > 0).any(axis=0)):
        v = dense[:, latent]
        rows = np.lexsort((np.arange(n), -v))[: min(per_latent, (v > 0).sum())]
        shown = []
        for row in rows:
            first, last = max(row - context, 0), min(row + context, n - 1) + 1
            example = {"row": int(row), "time": None, "value": v[row],
                       "first_row": int(first), "values": v[first:last].tolist()}
            if tokens:
                example |= {"token": tokens[row], "tokens": tokens[first:last]}
            else:  # where the stream ends is not known
                pad = row + context + 1 - last
                example["values"] += [0.0] * int(pad)
            shown.append(example)
        fired = v[v > 0]
        yield {"index": int(latent), "fired": len(fired),
               "log10_frequency": np.log10(len(fired) / n),
               "mean": fired.astype(np.float64).mean(), "max": fired.max(),
               "examples": shown}


def same(got, want, path=""):
    if isinstance(want, dict):
        assert got.keys() == want.keys(), (path, got.keys(), want.keys())
        for key in want:
            same(got[key], want[key], f"{path}.{key}")
    elif isinstance(want, list):
        assert len(got) == len(want), (path, got, want)
        for i, (g, w) in enumerate(zip(got, want)):
            same(g, w, f"{path}[{i}]")
    elif isinstance(want, np.float32) or path.endswith("]") and isinstance(want, float):
        assert np.float32(got) == np.float32(want), (path, got, want)
    elif isinstance(want, float):
        assert abs(got - want) <= 1e-8 * max(1, abs(want)), (path, got, want)
    else:
        assert got == want, (path, got, want)
