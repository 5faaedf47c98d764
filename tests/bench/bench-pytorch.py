#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The training of sae-bench in plain PyTorch: top-k dictionary, autograd,
Adam, unit decoder rows. Same start, scale and schedule. Prints one line of
JSON. --way says how it is written:

  dense   as most people write it and SAELens does: every product is over all
          latents
  gather  the fastest that we know of without kernels of one's own: all latents
          are scored without a gradient, the k that win are computed again
          from their gathered rows

Needs torch and numpy.
"""

import argparse
import json
import os
import time

import numpy as np
import torch
from torch.nn import functional

# The rows that the scale of the stream is taken from.
SCALE_ROWS = 8192


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--d-sae", type=int, default=6144)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1.25e-3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--way", choices=("dense", "gather"), default="dense"
    )
    parser.add_argument(
        "--fused", action="store_true", help="the fused Adam of PyTorch"
    )
    return parser.parse_args()


def load(path):
    return torch.from_numpy(np.load(path).astype(np.float32))


class TopKSAE(torch.nn.Module):
    """Gao et al. 2024, "Scaling and evaluating sparse autoencoders"."""

    def __init__(self, mean, d_sae, k):
        super().__init__()
        rows = functional.normalize(torch.randn(d_sae, len(mean)), dim=1)
        self.k = k
        self.W_enc = torch.nn.Parameter(rows.clone())
        self.W_dec = torch.nn.Parameter(rows.clone())
        self.b_enc = torch.nn.Parameter(-(rows @ mean))
        self.b_dec = torch.nn.Parameter(mean.clone())

    def top_k(self, x):
        pre_acts = functional.linear(x, self.W_enc, self.b_enc)
        return torch.topk(pre_acts, self.k, dim=1, sorted=False)

    def forward(self, x):
        values, indices = self.top_k(x)
        latents = torch.zeros(len(x), len(self.W_dec))
        latents = latents.scatter(1, indices, values.relu())
        return latents @ self.W_dec + self.b_dec

    def forward_gathered(self, x):
        with torch.no_grad():
            _, indices = self.top_k(x)
        W_enc = functional.embedding(indices, self.W_enc)
        W_dec = functional.embedding(indices, self.W_dec)
        pre_acts = (W_enc @ x.unsqueeze(2)).squeeze(2) + self.b_enc[indices]
        return (pre_acts.relu().unsqueeze(1) @ W_dec).squeeze(1) + self.b_dec

    @torch.no_grad()
    def project_gradient(self):
        grad, rows = self.W_dec.grad, self.W_dec
        grad -= (grad * rows).sum(dim=1, keepdim=True) * rows

    @torch.no_grad()
    def renormalise(self):
        self.W_dec /= self.W_dec.norm(dim=1, keepdim=True)


# W_dec learns so many times as fast.
DECODER_RATE = 3


def rate_at(row, total):
    """Warm-up over the first twentieth, decay as 1 - sqrt over the last
    fifth."""
    past = max(0.0, (row - 0.8 * total) / (0.2 * total))
    return min((row + 1) / (total / 20), 1.0 - past**0.5)


def train(sae, x, options):
    optimizer = torch.optim.Adam(
        [
            {"params": [p for p in sae.parameters() if p is not sae.W_dec],
             "factor": 1},
            {"params": [sae.W_dec], "factor": DECODER_RATE},
        ],
        lr=options.learning_rate,
        betas=(0.9, 0.99),
        fused=options.fused,
    )
    forward = sae if options.way == "dense" else sae.forward_gathered
    total, row, steps = len(x) * options.epochs, 0, 0
    for _ in range(options.epochs):
        order = torch.randperm(len(x))
        for batch in order.split(options.batch):
            rows = x[batch]
            for group in optimizer.param_groups:
                group["lr"] = (
                    options.learning_rate * group["factor"]
                    * rate_at(row, total)
                )
            optimizer.zero_grad()
            functional.mse_loss(forward(rows), rows).backward()
            sae.project_gradient()
            optimizer.step()
            sae.renormalise()
            row += len(batch)
            steps += 1
    return steps


@torch.no_grad()
def measure(sae, x):
    l0 = (sae.top_k(x).values > 0).sum(dim=1).double().mean()
    x, x_hat = x.double(), sae(x).double()
    error = ((x - x_hat) ** 2).sum()
    fvu = error / ((x - x.mean(dim=0)) ** 2).sum()
    return fvu.item(), l0.item()


def main():
    options = parse_arguments()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    x, held_out = load(options.data), load(options.held_out)
    start = time.perf_counter()
    first = x[:SCALE_ROWS]
    mean = first.mean(dim=0)
    scale = 2.0 ** torch.log2(((first - mean) ** 2).mean().sqrt()).round()
    sae = TopKSAE(mean / scale, options.d_sae, options.k)
    steps = train(sae, x / scale, options)
    seconds = time.perf_counter() - start
    fvu, l0 = measure(sae, held_out / scale)
    report = {
        "library": f"PyTorch {torch.__version__}", "work": "train",
        "way": options.way, "fused": options.fused,
        "rows": len(x), "d_in": x.shape[1], "d_sae": options.d_sae,
        "k": options.k, "batch": options.batch,
        "threads": torch.get_num_threads(), "epochs": options.epochs,
        "steps": steps, "seconds": seconds,
        "rows_per_second": len(x) * options.epochs / seconds,
        "held_out_fvu": fvu, "held_out_l0": l0,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
