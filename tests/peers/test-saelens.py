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
from safetensors.torch import load_file, save_file
from sae_lens import (
    SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, GatedSAE,
    GatedSAEConfig, GatedTrainingSAE, GatedTrainingSAEConfig, JumpReLUSAE,
    JumpReLUSAEConfig, JumpReLUSkipTranscoder, JumpReLUSkipTranscoderConfig,
    JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, JumpReLUTranscoder,
    JumpReLUTranscoderConfig, MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig, SkipTranscoder, SkipTranscoderConfig,
    StandardSAE, StandardSAEConfig, StandardTrainingSAE,
    StandardTrainingSAEConfig, TopKSAE, TopKSAEConfig, TopKTrainingSAE,
    TopKTrainingSAEConfig, Transcoder, TranscoderConfig,
)
from sae_lens.loading import pretrained_sae_loaders
from sae_lens.training.sae_trainer import _log_feature_sparsity

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

sae_run, sae_stats = sys.argv.pop(1), sys.argv.pop(1)

D_IN, D_SAE, K, ROWS = 48, 160, 8, 64
N_HEADS = 4
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
    x = torch.from_numpy(x)
    if sae.hook_z_reshaping_mode:
        x = x.reshape(ROWS, N_HEADS, D_IN // N_HEADS)
    with torch.no_grad():
        latents = sae.encode(x)
        x_hat = sae.decode(latents).reshape(ROWS, -1)
    return latents.to_dense().numpy(), x_hat.numpy(), sae


def check_close(name, got, want):
    assert got.shape == want.shape, f"{name}: {got.shape} != {want.shape}"
    worst = np.abs(got - want).max() / np.abs(want).max()
    assert worst <= TOLERANCE, f"{name} differs by {worst:.2e}"


def check_options(path, again):
    """What we write again of cfg.json is what was there."""
    before = json.loads((path / "cfg.json").read_text())
    after = json.loads((again / "cfg.json").read_text())
    for key in ("architecture", "normalize_activations", "k",
                "apply_b_dec_to_input", "reshape_activations"):
        if key in before and "sae_lens_version" in before["metadata"]:
            assert before.get(key) == after.get(key), key


def check_both(folder, x, *arguments):
    """Our results are SAELens' own, with what it wrote and with what we make
    of that when we write it."""
    path = pathlib.Path(folder)
    ours = run_ours(folder, x, *arguments, f"--save={path / 'again'}")
    latents, x_hat, sae = run_saelens(path / "model", x)
    check_close("latents", ours[0], latents)
    check_close("x_hat", ours[1], x_hat)
    again = run_saelens(path / "again", x)
    check_close("latents of what we saved", again[0], latents)
    check_close("x_hat of what we saved", again[1], x_hat)
    if "metadata" in json.loads((path / "model" / "cfg.json").read_text()):
        check_options(path / "model", path / "again")
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
            if name.startswith("W_"):
                scale = D_IN**-0.5
            else:
                scale = 0.3
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


def make_batch_topk(matryoshka, rescale):
    config = {
        "d_in": D_IN, "d_sae": D_SAE, "k": K + 0.5,
        "rescale_acts_by_decoder_norm": rescale,
    }
    if matryoshka:
        config["matryoshka_widths"] = [20, 70, D_SAE]
        sae = MatryoshkaBatchTopKTrainingSAE(
            MatryoshkaBatchTopKTrainingSAEConfig(**config)
        )
    else:
        sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**config))
    set_random_weights(sae)
    sae.topk_threshold.fill_(0.4)
    return sae


@tap.test("/peers/saelens/its-trained-batchtopk-loads-here")
def _():
    torch.manual_seed(8)
    for matryoshka, rescale in itertools.product((False, True), repeat=2):
        sae = make_batch_topk(matryoshka, rescale)
        check_theirs(sae.save_inference_model)


# SAELens itself loads these only to train on; what it would compute with them
# is what it writes at the end.
@tap.test("/peers/saelens/its-checkpoints-of-batchtopk-load-here")
def _():
    torch.manual_seed(11)
    x = random_rows()
    for matryoshka, rescale in itertools.product((False, True), repeat=2):
        sae = make_batch_topk(matryoshka, rescale)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            sae.save_model(path / "model")
            sae.save_inference_model(path / "end")
            config = json.loads((path / "model" / "cfg.json").read_text())
            assert config["architecture"] == (
                "matryoshka_batchtopk" if matryoshka else "batchtopk"
            )
            ours = run_ours(folder, x)
            latents, x_hat, _ = run_saelens(path / "end", x)
        check_close("latents", ours[0], latents)
        check_close("x_hat", ours[1], x_hat)


@tap.test("/peers/saelens/its-other-training-folders-load-here")
def _():
    torch.manual_seed(12)
    for sae in (
        StandardTrainingSAE(StandardTrainingSAEConfig(d_in=D_IN, d_sae=D_SAE)),
        GatedTrainingSAE(GatedTrainingSAEConfig(d_in=D_IN, d_sae=D_SAE)),
        TopKTrainingSAE(TopKTrainingSAEConfig(d_in=D_IN, d_sae=D_SAE, k=K)),
    ):
        set_random_weights(sae)
        for save in (sae.save_model, sae.save_inference_model):
            with tempfile.TemporaryDirectory() as folder:
                save(pathlib.Path(folder) / "model")
                # a folding of norms is not a row's option that we write again
                latents, _ = check_both(folder, random_rows())
            assert (latents > 0).any()


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


CLASSES = {
    "standard": (StandardSAE, StandardSAEConfig),
    "topk": (TopKSAE, TopKSAEConfig),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig),
    "gated": (GatedSAE, GatedSAEConfig),
}
NORMS = (
    "none", "layer_norm", "constant_norm_rescale", "expected_average_only_in"
)


def make_saelens(architecture, pre_bias, rescale, dtype, **options):
    """An SAE of SAELens with random weights; its rows of W_dec have various
    norms, so that an ignored rescaling would show."""
    torch.manual_seed(6)
    sae_class, config_class = CLASSES[architecture]
    settings = {
        "d_in": D_IN, "d_sae": D_SAE, "dtype": dtype,
        "apply_b_dec_to_input": pre_bias, **options,
    }
    if architecture == "topk":
        settings["k"] = K
        settings["rescale_acts_by_decoder_norm"] = rescale
    return set_random_weights(sae_class(config_class(**settings)))


def register_theirs(architecture, pre_bias, rescale, dtype, **options):
    name = f"b_dec-{pre_bias:d}-rescale-{rescale:d}-{dtype}"
    name += "".join(f"-{value}" for value in options.values())

    @tap.test(f"/peers/saelens/its-{architecture}-loads-here/{name}")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model"
            sae = make_saelens(
                architecture, pre_bias, rescale, dtype, **options
            )
            sae.save_model(path)
            saved = json.loads((path / "cfg.json").read_text())
            assert saved["dtype"] == dtype
            assert all(saved[key] == options[key] for key in options)
            latents, _ = check_both(folder, random_rows())
        assert np.abs(latents).max() > 0


@tap.test("/peers/saelens/options-matter")
def _():
    """Each architecture's latents or reconstruction are others with each
    option, so that the tests above could not pass without it."""
    x = torch.from_numpy(random_rows())
    for architecture in CLASSES:
        results = []
        for norm in NORMS[:3]:
            sae = make_saelens(
                architecture, True, False, "float32",
                normalize_activations=norm,
            )
            with torch.no_grad():
                results.append(sae.decode(sae.encode(x)).numpy())
        for a, b in itertools.combinations(results, 2):
            assert np.abs(a - b).max() > 0.1


# --- transcoders ------------------------------------------------------------

TRANSCODERS = {
    "transcoder": (Transcoder, TranscoderConfig),
    "skip_transcoder": (SkipTranscoder, SkipTranscoderConfig),
    "jumprelu_transcoder": (JumpReLUTranscoder, JumpReLUTranscoderConfig),
    "jumprelu_skip_transcoder": (
        JumpReLUSkipTranscoder, JumpReLUSkipTranscoderConfig
    ),
}


def run_transcoder(path, x):
    sae = SAE.load_from_disk(str(path))
    with torch.no_grad():
        latents = sae.encode(torch.from_numpy(x))
        return latents.numpy(), sae(torch.from_numpy(x)).numpy(), sae


def register_transcoder(architecture, d_out):
    @tap.test(f"/peers/saelens/its-{architecture}-loads-here/d_out-{d_out}")
    def _():
        torch.manual_seed(14)
        x = random_rows()
        sae_class, config_class = TRANSCODERS[architecture]
        config = config_class(
            d_in=D_IN, d_sae=D_SAE, d_out=d_out, apply_b_dec_to_input=False
        )
        config.metadata.hook_name_out = "blocks.0.hook_mlp_out"
        sae = set_random_weights(sae_class(config))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            sae.save_model(path / "model")
            ours = run_ours(folder, x, f"--save={path / 'again'}")
            for name in ("model", "again"):
                latents, y_hat, again = run_transcoder(path / name, x)
                assert again.cfg.architecture() == architecture
                assert y_hat.shape == (ROWS, d_out)
                check_close("latents", ours[0], latents)
                check_close("y_hat", ours[1], y_hat)
        assert 0 < (latents > 0).mean() < 1


# --- folders of SAELens 3 to 5 ----------------------------------------------

OLD = {
    "d_in": D_IN, "d_sae": D_SAE, "dtype": "torch.float32", "device": "cpu",
    "model_name": "gpt2-small", "hook_point": "blocks.0.hook_resid_pre",
    "hook_point_layer": 0, "hook_point_head_index": None,
    "activation_fn_str": "relu", "activation_fn_kwargs": {},
    "finetuning_scaling_factor": False, "sae_lens_training_version": "3.1.0",
    "prepend_bos": True, "dataset_path": "a/b", "context_size": 128,
    "dataset_trust_remote_code": True, "normalize_activations": "none",
    "l1_coefficient": 8e-5, "lr": 4e-4, "use_ghost_grads": False,
    "total_training_tokens": 300000000, "wandb_project": "x",
}


def save_old(path, tensors=None, **options):
    """A folder with today's random weights, as it was written then; without an
    architecture it is standard."""
    architecture = options.get("architecture", "standard")
    sae = make_saelens(architecture, True, False, "float32")
    sae.save_model(path)
    if tensors:
        weights = load_file(path / "sae_weights.safetensors")
        save_file({**weights, **tensors}, path / "sae_weights.safetensors")
    (path / "cfg.json").write_text(json.dumps({**OLD, **options}))


def register_old(name, tensors=None, **options):
    @tap.test(f"/peers/saelens/folders-from-before-6/{name}")
    def _():
        with tempfile.TemporaryDirectory() as folder:
            save_old(pathlib.Path(folder) / "model", tensors, **options)
            latents, sae = check_both(folder, random_rows())
            again = json.loads(
                (pathlib.Path(folder) / "again" / "cfg.json").read_text()
            )
        assert (latents > 0).any()
        assert again["metadata"]["model_name"] == "gpt2-small"
        assert again["metadata"]["hook_name"] == sae.cfg.metadata.hook_name
        assert again["normalize_activations"] == sae.cfg.normalize_activations


register_old("standard")
register_old("topk", activation_fn_str="topk", activation_fn_kwargs={"k": K})
register_old(
    "architecture-topk", architecture="topk", activation_fn_str="topk",
    activation_fn_kwargs={"k": K}, sae_lens_version="5.10.7",
)
register_old("gated", architecture="gated")
register_old("jumprelu", architecture="jumprelu")
register_old("without-pre-bias", apply_b_dec_to_input=False)
register_old("normalize-null", normalize_activations=None)
register_old("normalize-false", normalize_activations=False)
register_old("normalize-true", normalize_activations=True)
register_old("layer-norm", normalize_activations="layer_norm")
register_old("constant-norm", normalize_activations="constant_norm_rescale")
register_old("hook-z", hook_point="blocks.0.attn.hook_z")
register_old(
    "scaling-factors-of-1", tensors={"scaling_factor": torch.ones(D_SAE)}
)


# SAELens 6 refuses such files; 3 to 5 computed (latents * factors) @ W_dec.
@tap.test("/peers/saelens/folders-from-before-6/finetuned")
def _():
    x = random_rows()
    torch.manual_seed(13)
    factors = 1 + torch.rand(D_SAE)
    for name in ("scaling_factor", "finetuning_scaling_factor"):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model"
            save_old(
                path, tensors={name: factors}, finetuning_scaling_factor=True
            )
            ours = run_ours(folder, x)
            save_old(path)
            latents, _, sae = run_saelens(path, x)
            with torch.no_grad():
                x_hat = sae.decode(torch.from_numpy(latents) * factors).numpy()
        check_close("latents", ours[0], latents)
        check_close("x_hat", ours[1], x_hat)


for options in itertools.product(TRANSCODERS, (D_IN, 30)):
    register_transcoder(*options)
for options in itertools.product(("top-k", "l1"), (False, True)):
    register_ours(*options)
for pre_bias in (False, True):
    register_our_jump_relu(pre_bias)
for options in itertools.product(
    CLASSES, (False, True), (False, True),
    ("float32", "float16", "bfloat16", "float64"),
):
    if options[0] == "topk" or not options[2]:
        register_theirs(*options)
for architecture, norm, pre_bias in itertools.product(
    CLASSES, NORMS[1:], (False, True)
):
    register_theirs(
        architecture, pre_bias, False, "float32", normalize_activations=norm
    )
register_theirs(
    "topk", True, True, "float32", normalize_activations="layer_norm"
)
for architecture in CLASSES:
    register_theirs(
        architecture, True, False, "float32", reshape_activations="hook_z"
    )

tap.main()
