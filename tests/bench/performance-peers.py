#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The works of sae-bench by others, with reports of the same form.

  performance-peers.py encode --by pytorch [--data NPY] [--model FOLDER] …
  performance-peers.py step --by NAME [--data NPY] …
  performance-peers.py train --by NAME --data NPY --held-out NPY …

encode is what PyTorch takes for x·W_encᵀ + b_enc, top-k and relu, by the
dictionary of a folder of SAELens or sparsify or a random one. step are training
steps in the middle of a run, and train a whole run with the fvu that it ends
at, by

  pytorch-dense, pytorch-gather   as bench-pytorch.py says
  sparsify             its coder, as its Trainer uses it
  saelens              its TopKTrainingSAE and SAETrainer
  dictionary-learning  its TopKTrainer

all by Adam at --learning-rate, with the schedules of the libraries. Needs the
Python of prepare-libraries.sh; for PyTorch alone and SAELens, that of
tests/peers/prepare-python.sh will do.
"""

import argparse
import importlib.util
import json
import pathlib
import resource
import statistics
import sys
import time
import types

import numpy as np
import torch

import measure
import rows

here = pathlib.Path(__file__).resolve().parent
NAMES = ("pytorch", "pytorch-dense", "pytorch-gather", "sparsify", "saelens",
         "dictionary-learning")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", choices=("encode", "step", "train"))
    parser.add_argument("--by", choices=NAMES, required=True)
    parser.add_argument("--data")
    parser.add_argument("--held-out")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=0, help="0 for all")
    parser.add_argument("--train-rows", type=int, default=0)
    parser.add_argument("--d-in", type=int, default=384)
    parser.add_argument("--d-sae", type=int, default=6144)
    parser.add_argument("--k", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--skip", type=int, default=8192)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Times:
    """Of passes, on the wall and of the processor."""

    def __init__(self):
        self.wall, self.cpu = [], []

    def new(self):
        self.wall.append(0.0)
        self.cpu.append(0.0)

    def call(self, function, *arguments):
        cpu, wall = time.process_time(), time.perf_counter()
        result = function(*arguments)
        self.wall[-1] += time.perf_counter() - wall
        self.cpu[-1] += time.process_time() - cpu
        return result


def report(options, library, times, n_rows):
    best = min(times.wall)
    median = statistics.median_low(times.wall)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "library": library, "work": options.work, "rows": n_rows,
        "d_in": options.d_in, "d_sae": options.d_sae, "k": options.k,
        "batch": options.batch, "threads": torch.get_num_threads(),
        "model": str(options.model) if options.model else None,
        "seconds": times.wall, "seconds_min": best, "seconds_median": median,
        "cpu_seconds": times.cpu, "cpu_seconds_min": min(times.cpu),
        "cpu_seconds_median": statistics.median_low(times.cpu),
        "rows_per_second": n_rows / best,
        "rows_per_second_median": n_rows / median,
        "us_per_row": 1e6 * best / n_rows,
        "peak_rss_kib": peak,
    }


def load_rows(options):
    if options.data:
        x = rows.load(options.data)
    else:
        rng = np.random.default_rng(options.seed)
        shape = (options.rows or 8192, options.d_in)
        x = rng.uniform(-1.7, 1.7, shape).astype(np.float32)
    options.d_in = x.shape[1]
    options.rows = min(options.rows or len(x), len(x))
    return x


def batches(x, options):
    """Endless, in random order."""
    while True:
        yield from rows.stream(x, len(x) // options.batch * options.batch
                               or len(x), options.batch, options.seed)
        options.seed += 1


# --- encode ---


def load_model(options):
    """W_enc [d_sae, d_in], b_enc, and what is subtracted from rows before."""
    from safetensors.torch import load_file

    if options.model is None:
        W_enc = torch.randn(options.d_sae, options.d_in)
        W_enc /= W_enc.norm(dim=1, keepdim=True)
        return W_enc, torch.zeros(options.d_sae), None
    config = json.loads((options.model / "cfg.json").read_text())
    options.k = options.k or config.get("k", 32)
    sparsify = options.model / "sae.safetensors"
    if sparsify.exists():
        tensors = load_file(sparsify)
        W_enc, b_enc = tensors["encoder.weight"], tensors["encoder.bias"]
        before = tensors["b_dec"]
    else:
        tensors = load_file(options.model / "sae_weights.safetensors")
        W_enc, b_enc = tensors["W_enc"].T.contiguous(), tensors["b_enc"]
        subtracts = config.get("apply_b_dec_to_input", False)
        before = tensors["b_dec"] if subtracts else None
    options.d_sae = len(W_enc)
    return W_enc.float(), b_enc.float(), before


@torch.no_grad()
def encode(options):
    x = torch.from_numpy(rows.take(load_rows(options), slice(options.rows)))
    W_enc, b_enc, before = load_model(options)
    options.k = options.k or 32

    def encode_batch(batch):
        if before is not None:
            batch = batch - before
        pre_acts = torch.nn.functional.linear(batch, W_enc, b_enc)
        values, indices = torch.topk(pre_acts, options.k, sorted=False)
        return values.relu(), indices

    parts, times = x.split(options.batch), Times()
    encode_batch(parts[0])
    for _ in range(options.repeat):
        times.new()
        for part in parts:
            times.call(encode_batch, part)
    return report(options, f"PyTorch {torch.__version__}", times, options.rows)


# --- training: classes with step (batch) and forward (x) -> x_hat, indices ---


class PyTorch:
    library = f"PyTorch {torch.__version__}"

    def __init__(self, first, steps, options):
        spec = importlib.util.spec_from_file_location(
            "bench_pytorch", here / "bench-pytorch.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.steps, self.at, self.rate_at = steps, 0, module.rate_at
        self.scale = float(first.std(dim=0).square().mean().sqrt())
        self.rate, self.factor = options.learning_rate, module.DECODER_RATE
        self.sae = module.TopKSAE(
            first.mean(dim=0) / self.scale, options.d_sae, options.k
        )
        gathers = options.by == "pytorch-gather"
        self.run = self.sae.forward_gathered if gathers else self.sae
        others = [p for p in self.sae.parameters() if p is not self.sae.W_dec]
        self.adam = torch.optim.Adam(
            [{"params": others}, {"params": [self.sae.W_dec]}],
            betas=(0.9, 0.99), fused=gathers,
        )

    def step(self, x):
        x = x / self.scale
        rate = self.rate * self.rate_at(self.at, self.steps)
        for group, factor in zip(self.adam.param_groups, (1, self.factor)):
            group["lr"] = rate * factor
        self.adam.zero_grad()
        torch.nn.functional.mse_loss(self.run(x), x).backward()
        self.sae.project_gradient()
        self.adam.step()
        self.sae.renormalise()
        self.at += 1

    def forward(self, x):
        x = x / self.scale
        return self.sae(x) * self.scale, self.sae.top_k(x).indices


class Sparsify:
    library = "sparsify"

    def __init__(self, first, steps, options):
        from sparsify import SparseCoder, SparseCoderConfig
        from transformers import get_linear_schedule_with_warmup as schedule

        self.coder = SparseCoder(
            options.d_in,
            SparseCoderConfig(num_latents=options.d_sae, k=options.k),
        )
        self.coder.b_dec.data[:] = first.mean(dim=0)
        self.adam = torch.optim.Adam(
            self.coder.parameters(), lr=options.learning_rate
        )
        self.schedule = schedule(self.adam, min(1000, steps // 10), steps)

    def step(self, x):
        # As its Trainer: unit decoder rows before, no parallel gradient after.
        self.coder.set_decoder_norm_to_unit_norm()
        self.coder(x).fvu.backward()
        self.coder.remove_gradient_parallel_to_decoder_directions()
        self.adam.step()
        self.adam.zero_grad()
        self.schedule.step()

    def forward(self, x):
        values, indices, _ = self.coder.encode(x)
        return self.coder.decode(values, indices), indices


class SAELens:
    library = "SAELens"

    def __init__(self, first, steps, options):
        from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
        from sae_lens.config import SAETrainerConfig
        from sae_lens.training.sae_trainer import SAETrainer

        sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(
                d_in=options.d_in, d_sae=options.d_sae, k=options.k,
                dtype="float32", device="cpu",
            )
        )
        config = SAETrainerConfig(
            total_training_samples=steps * options.batch,
            train_batch_size_samples=options.batch,
            lr=options.learning_rate, lr_end=options.learning_rate / 10,
            lr_warm_up_steps=min(1000, steps // 10),
            lr_decay_steps=steps // 5,
        )
        self.trainer = SAETrainer(config, sae, data_provider=iter(()))

    def step(self, x):
        self.trainer.step(x)
        self.trainer.n_training_steps += 1

    def forward(self, x):
        latents = self.trainer.sae.encode(x)
        return self.trainer.sae.decode(latents), latents.nonzero()[:, 1]


class DictionaryLearning:
    library = "dictionary_learning"

    def __init__(self, first, steps, options):
        # It imports this for reading activations of language models, which is
        # not what is measured here.
        sys.modules.setdefault("nnsight", types.ModuleType("nnsight"))
        sys.modules["nnsight"].LanguageModel = None
        from dictionary_learning.trainers.top_k import TopKTrainer

        self.trainer = TopKTrainer(
            steps=steps, activation_dim=options.d_in, dict_size=options.d_sae,
            k=options.k, layer=0, lm_name="", lr=options.learning_rate,
            warmup_steps=min(1000, steps // 10), decay_start=steps * 4 // 5,
            seed=options.seed, device="cpu",
        )
        self.at = 0

    def step(self, x):
        self.trainer.update(self.at, x)
        self.at += 1

    def forward(self, x):
        x_hat, latents = self.trainer.ae(x, output_features=True)
        return x_hat, latents.nonzero()[:, 1]


TRAINERS = {
    "pytorch": PyTorch, "pytorch-dense": PyTorch, "pytorch-gather": PyTorch,
    "sparsify": Sparsify, "saelens": SAELens,
    "dictionary-learning": DictionaryLearning,
}


def make_trainer(stream, steps, options):
    torch.manual_seed(options.seed)
    first = torch.from_numpy(next(stream))
    return TRAINERS[options.by](first, steps, options)


def step(options):
    x = load_rows(options)
    options.k = options.k or 32
    stream = batches(x, options)
    skip = -(-options.skip // options.batch)
    number = max(options.rows // options.batch, 1)
    steps = skip + number * options.repeat
    trainer, times = make_trainer(stream, steps, options), Times()
    for _ in range(skip):
        trainer.step(torch.from_numpy(next(stream)))
    for _ in range(options.repeat):
        times.new()
        for _ in range(number):
            batch = torch.from_numpy(next(stream))
            times.call(trainer.step, batch)
    return report(options, trainer.library, times, number * options.batch)


def train(options):
    x = load_rows(options)
    options.k = options.k or 32
    stream = batches(x, options)
    steps = max((options.train_rows or len(x)) // options.batch, 1)
    trainer, times = make_trainer(stream, steps, options), Times()
    times.new()
    for _ in range(steps):
        batch = torch.from_numpy(next(stream))
        times.call(trainer.step, batch)

    def forward(x):
        x_hat, indices = trainer.forward(torch.from_numpy(x))
        return x_hat.numpy(), indices.numpy().ravel()

    held = measure.HeldOut(rows.load(options.held_out))
    with torch.no_grad():
        for part in measure.chunks(rows.load(options.held_out)):
            x_hat, active = forward(part)
            held.add(part, x_hat, len(active))
    result = report(options, trainer.library, times, steps * options.batch)
    return result | {
        "train_rows": steps * options.batch, "steps": steps,
        "learning_rate": options.learning_rate, "held_out_fvu": held.fvu,
        "held_out_l0": held.l0,
    }


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    works = {"encode": encode, "step": step, "train": train}
    print(json.dumps(works[options.work](options)))


if __name__ == "__main__":
    main()
