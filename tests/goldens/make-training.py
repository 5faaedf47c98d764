#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the training goldens: ten steps of 24 training runs by PyTorch's
autograd in float64, stored as float32.

  make-training.py           writes everything but the inputs anew
  make-training.py --check   computes it again and compares with the files
  make-training.py --inputs SEED   draws new inputs first

The inputs (x and the weights each run starts from) are random numbers that
were drawn once; they stay in common.safetensors. Needs torch and safetensors.
"""

import argparse
import itertools
import pathlib
import sys

import stored
import torch
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent / "training"
PARAMETERS = ("W_enc", "b_enc", "W_dec", "b_dec")
D_IN, D_SAE, K, STEPS, ROWS = 48, 320, 8, 10, 40
L1_COEFF = 1e-3
# optimiser: (momentum, learning rate by reduction)
OPTIMIZERS = {
    "sgd": (0.0, {"mean": 0.1, "sum": 1e-3}),
    "sgd-momentum": (0.9, {"mean": 0.05, "sum": 5e-4}),
    "adam": (0.0, {"mean": 1e-3, "sum": 1e-3}),
}


def draw_inputs(seed):
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    def glorot():
        bound = (6 / (D_IN + D_SAE)) ** 0.5
        uniform = torch.rand(D_SAE, D_IN, generator=rng, dtype=torch.float64)
        return bound * (2 * uniform - 1)

    # A few hidden directions, so that there is something to learn.
    x = normal(STEPS, ROWS, 12) @ normal(12, D_IN) * 0.6 + 0.1 * normal(D_IN)
    tensors = {
        "x": x,
        "init_W_enc": glorot(),
        "init_b_enc": 0.05 * normal(D_SAE),
        "init_W_dec": glorot(),
        "init_b_dec": 0.05 * normal(D_IN),
    }
    return {name: t.float().contiguous() for name, t in tensors.items()}


def encode(p, x, sparsity, pre_bias):
    centred = x - p["b_dec"] if pre_bias else x
    acts = torch.relu(centred @ p["W_enc"].T + p["b_enc"])
    if sparsity == "l1":
        return acts
    # A stable sort puts the lower index first among equals, as top-k does.
    order = torch.sort(acts, dim=1, descending=True, stable=True).indices
    mask = torch.zeros_like(acts).scatter_(1, order[:, :K], 1.0)
    return acts * mask


def losses(p, x, latents, x_hat, reduction):
    error = (x - x_hat) ** 2
    if reduction == "mean":
        mse, l1 = error.mean(), latents.abs().mean()
    else:
        norms = p["W_dec"].norm(dim=1)
        mse = error.sum(dim=1).mean()
        l1 = (latents.abs() * norms).sum(dim=1).mean()
    return mse + L1_COEFF * l1, mse, l1


def make_optimizer(parameters, optimizer, reduction):
    momentum, rates = OPTIMIZERS[optimizer]
    if optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rates[reduction])
    return torch.optim.SGD(parameters, lr=rates[reduction], momentum=momentum)


def train(inputs, sparsity, optimizer, reduction, pre_bias):
    """One run: what the first forward and backward gave, the losses of each
    step before its update, and the weights after the last."""
    p = {
        name: inputs["init_" + name].double().requires_grad_()
        for name in PARAMETERS
    }
    x = inputs["x"].double()
    stepper = make_optimizer(p.values(), optimizer, reduction)
    forward, gradient, history = {}, {}, []
    for step in range(STEPS):
        latents = encode(p, x[step], sparsity, pre_bias)
        x_hat = latents @ p["W_dec"] + p["b_dec"]
        parts = losses(p, x[step], latents, x_hat, reduction)
        stepper.zero_grad()
        parts[0].backward()
        history.append([part.item() for part in parts])
        if step == 0:
            forward = {"latents0": latents.detach().clone()}
            forward["x_hat0"] = x_hat.detach().clone()
            gradient = {"grad_" + n: t.grad.clone() for n, t in p.items()}
        stepper.step()
    final = {"final_" + n: t.detach().clone() for n, t in p.items()}
    final["losses"] = torch.tensor(history, dtype=torch.float64)
    return forward, gradient, final


def describe(run, files, history):
    sparsity, optimizer, reduction, pre_bias = run
    momentum, rates = OPTIMIZERS[optimizer]
    return {
        "sparsity": sparsity,
        "optimizer": optimizer.split("-")[0],
        "learning_rate": rates[reduction],
        "momentum": momentum,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "reduction": reduction,
        "pre_bias": pre_bias,
        "l1_coeff": L1_COEFF,
        "top_k": K,
        "steps": STEPS,
        "rows_per_step": ROWS,
        "computed_in": "float64, stored as float32",
        "first_loss": history[0].tolist(),
        "last_loss": history[-1].tolist(),
        "files": files,
    }


def compute(inputs):
    """All files by name, and the index. What several runs share (the first
    forward does not depend on the optimiser, for one) is kept once."""
    files, index = {}, {}
    runs = itertools.product(
        ("top-k", "l1"), OPTIMIZERS, ("mean", "sum"), (False, True)
    )
    for run in runs:
        sparsity, optimizer, reduction, pre_bias = run
        bias = "prebias" if pre_bias else "noprebias"
        name = f"{sparsity}_{optimizer}_{reduction}_{bias}"
        shares = [
            f"forward_{sparsity}_{bias}.safetensors",
            f"gradient_{sparsity}_{reduction}_{bias}.safetensors",
            f"{name}.safetensors",
        ]
        parts = train(inputs, *run)
        for file, tensors in zip(shares, parts):
            files[file] = {
                key: (t if key == "losses" else t.float()).contiguous()
                for key, t in tensors.items()
            }
        listed = ["common.safetensors", *shares]
        index[name] = describe(run, listed, parts[2]["losses"])
    return files, index


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--inputs", type=int, metavar="SEED")
    options = parser.parse_args()
    if options.inputs is not None:
        HERE.mkdir(exist_ok=True)
        save_file(draw_inputs(options.inputs), HERE / "common.safetensors")
    files, index = compute(load_file(HERE / "common.safetensors"))
    if options.check:
        return stored.check(HERE, files, index)
    stored.write(HERE, files, index)
    return 0


if __name__ == "__main__":
    sys.exit(main())
