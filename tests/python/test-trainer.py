# SPDX-License-Identifier: LGPL-2.1-or-later
"""SaeTrainer from Python."""

import json
import pathlib
import struct
import tempfile

import numpy as np

import reference
import tap
from bridge import Sae, expect_error, to_array, to_bytes

D_IN, D_SAE, K = 16, 64, 4


def sparse_rows(n, seed):
    """Rows made of few hidden directions: what a dictionary can learn."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(5).normal(size=(40, D_IN))
    active = np.zeros((n, 40))
    for row in active:
        row[rng.choice(40, 3, replace=False)] = rng.uniform(1, 2, 3)
    return (active @ directions + 1.0).astype(np.float32)


def new_trainer(**properties):
    trainer = Sae.Trainer.new(D_IN, D_SAE, K)
    settings = {
        "batch-size": 128, "learning-rate": 3e-3, "warmup-rows": 0, "seed": 2
    }
    settings.update(properties)
    for name, value in settings.items():
        trainer.set_property(name.replace("_", "-"), value)
    trainer.start()
    return trainer


def held_out_fvu(model):
    x = sparse_rows(512, seed=99)
    x_hat, _ = model.forward(to_bytes(x))
    return reference.fvu(x, to_array(x_hat, x.shape))


@tap.test("/python/trainer/steps-reduce-the-held-out-fvu")
def _():
    trainer = new_trainer()
    trainer.push(to_bytes(sparse_rows(256, 0)))
    before = held_out_fvu(trainer.get_model())
    for seed in range(1, 60):
        trainer.push(to_bytes(sparse_rows(256, seed)))
    after = held_out_fvu(trainer.get_model())
    assert after < 0.5 * before, (before, after)


@tap.test("/python/trainer/any-number-of-rows-makes-the-same-steps")
def _():
    x = sparse_rows(1000, 3)
    models = []
    for cuts in ([1000], [1, 127, 128, 300, 444]):
        trainer = new_trainer(normalize=Sae.Normalize.NONE)
        for part in np.split(x, np.cumsum(cuts)[:-1]):
            trainer.push(to_bytes(part))
        trainer.flush()
        assert trainer.get_steps() == 8 and trainer.get_rows() == 1000
        models.append(trainer.get_model())
    assert models[0].get_W_enc().equal(models[1].get_W_enc())
    assert models[0].get_W_dec().equal(models[1].get_W_dec())


@tap.test("/python/trainer/a-step-takes-any-number-of-rows")
def _():
    trainer = new_trainer(normalize=Sae.Normalize.NONE)
    trainer.step(to_bytes(sparse_rows(3, 1)))
    trainer.step(to_bytes(sparse_rows(700, 2)))
    assert trainer.get_steps() == 2 and trainer.get_rows() == 703


@tap.test("/python/trainer/decoder-rows-stay-at-norm-1")
def _():
    trainer = new_trainer()
    for seed in range(10):
        trainer.push(to_bytes(sparse_rows(128, seed)))
    trainer.flush()
    model = trainer.get_model()
    W_dec = to_array(model.get_W_dec(), (D_SAE, D_IN)).astype(np.float64)
    assert np.abs(np.linalg.norm(W_dec, axis=1) - 1).max() < 1e-6


@tap.test("/python/trainer/metrics-are-readable")
def _():
    trainer = new_trainer(normalize=Sae.Normalize.NONE)
    for seed in range(4):
        trainer.step(to_bytes(sparse_rows(128, seed)))
    metrics = trainer.get_metrics()
    assert metrics.rows == 512 and metrics.steps == 4
    assert metrics.skipped_rows == 0
    assert abs(metrics.explained_variance - (1 - metrics.fvu)) < 1e-12
    assert 0 < metrics.l0 <= K and 0 <= metrics.dead_fraction <= 1
    assert metrics.mse > 0 and metrics.loss > 0 and metrics.l1 > 0
    assert metrics.gradient_norm > 0 and metrics.norm_ratio > 0
    assert abs(metrics.learning_rate - 3e-3) < 1e-9


@tap.test("/python/trainer/taken-metrics-start-anew")
def _():
    trainer = new_trainer(normalize=Sae.Normalize.NONE)
    trainer.step(to_bytes(sparse_rows(100, 1)))
    assert trainer.take_metrics().rows == 100
    trainer.step(to_bytes(sparse_rows(50, 2)))
    assert trainer.take_metrics().rows == 50
    assert trainer.get_metrics().rows == 150


@tap.test("/python/trainer/rows-with-a-nan-are-skipped-and-counted")
def _():
    trainer = new_trainer(normalize=Sae.Normalize.NONE)
    x = sparse_rows(128, 1)
    x[5, 3], x[77, 0] = np.nan, np.inf
    trainer.step(to_bytes(x))
    metrics = trainer.get_metrics()
    assert metrics.skipped_rows == 2 and metrics.rows == 126
    model = trainer.get_model()
    assert np.isfinite(to_array(model.get_W_enc())).all()


@tap.test("/python/trainer/frozen-measures-and-leaves-the-weights")
def _():
    trainer = new_trainer()
    trainer.push(to_bytes(sparse_rows(256, 1)))
    trainer.flush()
    before = trainer.get_model()
    trainer.set_property("frozen", True)
    trainer.take_metrics()
    trainer.step(to_bytes(sparse_rows(512, 2)))
    after = trainer.get_model()
    assert before.get_W_enc().equal(after.get_W_enc())
    x = sparse_rows(512, 2)
    x_hat, _ = after.forward(to_bytes(x))
    want = reference.fvu(x, to_array(x_hat, x.shape).astype(np.float64))
    got = trainer.take_metrics().fvu
    assert abs(got - want) < 1e-5 * want, (got, want)


@tap.test("/python/trainer/a-transcoder-learns-its-target")
def _():
    trainer = Sae.Trainer.new(D_IN, D_SAE, K)
    trainer.set_property("output-size", 8)
    trainer.set_property("batch-size", 128)
    trainer.set_property("learning-rate", 3e-3)
    trainer.set_property("warmup-rows", 0)
    trainer.start()
    mix = np.random.default_rng(8).normal(size=(D_IN, 8)) / D_IN**0.5
    for seed in range(60):
        x = sparse_rows(256, seed)
        trainer.push(to_bytes(x), to_bytes(x @ mix))
    model = trainer.get_model()
    assert (model.get_d_in(), model.get_d_out()) == (D_IN, 8)
    x = sparse_rows(512, seed=99)
    x_hat, _ = model.forward(to_bytes(x))
    after = reference.fvu(x @ mix, to_array(x_hat, (512, 8)))
    assert after < 0.5, after


@tap.test("/python/trainer/start-from-goes-on-from-a-model")
def _():
    trainer = new_trainer(normalize=Sae.Normalize.NONE)
    trainer.step(to_bytes(sparse_rows(128, 1)))
    model = trainer.get_model()
    other = Sae.Trainer.new(D_IN, D_SAE, K)
    other.start_from(model)
    assert other.get_model().get_W_enc().equal(model.get_W_enc())


@tap.test("/python/trainer/checkpoint-resumes")
def _():
    x, more = sparse_rows(100, 1), sparse_rows(60, 2)
    whole, stopped, resumed = new_trainer(), new_trainer(), new_trainer()
    for part in (x, more):
        whole.push(to_bytes(part))
    stopped.push(to_bytes(x))
    with tempfile.TemporaryDirectory() as folder:
        stopped.checkpoint().save(f"{folder}/checkpoint")
        checkpoint = Sae.Checkpoint.load(f"{folder}/checkpoint")
    assert checkpoint.get_rows() == 100
    resumed.resume(checkpoint, Sae.Resume.CONTINUE)
    resumed.push(to_bytes(more))
    whole.flush()
    resumed.flush()
    assert resumed.get_model().get_W_enc().equal(whole.get_model().get_W_enc())
    with expect_error(Sae.Error.SIZE, "seed", "77"):
        new_trainer(seed=77).resume(checkpoint, Sae.Resume.REPLAY)


@tap.test("/python/trainer/a-checkpoint-is-a-safetensors-file")
def _():
    trainer = new_trainer(normalize=Sae.Normalize.NONE)
    trainer.step(to_bytes(sparse_rows(128, 1)))
    with tempfile.TemporaryDirectory() as folder:
        trainer.checkpoint().save(f"{folder}/checkpoint")
        data = pathlib.Path(folder, "checkpoint").read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    tensor, steps = header["W_enc"], header["steps"]
    first, last = (end + at for at in tensor["data_offsets"])
    assert tensor["dtype"] == "F32" and tensor["shape"] == [D_SAE * D_IN]
    assert trainer.get_model().get_W_enc().get_data() == data[first:last]
    first, last = (end + at for at in steps["data_offsets"])
    assert steps["dtype"] == "U64" and data[first:last] == struct.pack("<Q", 1)
    metadata = header["__metadata__"]
    assert (metadata["rows"], metadata["steps"]) == ("128", "1")
    assert json.loads(metadata["options"])["optimizer"] == "adam"


@tap.test("/python/trainer/refuses-half-rows")
def _():
    with expect_error(Sae.Error.SIZE, "16"):
        new_trainer().step(to_bytes(np.zeros(D_IN + 1)))


@tap.test("/python/trainer/refuses-a-target-of-other-rows")
def _():
    x = sparse_rows(8, 1)
    with expect_error(Sae.Error.SIZE, "8 rows of 16", "448"):
        new_trainer().step(to_bytes(x), to_bytes(x[:7]))


@tap.test("/python/trainer/refuses-k-above-the-dictionary")
def _():
    trainer = Sae.Trainer.new(D_IN, D_SAE, D_SAE + 1)
    with expect_error(Sae.Error.SIZE, "65", "64"):
        trainer.start()


@tap.test("/python/trainer/a-model-before-the-start-is-a-wrong-state")
def _():
    with expect_error(Sae.Error.STATE):
        Sae.Trainer.new(D_IN, D_SAE, K).get_model()


tap.main()
