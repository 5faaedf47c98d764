# SPDX-License-Identifier: LGPL-2.1-or-later
"""A trained dictionary, without a pipeline."""

import os
from typing import NamedTuple

import numpy as np

from . import _arrays
from ._library import Sae, call
from ._memory import view_bytes


class Comparison(NamedTuple):
    """For each latent the most similar one of another dictionary."""

    cosines: np.ndarray  # float32 [d_sae]
    matches: np.ndarray  # uint32 [d_sae]; 2³² − 1 where there is none


def _metrics(metrics):
    names = (
        "rows", "mse", "fvu", "explained_variance", "cosine", "norm_ratio", "l0", "l1",
    )
    return {name: getattr(metrics, name) for name in names}


class Dictionary:
    """Weights and a sparsity rule, as they are on disk.

    Arrays go in as numpy's or torch's [..., d_in], of any floating type, and
    come out as the same kind, on the same device. Immutable; safe to use from
    several threads.
    """

    def __init__(self, model):
        """model: a Sae.Model"""
        self.model = model

    @classmethod
    def load(cls, path):
        """From any layout that the library loads."""
        return cls(call(Sae.Model.load, os.fspath(path)))

    @classmethod
    def from_weights(cls, W_enc, b_enc, W_dec, b_dec, k=None, threshold=None,
                     pre_bias=False):
        """W_enc and W_dec [d_sae, d]: row i reads and writes latent i. With k
        the rule is top-k, with a threshold [d_sae] jump-relu, else relu."""
        k = 0 if k is None else _arrays.whole("k", k, 0)
        if k and threshold is not None:
            raise ValueError("expected k or a threshold, got both")
        arrays = [np.atleast_1d(_arrays.to_float32(a)) for a in (W_enc, b_enc, W_dec, b_dec)]
        config = Sae.Config.new(arrays[0].shape[-1], len(arrays[0]), k)
        config.d_out = arrays[2].shape[-1]
        config.sparsity = Sae.Sparsity.TOP_K if k else Sae.Sparsity.L1
        config.pre_bias = pre_bias
        model = call(
            Sae.Model.new_from_weights, config, *map(_arrays.to_bytes, arrays)
        )
        if threshold is not None:
            data = _arrays.to_bytes(_arrays.to_float32(threshold))
            model = call(model.with_threshold, data)
        return cls(model)

    def save(self, path, layout=None):
        """Writes a folder, whole or not at all."""
        if layout is None:
            call(self.model.save, os.fspath(path))
        else:
            call(self.model.save_as, os.fspath(path), layout)

    def __repr__(self):
        k = f", k={self.k}" if self.k else ""
        return f"<Dictionary {self.sparsity}, d_in={self.d_in}, d_sae={self.d_sae}{k}>"

    # --- what it is ---

    @property
    def d_in(self):
        return self.model.get_d_in()

    @property
    def d_out(self):
        return self.model.get_d_out()

    @property
    def d_sae(self):
        return self.model.get_d_sae()

    @property
    def k(self):
        """Latents kept per row; 0 where the rule has no such number."""
        return self.model.get_k()

    @property
    def sparsity(self):
        return self.model.get_sparsity().value_nick

    @property
    def input_norm(self):
        """What is done to a row before it is encoded: "none", "layer-norm", …
        Where it needs the row, decode() cannot undo it, reconstruct() does."""
        return self.model.get_input_norm().value_nick

    @property
    def metadata(self):
        return {key: self.model.get_metadata(key) for key in self.model.list_metadata()}

    def with_metadata(self, **entries):
        model = self.model
        for key, value in entries.items():
            model = model.with_metadata(key, None if value is None else str(value))
        return Dictionary(model)

    def with_top_k(self, k):
        """The same weights under top-k with another k."""
        return Dictionary(call(self.model.with_top_k, k, Sae.Ties.LOWEST_INDEX))

    # Read-only views of the library's memory, not copies.

    @property
    def W_enc(self):
        """float32 [d_sae, d_in]: row i reads latent i. The transpose of SAELens'."""
        return view_bytes(self.model.get_W_enc(), np.float32).reshape(self.d_sae, -1)

    @property
    def W_dec(self):
        """float32 [d_sae, d_out]: row i writes latent i."""
        return view_bytes(self.model.get_W_dec(), np.float32).reshape(self.d_sae, -1)

    @property
    def b_enc(self):
        return view_bytes(self.model.get_b_enc(), np.float32)

    @property
    def b_dec(self):
        return view_bytes(self.model.get_b_dec(), np.float32)

    @property
    def threshold(self):
        data = self.model.get_threshold()
        return None if data is None else view_bytes(data, np.float32)

    # --- what it does ---

    def _latents(self, x):
        rows = _arrays.to_float32(_arrays.as_rows(x, self.d_in))
        return call(self.model.encode, _arrays.to_bytes(rows))

    def encode_rows(self, x):
        """Compressed rows: offsets [n + 1], indices [nnz], values [nnz] of
        numpy; row r owns the places offsets[r] … offsets[r + 1] − 1."""
        latents = self._latents(x)
        return (
            view_bytes(latents.get_offsets(), np.uintp),
            view_bytes(latents.get_indices(), np.uint32),
            view_bytes(latents.get_values(), np.float32),
        )

    def encode(self, x):
        """indices and values [..., width] of the active latents, indices
        ascending. width is k for top-k, else that of the row with the most;
        unused places, at the end, have index 0 and value 0."""
        offsets, active, strengths = self.encode_rows(x)
        counts = np.diff(offsets.astype(np.int64))
        indices, values = _arrays.pad_rows(counts, active, strengths, self.k)
        width = indices.shape[1]
        shape = tuple(x.shape[:-1]) if hasattr(x, "shape") else np.shape(x)[:-1]
        return tuple(_arrays.like(x, a.reshape(*shape, width)) for a in (indices, values))

    def encode_dense(self, x):
        """float32 [..., d_sae]"""
        dense = view_bytes(call(self._latents(x).to_dense), np.float32)
        return _arrays.like(x, dense.reshape(*np.shape(x)[:-1], self.d_sae))

    def decode(self, indices, values):
        """Reconstruction [..., d_out] of what encode() gives, in any order."""
        indices, values = (
            a if _arrays.is_torch(a) else np.asarray(a) for a in (indices, values)
        )
        width = values.shape[-1]
        if tuple(indices.shape) != tuple(values.shape):
            raise ValueError(
                "expected as many indices as values, got shapes "
                f"{tuple(indices.shape)} and {tuple(values.shape)}"
            )
        strengths = _arrays.to_float32(_arrays.as_rows(values, width))
        places = np.asarray(indices.cpu() if _arrays.is_torch(indices) else indices)
        if places.dtype.kind not in "iu":
            raise TypeError(f"expected integers as indices, got {places.dtype}")
        if places.size and (places.min() < 0 or places.max() >= self.d_sae):
            raise ValueError(
                f"expected indices below {self.d_sae}, got {places.min()} … {places.max()}"
            )
        latents = call(
            Sae.Latents.new_from_pairs, len(strengths), self.d_sae,
            _arrays.to_bytes(places.astype(np.uint32)), _arrays.to_bytes(strengths),
        )
        return self._decode(latents, values)

    def decode_dense(self, latents):
        """Reconstruction [..., d_out] of latents [..., d_sae]."""
        latents = latents if _arrays.is_torch(latents) else np.asarray(latents)
        rows = _arrays.to_float32(_arrays.as_rows(latents, self.d_sae))
        sparse = call(Sae.Latents.new_from_dense, self.d_sae, _arrays.to_bytes(rows))
        return self._decode(sparse, latents)

    def _decode(self, latents, x):
        x_hat = view_bytes(call(self.model.decode, latents), np.float32)
        return _arrays.like(x, x_hat.reshape(*x.shape[:-1], self.d_out))

    def reconstruct(self, x):
        """encode, then decode"""
        rows = _arrays.to_float32(_arrays.as_rows(x, self.d_in))
        x_hat, _ = call(self.model.forward, _arrays.to_bytes(rows))
        x_hat = view_bytes(x_hat, np.float32)
        return _arrays.like(x, x_hat.reshape(*np.shape(x)[:-1], self.d_out))

    def steer(self, x, edits):
        """x with latents edited, [..., d_in]: x + (latents′ − latents) W_dec.

        edits is text ("17:*0, 42:+3.5, 7:*2+1>0<8") or a dict from latents to
        the part after the colon, or to a number that they are set to."""
        if not hasattr(self.model, "steer"):
            raise NotImplementedError("this version of the library cannot steer")
        if isinstance(edits, dict):
            edits = ",".join(
                f"{latent}:{edit if isinstance(edit, str) else f'={edit}'}"
                for latent, edit in edits.items()
            )
        rows = _arrays.to_float32(_arrays.as_rows(x, self.d_in))
        edits = call(Sae.Edits.new_from_text, edits)
        steered = call(self.model.steer, _arrays.to_bytes(rows), edits)
        return _arrays.like(x, view_bytes(steered, np.float32).reshape(np.shape(x)))

    def measure(self, x, target=None):
        """mse, fvu, cosine, l0, … of the reconstruction of x, or for a
        transcoder of its target [..., d_out]"""
        rows = _arrays.to_bytes(_arrays.to_float32(_arrays.as_rows(x, self.d_in)))
        x_hat, latents = call(self.model.forward, rows)
        if target is not None:
            rows = _arrays.to_bytes(_arrays.to_float32(_arrays.as_rows(target, self.d_out)))
        return _metrics(call(Sae.measure, rows, x_hat, self.d_out, latents))

    def compare(self, other, progress=None):
        """The best match of each latent in the other dictionary, and of each
        of the other's in this one: two Comparisons."""
        found = call(self.model.compare, other.model, progress)
        return tuple(
            Comparison(
                view_bytes(side.get_cosines(), np.float32),
                view_bytes(side.get_matches(), np.uint32),
            )
            for side in (found, found.reverse())
        )
