#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the goldens of the training rules: ten steps of each run below by
PyTorch's autograd in float64, stored as float32. The formulas are in rules.py.

  make-rules.py             writes them anew
  make-rules.py --check     computes them again and compares with the files
  make-rules.py --float32   how far the same steps in float32 end from them

Rows and start are those of training/common.safetensors, but for what a run
draws for itself from its seed. Needs torch and safetensors.
"""

import argparse
import math
import pathlib
import sys

import rules
import stored
import torch
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parent / "rules"
COMMON = "../training/common.safetensors"
D_IN, D_SAE, STEPS, ROWS = 48, 320, 10, 40
# Every so many rows of a matrix are stored, and the sum of each row.
ROW_STEP = 7

# What a run is, unless it says otherwise. A rule with a 0 is not in it.
DEFAULTS = {
    "start": "common",
    "sparsity": "top-k",
    "top_k": 8,
    "k_start": 0,
    "k_anneal_rows": 0,
    "threshold_decay": 0.0,
    "bandwidth": 0.0,
    "prefixes": [],
    "reduction": "mean",
    "pre_bias": False,
    "l1_coeff": 0.0,
    "l1_warmup_rows": 0,
    "aux_k": 0,
    "aux_coeff": 0.0,
    "dead_after": 0,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "momentum": 0.0,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "decoder_norm": "free",
    "grad_clip": 0.0,
    "gradient_step": 0,
}
PRE_BIAS = {"pre_bias": True}
AUX_K = {
    "aux_k": 24,
    "aux_coeff": 1 / 32,
    "dead_after": 80,
    "gradient_step": 5,
    "start": "quiet-latents",
}
BATCH_TOP_K = {"sparsity": "batch-top-k", "threshold_decay": 0.99}
MATRYOSHKA = {"prefixes": [40, 120, 320]}
JUMP_RELU = {
    "sparsity": "jump-relu",
    "top_k": 0,
    "reduction": "sum",
    "l1_coeff": 0.5,
    "bandwidth": 0.3,
    "start": "thresholds",
}
SIGNUM = {"optimizer": "signum", "momentum": 0.9, "learning_rate": 3e-4}
UNIT = {"decoder_norm": "unit", "start": "unit-rows"}
RUNS = {
    "aux-k": AUX_K,
    "aux-k_prebias": AUX_K | PRE_BIAS,
    # First fewer are dead than AuxK has room for.
    "aux-k_sum": AUX_K
    | {
        "aux_k": 40,
        "aux_coeff": 1.0,
        "reduction": "sum",
        "dead_after": 160,
        "start": "centred",
    },
    "batch-top-k": BATCH_TOP_K,
    "batch-top-k_prebias": BATCH_TOP_K | PRE_BIAS,
    "jump-relu": JUMP_RELU,
    "jump-relu_prebias": JUMP_RELU | PRE_BIAS,
    "matryoshka-top-k": MATRYOSHKA,
    "matryoshka-top-k_prebias": MATRYOSHKA | PRE_BIAS,
    "matryoshka-batch-top-k": MATRYOSHKA | BATCH_TOP_K,
    "matryoshka-batch-top-k_prebias": MATRYOSHKA | BATCH_TOP_K | PRE_BIAS,
    "signum": SIGNUM | PRE_BIAS,
    "clip": {"grad_clip": 3.4},
    "unit-norm": UNIT,
    "unit-norm_clip": UNIT | {"grad_clip": 4.3},
    "l1-warmup": {
        "sparsity": "l1",
        "top_k": 0,
        "reduction": "sum",
        "l1_coeff": 0.5,
        "l1_warmup_rows": 200,
    },
    "k-anneal": {"k_start": 24, "k_anneal_rows": 200},
}


# --- starts -------------------------------------------------------------------


def centred(inputs):
    """Pre-activations have a mean of about 0, so that most latents fire; from
    the common start some 40 do."""
    mean = inputs["x"].double().mean(dim=(0, 1))
    shift = inputs["init_W_enc"].double() @ mean
    return {"init_b_enc": (inputs["init_b_enc"] - shift).float()}


def quiet_latents(inputs):
    """The same, and every third of the first 192 latents seldom fires: 64 of
    which many are dead, and some come back."""
    rng = torch.Generator().manual_seed(1)
    b_enc = centred(inputs)["init_b_enc"]
    b_enc[1:192:3] -= 0.1 + 0.4 * torch.rand(64, generator=rng)
    return {"init_b_enc": b_enc}


def thresholds(inputs):
    """Around 0.1, by a factor of some 1.3."""
    rng = torch.Generator().manual_seed(58)
    spread = 0.3 * torch.randn(D_SAE, generator=rng)
    return {"init_log_threshold": torch.log(torch.tensor(0.1)) + spread}


def unit_rows(inputs):
    W_dec = inputs["init_W_dec"].double()
    rules.normalize_rows(W_dec)
    return {"init_W_dec": W_dec.float()}


STARTS = {
    "common": lambda inputs: {},
    "centred": centred,
    "quiet-latents": quiet_latents,
    "thresholds": thresholds,
    "unit-rows": unit_rows,
}


# --- a run --------------------------------------------------------------------


class Run:
    """One run of ten steps; what is worth storing is left in the fields."""

    def __init__(self, settings, inputs, dtype):
        self.settings = DEFAULTS | settings
        self.start = STARTS[self.settings["start"]](inputs)
        inputs = inputs | self.start
        self.x = inputs["x"].to(dtype)
        self.p = {
            name[len("init_"):]: tensor.to(dtype).clone().requires_grad_()
            for name, tensor in inputs.items()
            if name.startswith("init_")
        }
        self.last_fired = torch.zeros(D_SAE)
        self.threshold = rules.Threshold(self.settings["threshold_decay"])
        self.stepper = self.make_optimizer()
        self.margin = float("inf")
        self.forward, self.gradient, self.losses, self.norms = {}, {}, [], []
        self.thresholds, self.k, self.dead = [], [], []
        for step in range(STEPS):
            self.step(step)

    def make_optimizer(self):
        s, parameters = self.settings, self.p.values()
        if s["optimizer"] == "signum":
            return rules.Signum(parameters, s["learning_rate"], s["momentum"])
        return torch.optim.Adam(
            parameters,
            lr=s["learning_rate"],
            betas=(s["beta1"], s["beta2"]),
            eps=s["eps"],
        )

    def encode(self, x, rows):
        s = self.settings
        pre = rules.pre_acts(self.p, x, s["pre_bias"])
        k = rules.k_at(rows, s["top_k"], s["k_start"], s["k_anneal_rows"])
        self.k.append(k)
        if s["sparsity"] == "top-k":
            return pre, rules.top_k(pre, k)
        if s["sparsity"] == "batch-top-k":
            latents = rules.batch_top_k(pre, k)
            self.thresholds.append(self.threshold.update(latents))
            return pre, latents
        if s["sparsity"] == "jump-relu":
            theta = torch.exp(self.p["log_threshold"])
            return pre, rules.JumpRelu.apply(pre, theta, s["bandwidth"])
        return pre, torch.relu(pre)

    def loss_parts(self, x, pre, latents, x_hat, rows):
        """Total, reconstruction, sparsity and AuxK, the last two without their
        coefficients."""
        s, p = self.settings, self.p
        mse = rules.matryoshka_loss(
            p, x, latents, s["prefixes"] or [D_SAE], s["reduction"]
        )
        if s["sparsity"] == "jump-relu":
            sparsity = rules.l0_loss(p, pre, s["bandwidth"])
        else:
            sparsity = rules.l1_loss(p, latents, s["reduction"])
        coefficient = rules.coefficient_at(
            rows, ROWS, s["l1_coeff"], s["l1_warmup_rows"]
        )
        aux = self.aux_part(x, pre, x_hat, rows)
        # Divided by the residual's variance, aux is in no unit of the rest: by
        # reduction "sum" it grows by d_out, as the reconstruction does.
        scale = D_IN if s["reduction"] == "sum" else 1
        total = mse + coefficient * sparsity + s["aux_coeff"] * scale * aux
        return total, mse, sparsity, aux

    def aux_part(self, x, pre, x_hat, rows):
        s = self.settings
        if not s["aux_k"]:
            return torch.zeros((), dtype=pre.dtype)
        dead = rules.find_dead(self.last_fired, rows, s["dead_after"])
        self.dead.append(int(dead.sum()))
        self.see(kth_margin(pre.detach()[:, dead], s["aux_k"]))
        return rules.aux_k_loss(self.p, pre, dead, x, x_hat, s["aux_k"])

    def update(self):
        """From the clean gradients to the next weights."""
        s, p = self.settings, self.p
        if s["decoder_norm"] == "unit":
            rules.remove_parallel(p["W_dec"])
        norm = torch.nn.utils.clip_grad_norm_(
            p.values(), s["grad_clip"] or float("inf")
        )
        self.norms.append(norm.item())
        self.stepper.step()
        if s["decoder_norm"] == "unit":
            rules.normalize_rows(p["W_dec"])

    def step(self, step):
        x, rows = self.x[step], step * ROWS
        pre, latents = self.encode(x, rows)
        x_hat = latents @ self.p["W_dec"] + self.p["b_dec"]
        parts = self.loss_parts(x, pre, latents, x_hat, rows)
        self.stepper.zero_grad()
        parts[0].backward()
        self.losses.append([part.item() for part in parts])
        self.last_fired[(latents > 0).any(dim=0)] = rows + ROWS
        self.see(self.choice_margin(pre.detach()))
        if step == 0:
            self.forward["latents0"] = latents.detach()
            self.forward["x_hat0"] = x_hat.detach()
        if step == self.settings["gradient_step"]:
            self.gradient = {n: w.grad.clone() for n, w in self.p.items()}
        self.update()
        if self.settings["optimizer"] == "signum":
            for state in self.stepper.state.values():
                self.see(sign_margin(state["m"]))

    # Near-ties: another order of summation must not choose otherwise.

    def see(self, margin):
        self.margin = min(self.margin, margin)

    def choice_margin(self, pre):
        sparsity = self.settings["sparsity"]
        if sparsity == "top-k":
            return kth_margin(pre, self.k[-1])
        if sparsity == "batch-top-k":
            return kth_margin(pre.view(1, -1), ROWS * self.k[-1])
        edges = [torch.zeros(())]
        if sparsity == "jump-relu":
            theta = torch.exp(self.p["log_threshold"]).detach()
            half = self.settings["bandwidth"] / 2
            edges += [theta, theta - half, theta + half]
        nearest = min((pre - edge).abs().min() for edge in edges)
        return (nearest / pre.square().mean().sqrt()).item()


def kth_margin(pre, k):
    """Smallest distance, over rows, of the k-th value from the next, relative
    to it; where fewer are above 0, of the smallest magnitude from 0."""
    if pre.numel() == 0:
        return float("inf")
    acts = torch.sort(torch.relu(pre), dim=1, descending=True).values
    positive = (acts > 0).sum(dim=1)
    full = positive >= k
    margin = float("inf")
    if full.any() and k < acts.shape[1]:
        kth, following = acts[full, k - 1], acts[full, k]
        margin = ((kth - following) / kth).min().item()
    if not full.all():
        rms = pre.square().mean().sqrt()
        margin = min(margin, (pre[~full].abs().min() / rms).item())
    return margin


def sign_margin(m):
    """Smallest magnitude that has a sign, relative to their rms."""
    m = m[m != 0]
    return (m.abs().min() / m.square().mean().sqrt()).item()


# --- what is stored -----------------------------------------------------------


def sample(prefix, parameters):
    """Vectors whole; of a matrix every ROW_STEP-th row, and all row sums."""
    tensors = {}
    for name, w in parameters.items():
        w = w.detach()
        if w.dim() == 1:
            tensors[prefix + name] = w
        else:
            tensors[prefix + name] = w[::ROW_STEP]
            tensors[prefix + name + "_row_sums"] = w.sum(dim=1)
    return tensors


def run_tensors(run):
    tensors = sample("grad_", run.gradient)
    tensors |= sample("final_", run.p)
    tensors = {name: t.float().contiguous() for name, t in tensors.items()}
    series = {"losses": run.losses, "grad_norms": run.norms}
    if run.thresholds:
        series["thresholds"] = run.thresholds
    for name, values in series.items():
        tensors[name] = torch.tensor(values, dtype=torch.float64)
    return tensors


def forward_file(settings):
    """Runs that differ only in what they learn from share a first forward,
    some with the runs of training/."""
    bias = "prebias" if settings["pre_bias"] else "noprebias"
    rule = settings["sparsity"]
    if settings["k_start"]:
        rule += f"-{settings['k_start']}"
    if settings["start"] != "common":
        return f"forward_{settings['start']}_{rule}_{bias}.safetensors"
    folder = "../training/" if rule in ("top-k", "l1") else ""
    return f"{folder}forward_{rule}_{bias}.safetensors"


def describe(run, files):
    return run.settings | {
        "steps": STEPS,
        "rows_per_step": ROWS,
        "row_step": ROW_STEP,
        "computed_in": "float64, stored as float32",
        "k_by_step": run.k,
        "dead_by_step": run.dead,
        "margin_above": 10.0 ** math.floor(math.log10(run.margin)),
        "first_loss": run.losses[0],
        "last_loss": run.losses[-1],
        "files": files,
    }


def compute(inputs, dtype):
    """All files by name, and the index. In "files" a later one replaces what
    it has in common with an earlier one."""
    files, index = {}, {}
    for name, settings in RUNS.items():
        run = Run(settings, inputs, dtype)
        listed = [COMMON]
        if run.start:
            listed.append(f"start_{run.settings['start']}.safetensors")
            files[listed[-1]] = run.start
        listed += [forward_file(run.settings), f"{name}.safetensors"]
        files[listed[-2]] = {
            key: t.float().contiguous() for key, t in run.forward.items()
        }
        files[listed[-1]] = run_tensors(run)
        index[name] = describe(run, listed)
    return files, index


def report_float32(inputs):
    """What float32 costs in each run, relative to a tensor's largest value."""
    wide, _ = compute(inputs, torch.float64)
    narrow, index = compute(inputs, torch.float32)
    for name in index:
        file = f"{name}.safetensors"
        worst = {"grad_": 0.0, "final_": 0.0, "losses": 0.0}
        for key, want in wide[file].items():
            error = (narrow[file][key] - want).abs().max() / want.abs().max()
            for kind in worst:
                if key.startswith(kind):
                    worst[kind] = max(worst[kind], error.item())
        print(name, *(f"{kind} {value:.1e}" for kind, value in worst.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the same bytes each time
    inputs = load_file(HERE.parent / "training" / "common.safetensors")
    if options.float32:
        report_float32(inputs)
        return 0
    files, index = compute(inputs, torch.float64)
    if options.check:
        return stored.check(HERE, files, index)
    own = {n: tensors for n, tensors in files.items() if "/" not in n}
    stored.write(HERE, own, index)
    return stored.check(HERE, files, index)  # with those of training/


if __name__ == "__main__":
    sys.exit(main())
