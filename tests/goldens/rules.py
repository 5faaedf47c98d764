# SPDX-License-Identifier: LGPL-2.1-or-later
"""The training rules, each as its formula in PyTorch, whose autograd gives the
gradients. Written for reading; nothing here is meant to be fast.

    x [n, d_in]                    rows, which are their own target t
    W_enc [d_sae, d_in]            row i reads latent i
    W_dec [d_sae, d_out]           row i writes latent i
    pre = (x − [pre_bias] b_dec) W_encᵀ + b_enc              [n, d_sae]
    latents = relu(pre) where a rule keeps it, else 0        [n, d_sae]
    x_hat = latents W_dec + b_dec                            [n, d_out]
"""

import math

import torch


# --- which latents are kept ---------------------------------------------------


def pre_acts(p, x, pre_bias):
    centred = x - p["b_dec"] if pre_bias else x
    return centred @ p["W_enc"].T + p["b_enc"]


def top_k(pre, k):
    """The k largest of each row, lower index first among equals (TopK, Gao et
    al. 2024, section 2.3; relu before, so that a row may have fewer)."""
    acts = torch.relu(pre)
    order = torch.sort(acts, dim=1, descending=True, stable=True).indices
    return acts * torch.zeros_like(acts).scatter_(1, order[:, :k], 1.0)


def batch_top_k(pre, k):
    """The n·k largest of a whole batch of n rows, zeros never among them
    (BatchTopK, Bussmann et al. 2024)."""
    acts = torch.relu(pre)
    order = torch.sort(acts.flatten(), descending=True, stable=True).indices
    kept = torch.zeros_like(acts).flatten()
    kept[order[: len(acts) * k]] = 1.0
    return acts * kept.view_as(acts)


class Threshold:
    """What stands for BatchTopK's choice once rows come alone: the mean over
    batches of the smallest value kept (Bussmann et al. 2024), here one that
    forgets exponentially, bias-corrected as Adam's moments are."""

    def __init__(self, decay):
        self.decay, self.mean, self.batches = decay, 0.0, 0

    def update(self, latents):
        smallest = latents[latents > 0].min().item()
        self.mean = self.decay * self.mean + (1 - self.decay) * smallest
        self.batches += 1
        return self.mean / (1 - self.decay**self.batches)


def k_at(rows, k, k_start, anneal_rows):
    """k of a step that begins after @rows rows: from k_start to k in a line,
    halves rounded up."""
    if anneal_rows == 0:
        return k
    share = min(1.0, rows / anneal_rows)
    return math.floor(k_start + (k - k_start) * share + 0.5)


# --- jump-relu ----------------------------------------------------------------
# Rajamanoharan et al. 2024 ("Jumping Ahead"). K is the rectangle |u| < 1/2, θ
# the threshold [d_sae], ε the bandwidth. Pseudo-gradients reach θ only, and
# only from values above zero, since pre stands behind a relu.


def kernel(pre, theta, bandwidth):
    return (((pre - theta) / bandwidth).abs() < 0.5) & (pre > 0)


class JumpRelu(torch.autograd.Function):
    """pre·H(pre − θ), with ∂/∂θ = −(θ/ε)·K((pre − θ)/ε) (eq. 11)."""

    @staticmethod
    def forward(ctx, pre, theta, bandwidth):
        ctx.save_for_backward(pre, theta)
        ctx.bandwidth = bandwidth
        return pre * ((pre > theta) & (pre > 0))

    @staticmethod
    def backward(ctx, grad):
        pre, theta = ctx.saved_tensors
        inside = kernel(pre, theta, ctx.bandwidth)
        grad_theta = -(theta / ctx.bandwidth) * (inside * grad).sum(dim=0)
        return grad * ((pre > theta) & (pre > 0)), grad_theta, None


class Step(torch.autograd.Function):
    """H(pre − θ), with ∂/∂θ = −(1/ε)·K((pre − θ)/ε) (eq. 12)."""

    @staticmethod
    def forward(ctx, pre, theta, bandwidth):
        ctx.save_for_backward(pre, theta)
        ctx.bandwidth = bandwidth
        return ((pre > theta) & (pre > 0)).to(pre)

    @staticmethod
    def backward(ctx, grad):
        pre, theta = ctx.saved_tensors
        inside = kernel(pre, theta, ctx.bandwidth)
        return None, -(inside * grad).sum(dim=0) / ctx.bandwidth, None


# --- parts of the loss --------------------------------------------------------


def reconstruction_loss(t, x_hat, reduction):
    """Σ‖t − x̂‖²/(n·d_out), of reduction "sum" Σ‖t − x̂‖²/n."""
    error = (t - x_hat) ** 2
    return error.mean() if reduction == "mean" else error.sum(dim=1).mean()


def matryoshka_loss(p, t, latents, prefixes, reduction):
    """The sum, not the mean, of what each nested dictionary of the first p_m
    latents loses (Matryoshka SAE, Bussmann et al. 2025). The latents are
    chosen once, over all d_sae."""
    return sum(
        reconstruction_loss(
            t, latents[:, :m] @ p["W_dec"][:m] + p["b_dec"], reduction
        )
        for m in prefixes
    )


def l1_loss(p, latents, reduction):
    """Σ|h|/(n·d_sae), of reduction "sum" Σ|h_i|·‖W_dec,i‖/n."""
    if reduction == "mean":
        return latents.abs().mean()
    return (latents.abs() * p["W_dec"].norm(dim=1)).sum(dim=1).mean()


def l0_loss(p, pre, bandwidth):
    """Mean number of latents above their threshold."""
    theta = torch.exp(p["log_threshold"])
    return Step.apply(pre, theta, bandwidth).sum(dim=1).mean()


def coefficient_at(rows, n, coefficient, warmup_rows):
    """Of the batch of n rows that begins after @rows rows."""
    if warmup_rows == 0:
        return coefficient
    return coefficient * min(1.0, (rows + n) / warmup_rows)


def find_dead(last_fired, rows, dead_after):
    """Before a step: more than @dead_after rows went by since the end of the
    batch in which a latent last fired, or since the start."""
    return rows - last_fired > dead_after


def aux_k_loss(p, pre, dead, t, x_hat, aux_k):
    """AuxK (Gao et al. 2024, A.2): the k_aux = min (aux_k, n_dead) largest dead
    latents of each row reconstruct what the others left, e = t − x̂, without
    b_dec:

        ê = aux_latents W_dec,  aux = Σ‖e − ê‖² / Σ‖e − mean of rows (e)‖²

    e is a constant, and so is what divides, so that gradients reach W_enc,
    b_enc and W_dec by ê alone (and b_dec by pre, when there is pre-bias).
    OpenAI's sparse_autoencoder (train.py) divides the same way. It differs in
    that ê and e both have b_dec added, only that of e held constant, so that
    b_dec learns from aux too; and a latent that fires in this very batch is
    not dead there."""
    if not dead.any():
        return torch.zeros((), dtype=pre.dtype)
    e = (t - x_hat).detach()
    aux_latents = top_k(pre[:, dead], min(aux_k, int(dead.sum())))
    e_hat = aux_latents @ p["W_dec"][dead]
    return ((e - e_hat) ** 2).sum() / ((e - e.mean(dim=0)) ** 2).sum()


# --- from gradients to weights ------------------------------------------------
# In this order: project, norm and clip, optimiser, renormalise. Clipping is
# torch.nn.utils.clip_grad_norm_ over all parameters: times
# max_norm/(norm + 1e-6) where that is below 1.


class Signum(torch.optim.Optimizer):
    """Signed momentum (Bernstein et al. 2018, algorithm 2):
    m = μ·m + (1 − μ)·g,  w −= rate·sign (m), with sign (0) = 0."""

    def __init__(self, parameters, lr, momentum):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                m.mul_(group["momentum"])
                m.add_(w.grad, alpha=1 - group["momentum"])
                w.sub_(torch.sign(m), alpha=group["lr"])


@torch.no_grad()
def normalize_rows(W_dec):
    W_dec /= W_dec.norm(dim=1, keepdim=True)


@torch.no_grad()
def remove_parallel(W_dec):
    """Takes from a row's gradient what is parallel to the row, which the
    normalising would undo (Bricken et al. 2023, "Towards Monosemanticity",
    appendix)."""
    unit = W_dec / W_dec.norm(dim=1, keepdim=True)
    W_dec.grad -= (W_dec.grad * unit).sum(dim=1, keepdim=True) * unit
