# SPDX-License-Identifier: LGPL-2.1-or-later
"""numpy's and torch's arrays, of any floating type and on any device."""

import operator
import sys

import numpy as np

from ._library import GLib


def whole(name, value, least):
    """value as an int: mistakes of a caller are told at once."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name}: expected at least {least}, got {number}")
    return number


def is_torch(x):
    """Without importing torch where nobody has."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def as_rows(x, width):
    """x [..., width] as [n, width], a view where that is possible."""
    if not is_torch(x):
        x = np.asarray(x)
        if x.dtype.kind not in "fiub" and x.dtype.name != "bfloat16":
            raise TypeError(f"expected real numbers, got an array of {x.dtype}")
    elif x.is_complex():
        raise TypeError(f"expected real numbers, got a tensor of {x.dtype}")
    if x.ndim == 0 or x.shape[-1] != width:
        raise ValueError(
            f"expected rows of {width} numbers, got an array of shape {tuple(x.shape)}"
        )
    return x.reshape(-1, width)


def keep_rows(rows, mask):
    """The rows [n, d] where mask, of n elements in any shape, is not 0."""
    if is_torch(rows):
        import torch

        mask = torch.as_tensor(mask, device=rows.device).reshape(-1) != 0
    else:
        mask = np.asarray(mask.cpu() if is_torch(mask) else mask).reshape(-1) != 0
    if len(mask) != len(rows):
        raise ValueError(f"expected a mask of {len(rows)} rows, got one of {len(mask)}")
    return rows[mask]


def copy_into(view, rows):
    """One copy, which converts and comes from the device where it has to."""
    if is_torch(rows):
        import torch

        torch.from_numpy(view).copy_(rows.detach())
    else:
        view[...] = rows


def to_float32(rows):
    """rows [n, d] as a contiguous float32 array of numpy."""
    if is_torch(rows):
        import torch

        rows = rows.detach().to("cpu", torch.float32).numpy()
    return np.ascontiguousarray(rows, np.float32)


def to_bytes(array):
    return GLib.Bytes.new(array.tobytes())


def like(x, array):
    """A result, for whom gave x: a tensor on its device, or numpy's array."""
    if not is_torch(x):
        return array
    import torch

    if array.dtype == np.uint32:  # which torch lacked for long
        array = array.astype(np.int64)
    elif not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array).to(x.device)


def pad_rows(counts, indices, values, width=0):
    """Rows back to back, of @counts places each, as two arrays [n, width or the
    longest row]: unused places, at the end, have index 0 and value 0."""
    width = max(width, int(counts.max(initial=0)))
    used = np.arange(width) < counts[:, None]
    padded = np.zeros(used.shape, np.uint32), np.zeros(used.shape, values.dtype)
    padded[0][used], padded[1][used] = indices, values
    return padded
