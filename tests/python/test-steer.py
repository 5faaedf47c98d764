# SPDX-License-Identifier: LGPL-2.1-or-later
"""SaeEdits and steering from Python, against numpy in float64."""

import numpy as np

import reference
import tap
from bridge import (
    Sae, expect_error, make_config, random_model, random_rows,
    to_array, to_bytes, weights_of,
)

# float32 sums of d_in products, and of some decoder rows, relative to the
# largest output.
TOLERANCE = 2e-6


def steered(latents, edits):
    """latents [n, d_sae] as @edits makes them: index to a function."""
    changed = latents.copy()
    for latent, edit in edits.items():
        changed[:, latent] = edit(latents[:, latent])
    return changed


def check_steer(config, k):
    model = random_model(config)
    weights = weights_of(model)
    x = random_rows(33, config.d_in)
    latents = reference.encode(weights, x, k, config.pre_bias)
    most = np.argsort(-(latents > 0).sum(axis=0))[:5].tolist()
    text = (
        f"{most[0]}:*0,{most[1]}:+3.5,{most[2]}:*2-1,{most[3]}:=4,"
        f"{most[4]}:>0.25<0.5"
    )
    changed = steered(latents, {
        most[0]: lambda h: 0 * h,
        most[1]: lambda h: h + 3.5,
        most[2]: lambda h: 2 * h - 1,
        most[3]: lambda h: 4 + 0 * h,
        most[4]: lambda h: np.clip(h, 0.25, 0.5),
    })
    want = x + (changed - latents) @ weights["W_dec"].astype(np.float64)
    edits = Sae.Edits.new_from_text(text)
    got = to_array(model.steer(to_bytes(x), edits), x.shape)
    assert reference.worst(got, want) < TOLERANCE
    assert (got != x).any(axis=1).all()


@tap.test("/python/steer/top-k-matches-numpy")
def _():
    check_steer(make_config(), 5)
    check_steer(make_config(pre_bias=True), 5)


@tap.test("/python/steer/l1-matches-numpy")
def _():
    check_steer(make_config(k=0, sparsity=Sae.Sparsity.L1), None)
    check_steer(
        make_config(k=0, sparsity=Sae.Sparsity.L1, pre_bias=True), None
    )


@tap.test("/python/steer/is-decode-of-edited-latents-plus-the-error")
def _():
    config = make_config()
    model = random_model(config)
    x = random_rows(40, config.d_in)
    x_hat, latents = model.forward(to_bytes(x))
    dense = to_array(latents.to_dense(), (40, config.d_sae)).copy()
    dense[:, 3] = 2
    dense[:, 4] = 0
    edited = Sae.Latents.new_from_dense(config.d_sae, to_bytes(dense))
    want = to_array(model.decode(edited), x.shape) + (
        x.astype(np.float64) - to_array(x_hat, x.shape)
    )
    edits = Sae.Edits.new()
    edits.set(3, 0, 2)
    edits.set(4, 0, 0)
    got = to_array(model.steer(to_bytes(x), edits), x.shape)
    assert reference.worst(got, want) < TOLERANCE


def normalised(x, norm):
    """x as the model sees it, and what x_hat is multiplied with (SAELens)."""
    x = x.astype(np.float64)
    if norm == Sae.InputNorm.LAYER_NORM:
        mean, scale = x.mean(axis=1, keepdims=True), x.std(1, ddof=1)[:, None]
        return (x - mean) / (scale + 1e-5), scale
    scale = np.linalg.norm(x, axis=1, keepdims=True) / x.shape[1] ** 0.5
    return x / scale, scale


@tap.test("/python/steer/normalised-rows-are-scaled-back")
def _():
    for norm in Sae.InputNorm.LAYER_NORM, Sae.InputNorm.CONSTANT_NORM:
        for sparsity, k in (Sae.Sparsity.TOP_K, 5), (Sae.Sparsity.L1, None):
            config = make_config(k=k or 0, sparsity=sparsity)
            config.input_norm = norm
            model = random_model(config)
            weights = weights_of(model)
            x = 3 * random_rows(33, config.d_in) + 0.5
            seen, scale = normalised(x, norm)
            latents = reference.encode(weights, seen, k)
            changed = steered(latents, {3: lambda h: 0 * h + 4})
            delta = (changed - latents) @ weights["W_dec"].astype(np.float64)
            edits = Sae.Edits.new_from_text("3:=4")
            got = to_array(model.steer(to_bytes(x), edits), x.shape)
            assert reference.worst(got, x + scale * delta) < TOLERANCE


@tap.test("/python/steer/gated-latents-are-those-of-encode")
def _():
    config = make_config(k=0, sparsity=Sae.Sparsity.L1)
    rng = np.random.default_rng(5)
    model = random_model(config).with_gate(
        to_bytes(rng.normal(size=config.d_sae) * 0.3),
        to_bytes(rng.normal(size=config.d_sae) * 0.1),
    )
    x = random_rows(40, config.d_in)
    dense = to_array(
        model.encode(to_bytes(x)).to_dense(), (40, config.d_sae)
    ).astype(np.float64)
    changed = steered(dense, {3: lambda h: 2 * h - 1, 9: lambda h: 0 * h})
    want = x + (changed - dense) @ weights_of(model)["W_dec"]
    edits = Sae.Edits.new_from_text("3:*2-1,9:*0")
    got = to_array(model.steer(to_bytes(x), edits), x.shape)
    assert reference.worst(got, want) < TOLERANCE


@tap.test("/python/steer/rows-without-a-change-keep-their-bits")
def _():
    config = make_config()
    model = random_model(config)
    x = random_rows(60, config.d_in)
    latents = to_array(
        model.encode(to_bytes(x)).to_dense(), (60, config.d_sae)
    )
    latent = int(np.argmax((latents > 0).sum(axis=0)))
    edits = Sae.Edits.new_from_text(f"{latent}:*0")
    y = to_array(model.steer(to_bytes(x), edits), x.shape)
    same = (y.view(np.uint32) == x.view(np.uint32)).all(axis=1)
    assert (same == (latents[:, latent] == 0)).all()
    assert 0 < same.sum() < 60


@tap.test("/python/steer/without-edits-gives-the-same-bytes")
def _():
    x = to_bytes(random_rows(7, 24))
    assert random_model(make_config()).steer(x, Sae.Edits.new()).equal(x)


@tap.test("/python/steer/edits-read-back")
def _():
    edits = Sae.Edits.new_from_text("42:+3.5, 17:*0")
    places = range(edits.get_n_latents())
    assert [edits.get_latent(place) for place in places] == [17, 42]
    assert edits.get(42) == (True, 1.0, 3.5, float("-inf"), float("inf"))
    assert edits.get(5) == (False, 1.0, 0.0, float("-inf"), float("inf"))
    edits.set_range(42, 0, 8)
    assert edits.to_text() == "17:*0,42:+3.5>0<8"
    copy = edits.copy()
    assert edits.remove(17) and not edits.remove(17)
    assert copy.to_text() == "17:*0,42:+3.5>0<8"
    edits.clear()
    assert edits.to_text() == "" and edits.get_n_latents() == 0


@tap.test("/python/steer/refusals")
def _():
    with expect_error(Sae.Error.FORMAT, "character 4", "17:x"):
        Sae.Edits.new_from_text("17:x")
    model = random_model(make_config())
    x = to_bytes(random_rows(2, 24))
    with expect_error(Sae.Error.SIZE, "below dict-size 96", "got 96"):
        model.steer(x, Sae.Edits.new_from_text("96:*0"))
    with expect_error(Sae.Error.UNSUPPORTED, "skip connection"):
        skip = model.with_skip(to_bytes(np.eye(24)))
        skip.steer(x, Sae.Edits.new_from_text("1:*0"))
    with expect_error(Sae.Error.NON_FINITE, "row 1"):
        rows = random_rows(2, 24)
        rows[1, 3] = np.nan
        model.steer(to_bytes(rows), Sae.Edits.new_from_text("1:*0"))


tap.main()
