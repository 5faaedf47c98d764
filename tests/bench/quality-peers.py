#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the published libraries learn from the streams of quality.py: each one
run that prints a line of JSON.

  quality-peers.py saelens --data DIR [--l1-coefficient C | --target-l0 L0]
  quality-peers.py sparsify --data DIR
  quality-peers.py sparsify --synthetic DIR

DIR is a folder with train.npy and heldout.npy, or one that make-synthetic.py
wrote. saelens trains SAELens' `standard` (L1) by its own SAETrainer. The
coefficient is found by --target-l0, which moves it during a run until that
many latents are active; a second run then holds it fixed. sparsify trains its
coder by Adam with its schedule: warm-up over min(1,000, steps / 10), then
linearly to 0.

SAELens is in the Python that tests/peers/prepare-python.sh makes. sparsify
needs an environment on top of that one:

  peers=$(bash tests/peers/prepare-python.sh --path)
  "$peers" -m venv .venv-bench
  "$peers" -c 'import site; print(site.getsitepackages()[0])' \\
    > $(echo .venv-bench/lib/python3*/site-packages)/peers.pth
  .venv-bench/bin/pip install --no-deps eai-sparsify==1.3.3 einops natsort \\
    accelerate schedulefree
"""

import argparse
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch

import measure
import rows

# How far the coefficient follows, a step, the logarithm of how far l0 is off.
STEERING = 0.01


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("library", choices=("saelens", "sparsify"))
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--synthetic", type=pathlib.Path)
    parser.add_argument(
        "--rows", type=int,
        help="8 passes, of the synthetic stream one, unless said",
    )
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--d-sae", type=int, default=6144)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--l1-coefficient", type=float, default=2.0)
    parser.add_argument("--target-l0", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=pathlib.Path, help="weights, as .npz")
    return parser.parse_args()


class Progress:
    """A line to stderr now and then; rows per second of training alone."""

    def __init__(self, total):
        self.total, self.rows, self.seconds = total, 0, 0.0
        self.next = 0

    def add(self, n_rows, seconds, text):
        self.rows += n_rows
        self.seconds += seconds
        if self.rows >= self.next:
            self.next = self.rows + self.total // 40
            print(
                f"{self.rows:>10,} rows  {self.rate:8,.0f} rows/s  {text()}",
                file=sys.stderr, flush=True,
            )

    @property
    def rate(self):
        return self.rows / self.seconds


def stream(x, options):
    return rows.stream(
        x, options.rows, options.batch, options.seed, options.shuffle
    )


# --- SAELens, standard ---


def make_saelens(d_in, options):
    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    steps = options.rows // options.batch
    sae = StandardTrainingSAE(
        StandardTrainingSAEConfig(
            d_in=d_in, d_sae=options.d_sae, dtype="float32", device="cpu",
            l1_coefficient=options.l1_coefficient,
            l1_warm_up_steps=steps // 20,
        )
    )
    config = SAETrainerConfig(
        total_training_samples=options.rows,
        train_batch_size_samples=options.batch,
        lr=options.learning_rate, lr_end=options.learning_rate / 10,
        lr_decay_steps=steps // 5,
    )
    return SAETrainer(config, sae, data_provider=iter(()))


def steer(scheduler, step, l0, options):
    """Moves the coefficient once its warm-up is over."""
    if options.target_l0 and step >= scheduler.warm_up_steps:
        off = max(-1.0, min(1.0, math.log(max(l0, 1) / options.target_l0)))
        scheduler.current_value *= math.exp(STEERING * off)
        scheduler.final_value = scheduler.current_value


def train_saelens(x, options):
    trainer = make_saelens(x.shape[1], options)
    scheduler = trainer.coefficient_schedulers["l1"]
    progress = Progress(options.rows)
    for batch in stream(x, options):
        start = time.perf_counter()
        step = trainer.step(torch.from_numpy(batch))
        trainer.n_training_steps += 1
        seconds = time.perf_counter() - start
        l0 = (step.feature_acts > 0).sum().item() / len(batch)
        steer(scheduler, trainer.n_training_steps, l0, options)
        progress.add(
            len(batch), seconds,
            lambda: f"mse {step.losses['mse_loss'].item():8.3f}  l0 {l0:6.1f}  "
            f"l1 {scheduler.value:.4f}",
        )
    sae = trainer.sae.eval()

    def forward(x):
        latents = sae.encode(torch.from_numpy(x))
        return sae.decode(latents).numpy(), latents.nonzero()[:, 1].numpy()

    report = {
        "library": "SAELens standard", "l1_coefficient": scheduler.value,
        "steered": bool(options.target_l0),
    }
    return report, forward, sae.W_dec, progress


# --- sparsify ---


def make_sparsify(d_in, options):
    from sparsify import SparseCoder, SparseCoderConfig

    return SparseCoder(
        d_in, SparseCoderConfig(num_latents=options.d_sae, k=options.k)
    )


def train_sparsify(x, options):
    from transformers import get_linear_schedule_with_warmup as make_schedule

    coder = make_sparsify(x.shape[1], options)
    coder.b_dec.data[:] = torch.from_numpy(np.float32(first_mean(x, options)))
    adam = torch.optim.Adam(coder.parameters(), lr=options.learning_rate)
    steps = -(-options.rows // options.batch)
    schedule = make_schedule(adam, min(1000, steps // 10), steps)
    progress = Progress(options.rows)
    for batch in stream(x, options):
        start = time.perf_counter()
        # As its Trainer: unit decoder rows before, no parallel gradient after.
        coder.set_decoder_norm_to_unit_norm()
        out = coder(torch.from_numpy(batch))
        out.fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        schedule.step()
        progress.add(
            len(batch), time.perf_counter() - start,
            lambda: f"fvu {out.fvu.item():.4f}",
        )
    coder.set_decoder_norm_to_unit_norm()

    def forward(x):
        values, indices, _ = coder.encode(torch.from_numpy(x))
        x_hat = coder.decode(values, indices)
        return x_hat.numpy(), indices[values > 0].numpy()

    return {"library": "sparsify"}, forward, coder.W_dec, progress


def first_mean(x, options):
    """Its Trainer starts b_dec at the mean of the first batch."""
    return next(stream(x, options)).mean(axis=0)


def main():
    options = parse_arguments()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    folder = options.synthetic or options.data
    options.shuffle = not options.synthetic
    x = rows.load(folder / ("train.npy" if options.shuffle else "shards"))
    options.rows = options.rows or len(x) * (8 if options.shuffle else 1)
    train = {"saelens": train_saelens, "sparsify": train_sparsify}
    report, forward, W_dec, progress = train[options.library](x, options)
    report |= {
        "rows": progress.rows, "batch": options.batch, "d_sae": options.d_sae,
        "learning_rate": options.learning_rate, "seed": options.seed,
        "rows_per_second": progress.rate,
    }
    W_dec = W_dec.detach().numpy()
    with torch.no_grad():
        if options.synthetic:
            directions = np.load(folder / "directions.npy")
            report |= measure.recovery(directions, W_dec)
        else:
            held_out = rows.load(folder / "heldout.npy")
            report |= measure.quality(forward, options.d_sae, held_out, x)
    print(json.dumps(report), flush=True)
    if options.save:
        np.savez(options.save, W_dec=W_dec)


if __name__ == "__main__":
    main()
