# SPDX-License-Identifier: LGPL-2.1-or-later
"""numpy arrays to what the library takes, and back."""

import gi
import numpy as np

gi.require_version("Sae", "1.0")
from gi.repository import GLib, Sae  # noqa: E402


def to_bytes(array, dtype=np.float32):
    return GLib.Bytes.new(np.ascontiguousarray(array, dtype).tobytes())


def to_array(data, shape=(-1,), dtype=np.float32):
    return np.frombuffer(data.get_data() or b"", dtype).reshape(shape)


def weights_of(model):
    d_sae = model.get_d_sae()
    return {
        "W_enc": to_array(model.get_W_enc(), (d_sae, -1)),
        "b_enc": to_array(model.get_b_enc()),
        "W_dec": to_array(model.get_W_dec(), (d_sae, -1)),
        "b_dec": to_array(model.get_b_dec()),
    }


def make_config(d_in=24, d_sae=96, k=5, sparsity=None, pre_bias=False):
    config = Sae.Config.new(d_in, d_sae, k)
    config.sparsity = Sae.Sparsity.TOP_K if sparsity is None else sparsity
    config.pre_bias = pre_bias
    return config


def random_model(config, seed=0):
    """A model whose biases are not zero, unlike those of an untrained one."""
    rng = np.random.default_rng(seed)
    shape = (config.d_sae, config.d_in)
    return Sae.Model.new_from_weights(
        config,
        to_bytes(rng.normal(size=shape) / config.d_in**0.5),
        to_bytes(rng.normal(size=config.d_sae) * 0.1),
        to_bytes(rng.normal(size=shape) / config.d_in**0.5),
        to_bytes(rng.normal(size=config.d_in) * 0.3),
    )


def random_rows(n, d_in, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d_in)).astype(np.float32)


def expect_error(code, *words):
    """A context that wants a GLib.Error of our domain with this code, and
    these words in its text."""
    return _ErrorExpected(code, words)


class _ErrorExpected:
    def __init__(self, code, words):
        self.code, self.words = code, words

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert error is not None, "no error was raised"
        if not isinstance(error, GLib.Error):
            return False
        assert error.domain == "sae-error-quark", error.domain
        assert error.code == int(self.code), f"{error.code}: {error.message}"
        for word in self.words:
            assert word in error.message, f"no '{word}' in '{error.message}'"
        return True
