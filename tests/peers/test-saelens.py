# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dictionaries go both ways between this library and SAELens.

Usage: test-saelens.py SAE-RUN SAE-STATS
"""

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors import safe_open
from sae_lens import (
    SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, JumpReLUSAE,
    JumpReLUSAEConfig, JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig,
    StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig,
)
from sae_lens.loading import pretrained_sae_loaders
from sae_lens.training.sae_trainer import _log_feature_sparsity

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

sae_run, sae_stats = sys.argv.pop(1), sys.argv.pop(1)

D_IN, D_SAE, K, ROWS = 48, 160, 8, 64
# Relative to the largest magnitude: what two float32 implementations that
# sum in different orders may differ by.
TOLERANCE = 1e-5


def random_rows(seed=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, D_IN)).astype(np.float32) * 2 + 0.3


def run_ours(folder, x, *arguments):
    """Latents and reconstruction of @x by our library."""
    folder = pathlib.Path(folder)
    np.save(folder / "x.npy", x)
    command = [
        sae_run, f"--model={folder / 'model'}", f"--x={folder / 'x.npy'}",
        f"--latents={folder / 'latents.npy'}",
        f"--x-hat={folder / 'x_hat.npy'}", *arguments,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return np.load(folder / "latents.npy"), np.load(folder / "x_hat.npy")


def run_saelens(path, x):
    """The same by SAELens, in float32."""
    sae = SAE.load_from_disk(str(path), dtype="float32")
    with torch.no_grad():
        latents = sae.encode(torch.from_numpy(x))
        return latents.to_dense().numpy(), sae.decode(latents).numpy(), sae


def check_close(name, got, want):
    assert got.shape == want.shape, f"{name}: {got.shape} != {want.shape}"
    worst = np.abs(got - want).max() / np.abs(want).max()
    assert worst <= TOLERANCE, f"{name} differs by {worst:.2e}"


def check_both(folder, x, *arguments):
    ours = run_ours(folder, x, *arguments)
    latents, x_hat, sae = run_saelens(pathlib.Path(folder) / "model", x)
    check_close("latents", ours[0], latents)
    check_close("x_hat", ours[1], x_hat)
    return latents, sae


def register_ours(sparsity, pre_bias):
    bias = "with" if pre_bias else "without"

    @tap.test(f"/peers/saelens/loads-our-{sparsity}-{bias}-pre-bias")
    def _():
        arguments = [
            "--train=20", f"--sparsity={sparsity}", f"--dict-size={D_SAE}",
            f"--top-k={K}",
        ]
        arguments += ["--pre-bias"] if pre_bias else []
        with tempfile.TemporaryDirectory() as folder:
            latents, sae = check_both(folder, random_rows(), *arguments)
        assert sae.cfg.architecture() == (
            "topk" if sparsity == "top-k" else "standard"
        )
        assert sae.cfg.apply_b_dec_to_input == pre_bias
        if sparsity == "top-k":
            assert sae.cfg.k == K
            assert (latents != 0).sum(axis=1).max() == K
        assert np.abs(latents).max() > 0


def random_thresholds(seed=5):
    """Of both signs: some latents need more than to be positive."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, D_SAE)).astype(np.float32)


def register_our_jump_relu(pre_bias):
    bias = "with" if pre_bias else "without"

    @tap.test(f"/peers/saelens/loads-our-jump-relu-{bias}-pre-bias")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "threshold.npy"
            np.save(path, random_thresholds())
            arguments = [
                "--train=20", "--sparsity=l1", f"--dict-size={D_SAE}",
                f"--threshold={path}",
            ]
            arguments += ["--pre-bias"] if pre_bias else []
            latents, sae = check_both(folder, random_rows(), *arguments)
        assert sae.cfg.architecture() == "jumprelu"
        assert sae.cfg.apply_b_dec_to_input == pre_bias
        threshold = sae.threshold.detach().numpy()
        assert (threshold == random_thresholds()[0]).all()
        assert (latents > 0).any()
        # the thresholds decide, not only the sign
        assert ((latents > 0) <= (latents > threshold)).all()
        sae.threshold.data.fill_(-1.0)
        with torch.no_grad():
            relu = sae.encode(torch.from_numpy(random_rows())).numpy()
        assert (relu > 0).sum() > (latents > 0).sum()


def set_random_weights(sae):
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            scale = D_IN**-0.5 if name.startswith("W_") else 0.3
            parameter.copy_(torch.randn_like(parameter) * scale)
    return sae


def check_theirs(save):
    """Ours and SAELens' results with what @save writes into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        save(path)
        latents, sae = check_both(folder, random_rows())
    assert sae.cfg.architecture() == "jumprelu"
    assert 0 < (latents > 0).mean() < 0.5


@tap.test("/peers/saelens/its-trained-batchtopk-loads-here")
def _():
    torch.manual_seed(8)
    for rescale in (False, True):
        config = BatchTopKTrainingSAEConfig(
            d_in=D_IN, d_sae=D_SAE, k=K, rescale_acts_by_decoder_norm=rescale
        )
        sae = set_random_weights(BatchTopKTrainingSAE(config))
        sae.topk_threshold.fill_(0.4)
        check_theirs(sae.save_inference_model)


@tap.test("/peers/saelens/its-trained-jumprelu-loads-here")
def _():
    torch.manual_seed(9)
    for mode in ("step", "tanh", "quadratic"):
        config = JumpReLUTrainingSAEConfig(
            d_in=D_IN, d_sae=D_SAE, jumprelu_sparsity_loss_mode=mode,
            target_l0=K,
        )
        sae = set_random_weights(JumpReLUTrainingSAE(config))
        check_theirs(sae.save_inference_model)
        check_theirs(sae.save_model)


def load_as_saelens_does(path):
    """Its loader of published folders, which reads the sparsity file; only
    the download is ours."""
    download = pretrained_sae_loaders.hf_hub_download
    pretrained_sae_loaders.hf_hub_download = (
        lambda repo_id, filename, **options: str(path / filename)
    )
    try:
        return pretrained_sae_loaders.sae_lens_huggingface_loader("", "model")
    finally:
        pretrained_sae_loaders.hf_hub_download = download


@tap.test("/peers/saelens/reads-our-latent-statistics")
def _():
    torch.manual_seed(10)
    x = random_rows()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        sae = make_saelens("jumprelu", True, False, "float32")
        with torch.no_grad():
            sae.b_enc[0], sae.b_enc[1] = -100.0, 100.0  # never, always
        sae.save_model(path / "model")
        np.save(path / "x.npy", x)
        subprocess.run([sae_stats, path / "model", path / "x.npy"], check=True)
        latents, _, _ = run_saelens(path / "model", x)
        _, _, sparsity = load_as_saelens_does(path)
        stats = {}
        with safe_open(
            path / "model" / "latent_stats.safetensors", framework="np"
        ) as file:
            assert file.metadata() == {"rows": str(ROWS)}
            for name in file.keys():
                stats[name] = file.get_tensor(name)
    fired = (latents > 0).sum(axis=0)
    assert fired[0] == 0 and fired[1] == ROWS
    want = _log_feature_sparsity(torch.from_numpy(fired) / ROWS)
    assert sparsity.dtype == want.dtype and sparsity.shape == want.shape
    assert (sparsity - want).abs().max() < 1e-6
    assert (stats["fired_fraction"] == (fired / ROWS).astype("f4")).all()
    check_close("max", stats["max_when_active"], latents.max(axis=0))
    mean = latents.sum(axis=0) / np.maximum(fired, 1)
    check_close("mean", stats["mean_when_active"], mean)
    edges = np.linspace(-10, 0, 21)
    assert (stats["log10_histogram_edges"] == edges).all()
    counts, _ = np.histogram(sparsity.numpy(), edges)
    assert (stats["log10_histogram_counts"] == counts).all()


def make_saelens(architecture, pre_bias, rescale, dtype):
    """An SAE of SAELens with random weights; its rows of W_dec have various
    norms, so that an ignored rescaling would show."""
    torch.manual_seed(6)
    settings = {
        "d_in": D_IN, "d_sae": D_SAE, "dtype": dtype,
        "apply_b_dec_to_input": pre_bias,
    }
    if architecture == "standard":
        sae = StandardSAE(StandardSAEConfig(**settings))
    elif architecture == "jumprelu":
        sae = JumpReLUSAE(JumpReLUSAEConfig(**settings))
    else:
        sae = TopKSAE(
            TopKSAEConfig(
                k=K, rescale_acts_by_decoder_norm=rescale, **settings
            )
        )
    return set_random_weights(sae)


def register_theirs(architecture, pre_bias, rescale, dtype):
    options = f"b_dec-{pre_bias:d}-rescale-{rescale:d}-{dtype}"

    @tap.test(f"/peers/saelens/its-{architecture}-loads-here/{options}")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model"
            sae = make_saelens(architecture, pre_bias, rescale, dtype)
            sae.save_model(path)
            saved = json.loads((path / "cfg.json").read_text())
            assert saved["dtype"] == dtype
            latents, _ = check_both(folder, random_rows())
        assert np.abs(latents).max() > 0


for options in itertools.product(("top-k", "l1"), (False, True)):
    register_ours(*options)
for pre_bias in (False, True):
    register_our_jump_relu(pre_bias)
for options in itertools.product(
    ("standard", "topk", "jumprelu"), (False, True), (False, True),
    ("float32", "float16", "bfloat16"),
):
    if options[0] == "topk" or not options[2]:
        register_theirs(*options)

tap.main()
