#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Training of transcoders with a skip connection, against its gradients written
out in NumPy, in float64."""

import pathlib
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tap  # noqa: E402
from bridge import Sae, to_array, to_bytes  # noqa: E402

D_IN, D_OUT, D_SAE, K, ROWS, STEPS = 12, 7, 40, 5, 32, 10
RATE = 0.5


def data(seed=3):
    """Rows and targets that are mostly a linear map of them."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((STEPS, ROWS, D_IN)).astype(np.float32)
    linear = random.standard_normal((D_OUT, D_IN)) / 3
    target = x @ linear.T + 0.3 * np.abs(x[:, :, :D_OUT])
    return x, target.astype(np.float32)


def make_trainer(**properties):
    trainer = Sae.Trainer.new(D_IN, D_SAE, K)
    options = {
        "output_size": D_OUT, "skip_connection": True, "optimizer": Sae.Optimizer.SGD,
        "momentum": 0.0, "learning_rate": RATE, "decoder_rate": 1.0,
        "warmup_rows": 0, "schedule": Sae.Schedule.CONSTANT,
        "normalize": Sae.Normalize.NONE, "decoder_norm": Sae.DecoderNorm.FREE,
        "reduction": Sae.Reduction.MEAN, "l1_coeff": 0.0, "aux_k": 0, "average": 0,
        "batch_size": ROWS, "seed": 5,
    }
    for name, value in {**options, **properties}.items():
        trainer.set_property(name.replace("_", "-"), value)
    return trainer


def weights(model):
    shapes = {
        "W_enc": (D_SAE, D_IN), "b_enc": (D_SAE,), "W_dec": (D_SAE, D_OUT),
        "b_dec": (D_OUT,), "W_skip": (D_OUT, D_IN),
    }
    return {
        name: to_array(getattr(model, f"get_{name}")(), shape).astype(np.float64)
        for name, shape in shapes.items()
    }


def step(w, x, target):
    """One step of gradient descent on Σ(t − x̂)²/(n·d_out), with
    x̂ = topk(relu(x W_encᵀ + b_enc)) W_dec + b_dec + x W_skipᵀ."""
    pre = x @ w["W_enc"].T + w["b_enc"]
    kept = np.argsort(-pre, axis=1, kind="stable")[:, :K]
    active = np.zeros(pre.shape, bool)
    np.put_along_axis(active, kept, True, axis=1)
    active &= pre > 0
    h = np.where(active, pre, 0)
    g = 2 * (h @ w["W_dec"] + w["b_dec"] + x @ w["W_skip"].T - target) / target.size
    q = np.where(active, g @ w["W_dec"].T, 0)
    gradients = {
        "W_enc": q.T @ x, "b_enc": q.sum(0), "W_dec": h.T @ g, "b_dec": g.sum(0),
        "W_skip": g.T @ x,
    }
    norm = np.sqrt(sum((value ** 2).sum() for value in gradients.values()))
    return {name: w[name] - RATE * gradients[name] for name in w}, norm


@tap.test("/python/skip/ten-steps-are-numpys")
def _():
    x, target = data()
    trainer = make_trainer()
    trainer.start()
    want = weights(trainer.get_model())
    assert not want["W_skip"].any()
    for i in range(STEPS):
        trainer.step(to_bytes(x[i]), to_bytes(target[i]))
        want, norm = step(want, x[i].astype(np.float64), target[i])
        got_norm = trainer.get_metrics().gradient_norm
        assert abs(got_norm - norm) < 1e-5 * norm, (i, got_norm, norm)
    got = weights(trainer.get_model())
    for name in want:
        worst = np.abs(got[name] - want[name]).max() / np.abs(want[name]).max()
        assert worst < 1e-5, (name, worst)
    assert np.abs(got["W_skip"]).max() > 0.1


@tap.test("/python/skip/explains-what-is-linear")
def _():
    x, target = data()
    fvu = {}
    for skip in False, True:
        trainer = make_trainer(
            skip_connection=skip, optimizer=Sae.Optimizer.ADAM, learning_rate=0.01,
            normalize=Sae.Normalize.AUTO,
        )
        for _ in range(100):
            trainer.push(to_bytes(x), to_bytes(target))
        trainer.flush()
        model = trainer.get_model()
        x_hat, _ = model.forward(to_bytes(x))
        fvu[skip] = Sae.fvu(to_bytes(target), x_hat, D_OUT)
    print(f"# fvu {fvu}")
    assert fvu[True] < 0.5 * fvu[False], fvu


@tap.test("/python/skip/scale-does-not-matter")
def _():
    x, target = data()
    found = []
    for factor in 1.0, 1024.0:
        trainer = make_trainer(optimizer=Sae.Optimizer.ADAM, learning_rate=0.01,
                               normalize=Sae.Normalize.AUTO)
        trainer.push(to_bytes(x * np.float32(factor)),
                     to_bytes(target * np.float32(factor)))
        trainer.flush()
        found.append(trainer.get_model().get_W_skip().get_data())
    assert found[0] == found[1]


@tap.test("/python/skip/is-saved-and-resumed")
def _():
    x, target = data()
    whole, first, second = (make_trainer(grad_clip=0.05) for _ in range(3))
    for i in range(STEPS):
        whole.step(to_bytes(x[i]), to_bytes(target[i]))
    for i in range(4):
        first.step(to_bytes(x[i]), to_bytes(target[i]))
    second.resume(first.checkpoint(), Sae.Resume.CONTINUE)
    for i in range(4, STEPS):
        second.step(to_bytes(x[i]), to_bytes(target[i]))
    want = whole.get_model().get_W_skip().get_data()
    assert second.get_model().get_W_skip().get_data() == want
    with tempfile.TemporaryDirectory() as folder:
        model = whole.get_model()
        model.save_as(f"{folder}/out", "sparsify")
        assert Sae.Model.load(f"{folder}/out").get_W_skip().get_data() == want


tap.main()
