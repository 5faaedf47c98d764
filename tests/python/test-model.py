# SPDX-License-Identifier: LGPL-2.1-or-later
"""SaeModel and SaeLatents from Python, against numpy in float64."""

import os
import tempfile

import numpy as np

import reference
import tap
from bridge import (
    GLib, Sae, expect_error, make_config, random_model, random_rows,
    to_array, to_bytes, weights_of,
)

# float32 sums of d_in or d_sae products, relative to the largest output.
TOLERANCE = 2e-6


def check_forward(config, k):
    model = random_model(config)
    weights = weights_of(model)
    x = random_rows(33, config.d_in)
    want = reference.encode(weights, x, k, config.pre_bias)
    latents = model.encode(to_bytes(x))
    got = to_array(latents.to_dense(), want.shape)
    assert reference.worst(got, want) < TOLERANCE
    assert ((got != 0) == (want != 0)).all()
    x_hat = to_array(model.decode(latents), x.shape)
    want_x_hat = reference.decode(weights, want)
    assert reference.worst(x_hat, want_x_hat) < TOLERANCE


@tap.test("/python/model/top-k-matches-numpy")
def _():
    check_forward(make_config(), 5)
    check_forward(make_config(d_in=1, d_sae=1, k=1), 1)


@tap.test("/python/model/top-k-with-pre-bias-matches-numpy")
def _():
    check_forward(make_config(pre_bias=True), 5)


@tap.test("/python/model/l1-matches-numpy")
def _():
    check_forward(make_config(k=0, sparsity=Sae.Sparsity.L1), None)
    check_forward(
        make_config(k=0, sparsity=Sae.Sparsity.L1, pre_bias=True), None
    )


@tap.test("/python/model/jump-relu-matches-numpy")
def _():
    config = make_config(k=0, sparsity=Sae.Sparsity.L1)
    model = random_model(config)
    assert model.get_threshold() is None
    threshold = np.random.default_rng(2).normal(size=config.d_sae)
    threshold = threshold.astype(np.float32)
    jump = model.with_threshold(to_bytes(threshold))
    assert jump.get_sparsity() == Sae.Sparsity.JUMP_RELU
    assert jump.get_threshold().get_data() == threshold.tobytes()
    x = random_rows(33, config.d_in)
    want = reference.encode(weights_of(model), x)
    want[want <= threshold] = 0
    got = to_array(jump.encode(to_bytes(x)).to_dense(), want.shape)
    assert reference.worst(got, want) < TOLERANCE
    assert ((got != 0) == (want != 0)).all() and 0 < (want != 0).mean() < 0.5


@tap.test("/python/model/gated-matches-numpy")
def _():
    config = make_config(k=0, sparsity=Sae.Sparsity.L1, pre_bias=True)
    plain = random_model(config)
    weights = weights_of(plain)
    assert plain.get_r_mag() is None and plain.get_b_mag() is None
    rng = np.random.default_rng(3)
    r_mag, b_mag = rng.normal(size=(2, config.d_sae)).astype(np.float32)
    model = plain.with_gate(to_bytes(r_mag), to_bytes(b_mag))
    assert model.get_sparsity() == Sae.Sparsity.GATED
    assert model.get_r_mag().get_data() == r_mag.tobytes()
    assert model.get_b_mag().get_data() == b_mag.tobytes()
    x = random_rows(33, config.d_in)
    gate = reference.pre_acts(weights, x, True)
    magnitude = (gate - weights["b_enc"]) * np.exp(r_mag.astype("f8")) + b_mag
    want = np.where(gate > 0, np.maximum(magnitude, 0), 0)
    got = to_array(model.encode(to_bytes(x)).to_dense(), want.shape)
    assert reference.worst(got, want) < TOLERANCE
    assert ((got != 0) == (want != 0)).all() and 0 < (want != 0).mean() < 0.5
    with expect_error(Sae.Error.SIZE, "r_mag", "96"):
        model.with_gate(to_bytes(r_mag[1:]), to_bytes(b_mag))


def normalise(norm, x):
    """The rows, and the mean and the scale of each."""
    x = x.astype(np.float64)
    if norm == Sae.InputNorm.LAYER_NORM:
        mean, scale = x.mean(1), x.std(1, ddof=1)
        return (x - mean[:, None]) / (scale[:, None] + 1e-5), mean, scale
    scale = np.linalg.norm(x, axis=1) / x.shape[1] ** 0.5
    return x / scale[:, None], np.zeros(len(x)), scale


@tap.test("/python/model/normalised-rows-match-numpy")
def _():
    x = random_rows(33, 24) * 3 + 1
    for norm in (Sae.InputNorm.LAYER_NORM, Sae.InputNorm.CONSTANT_NORM):
        config = make_config(pre_bias=True)
        config.input_norm = norm
        model = random_model(config)
        assert model.get_input_norm() == norm
        rows, mean, scale = normalise(norm, x)
        want = reference.encode(weights_of(model), rows, 5, True)
        latents = model.encode(to_bytes(x))
        norms = latents.get_row_norms()
        got = to_array(norms, (33, 2))
        assert np.allclose(got, np.stack([mean, scale], 1), rtol=1e-6)
        assert reference.worst(
            to_array(latents.to_dense(), want.shape), want
        ) < TOLERANCE
        want = reference.decode(weights_of(model), want)
        want = want * scale[:, None] + mean[:, None]
        x_hat = model.decode(latents)
        assert reference.worst(to_array(x_hat, x.shape), want) < TOLERANCE
        bare = latents.with_row_norms(None)
        with expect_error(Sae.Error.UNSUPPORTED, "mean"):
            model.decode(bare)
        again = bare.with_row_norms(norms)
        assert model.decode(again).equal(x_hat)


@tap.test("/python/model/forward-is-encode-then-decode")
def _():
    model = random_model(make_config())
    x = to_bytes(random_rows(7, 24))
    x_hat, latents = model.forward(x)
    assert latents.get_indices().equal(model.encode(x).get_indices())
    assert x_hat.equal(model.decode(latents))


@tap.test("/python/model/the-same-seed-gives-the-same-weights")
def _():
    config = make_config()
    first = Sae.Model.new(config, 11, Sae.Init.TIED)
    again = Sae.Model.new(config, 11, Sae.Init.TIED)
    other = Sae.Model.new(config, 12, Sae.Init.TIED)
    assert first.get_W_dec().equal(again.get_W_dec())
    assert not first.get_W_dec().equal(other.get_W_dec())


@tap.test("/python/model/a-tied-start-has-unit-decoder-rows")
def _():
    model = Sae.Model.new(make_config(), 3, Sae.Init.TIED)
    weights = weights_of(model)
    norms = np.linalg.norm(weights["W_dec"].astype(np.float64), axis=1)
    assert np.abs(norms - 1).max() < 1e-6
    assert (weights["W_enc"] == weights["W_dec"]).all()


@tap.test("/python/model/config-reads-back")
def _():
    config = random_model(make_config(pre_bias=True)).get_config()
    assert (config.d_in, config.d_sae, config.k) == (24, 96, 5)
    assert config.sparsity == Sae.Sparsity.TOP_K and config.pre_bias


@tap.test("/python/model/no-rows-give-no-rows")
def _():
    x_hat, latents = random_model(make_config()).forward(GLib.Bytes.new(b""))
    assert latents.get_n_rows() == 0 and latents.get_nnz() == 0
    assert x_hat.get_size() == 0


@tap.test("/python/model/with-top-k-keeps-weights-and-metadata")
def _():
    model = random_model(make_config())
    model = model.with_metadata("hook_name", "blocks.3")
    wider = model.with_top_k(9, Sae.Ties.LOWEST_INDEX)
    assert wider.get_k() == 9 and model.get_k() == 5
    assert wider.get_metadata("hook_name") == "blocks.3"
    assert "hook_name" in wider.list_metadata()
    assert wider.get_W_enc().equal(model.get_W_enc())


@tap.test("/python/model/saved-and-loaded-is-the-same-model")
def _():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dictionary")
        model = random_model(make_config(pre_bias=True))
        model = model.with_metadata("model_name", "größe 1")
        assert model.save(path)
        loaded = Sae.Model.load(path)
    for name, array in weights_of(model).items():
        assert (weights_of(loaded)[name] == array).all(), name
    assert loaded.get_config().pre_bias and loaded.get_k() == 5
    assert loaded.get_metadata("model_name") == "größe 1"


@tap.test("/python/model/ties-keep-lowest-index-or-all")
def _():
    config = make_config(d_in=2, d_sae=4, k=2)
    ones, zeros = np.ones((4, 2)), np.zeros(4)
    model = Sae.Model.new_from_weights(
        config, to_bytes(ones), to_bytes(zeros), to_bytes(ones),
        to_bytes(np.zeros(2)),
    )
    x = to_bytes([[1.0, 2.0]])
    assert list(model.encode(x).get_row_indices(0)) == [0, 1]
    keep_all = model.with_top_k(2, Sae.Ties.KEEP_ALL)
    assert list(keep_all.encode(x).get_row_indices(0)) == [0, 1, 2, 3]


@tap.test("/python/model/refuses-half-rows")
def _():
    model = random_model(make_config())
    with expect_error(Sae.Error.SIZE, "24"):
        model.encode(to_bytes(np.zeros(25)))


@tap.test("/python/model/refuses-a-nan-row")
def _():
    x = random_rows(3, 24)
    x[1, 2] = np.nan
    with expect_error(Sae.Error.NON_FINITE, "1"):
        random_model(make_config()).encode(to_bytes(x))


@tap.test("/python/model/refuses-contradicting-sizes")
def _():
    with expect_error(Sae.Error.SIZE, "97", "96"):
        Sae.Model.new(make_config(k=97), 0, Sae.Init.TIED)
    with expect_error(Sae.Error.SIZE):
        Sae.Model.new(make_config(d_in=0), 0, Sae.Init.TIED)
    config = make_config()
    with expect_error(Sae.Error.SIZE, "W_enc", "96", "24"):
        Sae.Model.new_from_weights(config, *[to_bytes([0.0])] * 4)


@tap.test("/python/model/a-missing-folder-is-not-found")
def _():
    with expect_error(Sae.Error.NOT_FOUND, "/nowhere/at/all"):
        Sae.Model.load("/nowhere/at/all")


@tap.test("/python/latents/rows-and-compressed-arrays-agree")
def _():
    latents = random_model(make_config()).encode(to_bytes(random_rows(9, 24)))
    offsets = to_array(latents.get_offsets(), dtype=np.uint64).astype(int)
    indices = to_array(latents.get_indices(), dtype=np.uint32)
    values = to_array(latents.get_values())
    assert len(offsets) == 10 and offsets[-1] == latents.get_nnz()
    for row in range(9):
        place = slice(offsets[row], offsets[row + 1])
        assert list(indices[place]) == list(latents.get_row_indices(row))
        assert list(values[place]) == list(latents.get_row_values(row))
        assert (np.diff(indices[place].astype(int)) > 0).all()


@tap.test("/python/latents/every-form-makes-the-same-latents")
def _():
    dense = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0]], np.float32)
    pairs = Sae.Latents.new_from_pairs(
        3, 4, to_bytes([[1, 3], [0, 0], [0, 0]], np.uint32),
        to_bytes([[2, 1], [0, 0], [3, 0]]),
    )
    from_dense = Sae.Latents.new_from_dense(4, to_bytes(dense))
    sparse = Sae.Latents.new_from_sparse(
        3, 4, to_bytes([2, 1, 3]), to_bytes([1, 3, 8], np.uint32)
    )
    for latents in (pairs, from_dense, sparse):
        assert (to_array(latents.to_dense(), (3, 4)) == dense).all()


@tap.test("/python/latents/equal-indices-add-up")
def _():
    model = random_model(make_config(d_in=3, d_sae=4, k=2))
    twice = Sae.Latents.new_from_pairs(
        1, 4, to_bytes([[2, 2]], np.uint32), to_bytes([[1, 0.5]])
    )
    once = Sae.Latents.new_from_dense(4, to_bytes([[0, 0, 1.5, 0]]))
    got = to_array(model.decode(twice))
    assert reference.worst(got, to_array(model.decode(once))) < TOLERANCE


@tap.test("/python/latents/refuses-an-index-out-of-range")
def _():
    with expect_error(Sae.Error.FORMAT, "4"):
        Sae.Latents.new_from_pairs(
            1, 4, to_bytes([[0, 4]], np.uint32), to_bytes([[1, 1]])
        )


@tap.test("/python/metrics/measured-as-numpy-does")
def _():
    model = random_model(make_config())
    x = random_rows(50, 24)
    data = to_bytes(x)
    x_hat_bytes, latents = model.forward(data)
    metrics = Sae.measure(data, x_hat_bytes, 24, latents)
    x_hat = to_array(x_hat_bytes, x.shape).astype(np.float64)
    dense = to_array(latents.to_dense(), (50, 96)).astype(np.float64)
    norms = np.linalg.norm(x, axis=1), np.linalg.norm(x_hat, axis=1)
    want = {
        "mse": ((x - x_hat) ** 2).mean(),
        "fvu": reference.fvu(x, x_hat),
        "explained_variance": 1 - reference.fvu(x, x_hat),
        "cosine": ((x * x_hat).sum(axis=1) / norms[0] / norms[1]).mean(),
        "norm_ratio": (norms[1] / norms[0]).mean(),
        "l0": (dense != 0).sum(axis=1).mean(),
        "l1": dense.sum(axis=1).mean(),
    }
    assert metrics.rows == 50
    for name, value in want.items():
        got = getattr(metrics, name)
        assert abs(got - value) < 1e-5 * abs(value), (name, got, value)
    for name in ("mse", "fvu", "cosine", "norm_ratio"):
        alone = getattr(Sae, name)(data, x_hat_bytes, 24)
        assert abs(alone - want[name]) < 1e-5 * abs(want[name]), name


@tap.test("/python/metrics/refuses-rows-that-do-not-match")
def _():
    with expect_error(Sae.Error.SIZE, "24"):
        Sae.measure(to_bytes(np.zeros(48)), to_bytes(np.zeros(24)), 24, None)


tap.main()
