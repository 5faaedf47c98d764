#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the published libraries learn from the streams of quality.py: each one
run that prints a line of JSON.

  quality-peers.py saelens --data DIR [--l1-coefficient C] [--target-l0 L0]
  quality-peers.py sparsify --data DIR
  quality-peers.py sparsify --synthetic DIR

DIR is a folder with train.npy and heldout.npy, or one that make-synthetic.py
wrote. saelens trains SAELens' `standard` (L1) by its own SAETrainer, the
coefficient rising over a twentieth of the run, the learning rate falling to 0
over the last fifth. --target-l0 finds the coefficient: whole runs, each with a
better one, until as many latents are active on held-out rows. sparsify trains
its coder by Adam with its schedule: warm-up over min(1,000, steps / 10), then
linearly to 0.

SAELens is in the Python that tests/peers/prepare-python.sh makes, sparsify in
the one that prepare-libraries.sh makes on top of it.
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

# How near a run has to come to --target-l0, and how many may try.
L0_TOLERANCE = 1 / 16
MOST_RUNS = 5
# l0 is about a power of the coefficient; this one until two runs tell better.
FIRST_POWER = -1.3


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


def train_saelens(x, options):
    trainer = make_saelens(x.shape[1], options)
    progress = Progress(options.rows)
    for batch in stream(x, options):
        start = time.perf_counter()
        step = trainer.step(torch.from_numpy(batch))
        trainer.n_training_steps += 1
        seconds = time.perf_counter() - start
        progress.add(
            len(batch), seconds,
            lambda: f"mse {step.losses['mse_loss'].item():.3f}  "
            f"l0 {(step.feature_acts > 0).sum().item() / len(batch):.1f}",
        )
    sae = trainer.sae.eval()

    def forward(x):
        latents = sae.encode(torch.from_numpy(x))
        return sae.decode(latents).numpy(), latents.nonzero()[:, 1].numpy()

    report = {
        "library": "SAELens standard",
        "l1_coefficient": options.l1_coefficient,
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


def run(folder, x, options):
    """Trains, measures and prints."""
    torch.manual_seed(options.seed)
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
    return report


def next_coefficient(tried, target):
    """The secant rule on the logarithms of (coefficient, l0)."""
    (c, l0), power = tried[-1], FIRST_POWER
    if len(tried) > 1:
        before, l0_before = tried[-2]
        power = math.log(l0 / l0_before) / math.log(c / before)
    # Where noise has turned the slope, it says nothing.
    power = min(power, FIRST_POWER / 4)
    return c * (target / l0) ** (1 / power)


def find_coefficient(folder, x, options):
    tried = []
    while len(tried) < MOST_RUNS:
        l0 = run(folder, x, options)["l0"]
        if abs(l0 / options.target_l0 - 1) <= L0_TOLERANCE:
            return
        tried.append((options.l1_coefficient, l0))
        options.l1_coefficient = next_coefficient(tried, options.target_l0)


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    folder = options.synthetic or options.data
    options.shuffle = not options.synthetic
    x = rows.load(folder / ("train.npy" if options.shuffle else "shards"))
    options.rows = options.rows or len(x) * (8 if options.shuffle else 1)
    if options.target_l0:
        find_coefficient(folder, x, options)
    else:
        run(folder, x, options)


if __name__ == "__main__":
    main()
