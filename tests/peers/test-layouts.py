# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dictionaries go both ways between this library and sparsify, and through
examples/convert from dictionary_learning and OpenAI's; weights come in pieces
from huggingface_hub.

Usage: test-layouts.py SAE-RUN EXAMPLES-FOLDER
"""

import json
import pathlib
import runpy
import subprocess
import sys
import tempfile
import types

import numpy as np
import torch
from huggingface_hub import save_torch_state_dict
from sae_lens import SAE
from safetensors.torch import load_file
from sparsify import SparseCoder, SparseCoderConfig

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

# It runs language models, of which nothing is needed here.
sys.modules["nnsight"] = types.SimpleNamespace(LanguageModel=None)
from dictionary_learning import dictionary as dictionaries  # noqa: E402
from dictionary_learning.trainers import (  # noqa: E402
    batch_top_k, matryoshka_batch_top_k, top_k,
)

sae_run = sys.argv.pop(1)
convert = pathlib.Path(sys.argv.pop(1)) / "convert"

D_IN, D_SAE, K, ROWS = 48, 160, 8, 64
# Relative to the largest magnitude: what two float32 implementations that
# sum in different orders may differ by.
TOLERANCE = 1e-5


def random_rows(seed=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, D_IN)).astype(np.float32) * 2 + 0.3


def randomise(module, seed=5):
    """Biases that were not trained are 0, and would hide much."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 0.3 if parameter.ndim == 1 else 1 / D_IN ** 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator)
                            * scale)
    return module


def run_ours(folder, model, x, *arguments):
    folder = pathlib.Path(folder)
    np.save(folder / "x.npy", x)
    command = [
        sae_run, f"--model={model}", f"--x={folder / 'x.npy'}",
        f"--latents={folder / 'latents.npy'}",
        f"--x-hat={folder / 'x_hat.npy'}", *arguments,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return np.load(folder / "latents.npy"), np.load(folder / "x_hat.npy")


def check_close(name, got, want):
    assert got.shape == want.shape, f"{name}: {got.shape} != {want.shape}"
    assert np.abs(want).max() > 0, f"{name} is all 0"
    worst = np.abs(got - want).max() / np.abs(want).max()
    assert worst <= TOLERANCE, f"{name} differs by {worst:.2e}"


def check_both(got, want):
    check_close("latents", got[0], want[0])
    check_close("x_hat", got[1], want[1])


# --- sparsify ---------------------------------------------------------------


def run_sparsify(path, x):
    coder = SparseCoder.load_from_disk(path)
    with torch.no_grad():
        x = torch.from_numpy(x)
        values, indices, _ = coder.encode(x)
        x_hat = coder.decode(values, indices)
        if coder.W_skip is not None:
            x_hat += x @ coder.W_skip.mT
    latents = torch.zeros(len(x), coder.num_latents)
    latents.scatter_(1, indices, values)
    return latents.numpy(), x_hat.numpy()


def register_sparsify(name, **options):
    """What sparsify wrote runs here with the same result, and what we write of
    it runs there."""

    @tap.test(f"/peers/sparsify/both-ways-{name}")
    def _():
        config = SparseCoderConfig(**{"k": K, "num_latents": D_SAE, **options})
        coder = randomise(SparseCoder(D_IN, config))
        x = random_rows()
        with tempfile.TemporaryDirectory() as folder:
            theirs, ours = f"{folder}/theirs", f"{folder}/ours"
            coder.save_to_disk(theirs)
            got = run_ours(folder, theirs, x, f"--save={ours}",
                           "--layout=sparsify")
            want = run_sparsify(theirs, x)
            check_both(got, want)
            again = run_sparsify(ours, x)
            assert (again[0] == want[0]).all() and (again[1] == want[1]).all()


for activation in ("topk", "groupmax"):
    register_sparsify(activation, activation=activation)
    register_sparsify(f"{activation}-transcoder-with-skip", activation=activation,
                      transcode=True, skip_connection=True)
register_sparsify("skip", skip_connection=True)
register_sparsify("expansion", num_latents=0, expansion_factor=3)
register_sparsify("multi-topk", multi_topk=True)
register_sparsify("free-decoder", normalize_decoder=False)


@tap.test("/peers/sparsify/loads-what-we-trained")
def _():
    x = random_rows()
    for options in ([], ["--pre-bias"], ["--skip"]):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model"
            got = run_ours(folder, path, x, "--train=20", "--layout=sparsify",
                           f"--dict-size={D_SAE}", f"--top-k={K}", *options)
            check_both(got, run_sparsify(path, x))
            config = json.loads(pathlib.Path(path, "cfg.json").read_text())
            assert config["transcode"] == ("--pre-bias" not in options), config
            assert config["skip_connection"] == ("--skip" in options), config
            assert config["normalize_decoder"] is True, config


# --- pieces -----------------------------------------------------------------


@tap.test("/peers/huggingface/weights-in-pieces")
def _():
    coder = randomise(SparseCoder(
        D_IN, SparseCoderConfig(k=K, num_latents=D_SAE)))
    x = random_rows()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model")
        coder.save_to_disk(path)
        whole = run_ours(folder, path, x)
        state = load_file(path / "sae.safetensors")
        (path / "sae.safetensors").unlink()
        save_torch_state_dict(
            state, path, filename_pattern="sae{suffix}.safetensors",
            max_shard_size=D_IN * D_SAE * 4 + 1000)
        pieces = sorted(p.name for p in path.glob("*.safetensors*"))
        assert len(pieces) > 2, pieces
        got = run_ours(folder, path, x)
        assert (got[0] == whole[0]).all() and (got[1] == whole[1]).all()


# --- converters -------------------------------------------------------------


sys.path.append(str(convert))  # where a script finds what is beside it


def run_converter(name, *arguments):
    """In this process, since each new one imports torch for seconds."""
    path, saved = str(convert / f"{name}.py"), sys.argv
    sys.argv = [path, *map(str, arguments)]
    try:
        runpy.run_path(path, run_name="__main__")
    finally:
        sys.argv = saved


def run_saelens(path, x):
    sae = SAE.load_from_disk(str(path), dtype="float32")
    with torch.no_grad():
        latents = sae.encode(torch.from_numpy(x))
        return latents.to_dense().numpy(), sae.decode(latents).numpy()


@tap.test("/peers/all/one-dictionary-trained-here-goes-round-both-libraries")
def _():
    """We train and write both layouts; each library loads its own, writes it
    again, and we load that: the same latents and x_hat at every stop."""
    x = random_rows()
    with tempfile.TemporaryDirectory() as folder:
        ours, for_sparsify = f"{folder}/ours", f"{folder}/sparsify"
        want = run_ours(folder, ours, x, "--train=20", "--pre-bias",
                        f"--dict-size={D_SAE}", f"--top-k={K}")
        run_ours(folder, ours, x, f"--save={for_sparsify}", "--layout=sparsify")
        check_both(run_saelens(ours, x), want)
        check_both(run_sparsify(for_sparsify, x), want)
        SAE.load_from_disk(ours, dtype="float32").save_model(f"{folder}/theirs")
        SparseCoder.load_from_disk(for_sparsify).save_to_disk(f"{folder}/theirs-2")
        check_both(run_ours(folder, f"{folder}/theirs", x), want)
        check_both(run_ours(folder, f"{folder}/theirs-2", x), want)


def register_dictionary(name, make, load, config=None, kind=None):
    @tap.test(f"/peers/dictionary_learning/{name}")
    def _():
        x = random_rows()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "ae.pt")
            torch.save(randomise(make()).state_dict(), path)
            if config:
                path.with_name("config.json").write_text(
                    json.dumps({"trainer": config}))
            arguments = [f"--kind={kind}"] if kind else []
            out = pathlib.Path(folder, "out")
            run_converter("from_dictionary_learning", path, out, *arguments)
            theirs = load(str(path))
            with torch.no_grad():
                latents = theirs.encode(torch.from_numpy(x))
                want = latents.numpy(), theirs.decode(latents).numpy()
            check_both(run_saelens(out, x), want)
            check_both(run_ours(folder, out, x), want)


def with_threshold(module, threshold):
    with torch.no_grad():
        module.threshold.fill_(threshold)
    return module


register_dictionary(
    "AutoEncoder", lambda: dictionaries.AutoEncoder(D_IN, D_SAE),
    dictionaries.AutoEncoder.from_pretrained)
register_dictionary(
    "AutoEncoderNew", lambda: dictionaries.AutoEncoderNew(D_IN, D_SAE),
    dictionaries.AutoEncoderNew.from_pretrained)
register_dictionary(
    "AutoEncoderTopK", lambda: top_k.AutoEncoderTopK(D_IN, D_SAE, K),
    top_k.AutoEncoderTopK.from_pretrained,
    {"dict_class": "AutoEncoderTopK", "lm_name": "gpt2", "layer": 3})
register_dictionary(
    "BatchTopKSAE", lambda: with_threshold(
        batch_top_k.BatchTopKSAE(D_IN, D_SAE, K), 0.7),
    batch_top_k.BatchTopKSAE.from_pretrained, kind="BatchTopKSAE")
register_dictionary(
    "BatchTopKSAE-without-a-threshold",
    lambda: batch_top_k.BatchTopKSAE(D_IN, D_SAE, K),
    batch_top_k.BatchTopKSAE.from_pretrained, kind="BatchTopKSAE")
register_dictionary(
    "MatryoshkaBatchTopKSAE", lambda: with_threshold(
        matryoshka_batch_top_k.MatryoshkaBatchTopKSAE(
            D_IN, D_SAE, K, [40, 120]), 0.7),
    matryoshka_batch_top_k.MatryoshkaBatchTopKSAE.from_pretrained)
register_dictionary(
    "JumpReluAutoEncoder", lambda: dictionaries.JumpReluAutoEncoder(
        D_IN, D_SAE),
    dictionaries.JumpReluAutoEncoder.from_pretrained)
register_dictionary(
    "GatedAutoEncoder", lambda: dictionaries.GatedAutoEncoder(D_IN, D_SAE),
    dictionaries.GatedAutoEncoder.from_pretrained)


@tap.test("/peers/dictionary_learning/two-of-the-same-names-need-a-word")
def _():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "ae.pt")
        torch.save(top_k.AutoEncoderTopK(D_IN, D_SAE, K).state_dict(), path)
        try:
            run_converter("from_dictionary_learning", path,
                          pathlib.Path(folder, "out"))
        except SystemExit as error:
            assert "--kind" in str(error), error
        else:
            raise AssertionError("it was converted")


def run_openai(state, k, normalize, x):
    """As sparse_autoencoder's model.py: LN, encode, decode."""
    x = torch.from_numpy(x)
    mean, std = torch.zeros(len(x), 1), torch.ones(len(x), 1)
    if normalize:
        mean = x.mean(dim=-1, keepdim=True)
        x = x - mean
        std = x.std(dim=-1, keepdim=True)
        x = x / (std + 1e-5)
    pre = (x - state["pre_bias"]) @ state["encoder.weight"].T
    pre = pre + state["latent_bias"]
    latents = torch.relu(pre)
    if k:
        values, indices = pre.topk(k, dim=-1)
        latents = torch.zeros_like(pre).scatter_(1, indices, values.relu())
    x_hat = latents @ state["decoder.weight"].T + state["pre_bias"]
    return latents.numpy(), (x_hat * std + mean).numpy()


def register_openai(name, k, normalize, tied=False):
    @tap.test(f"/peers/openai/{name}")
    def _():
        generator = torch.Generator().manual_seed(6)

        def normal(*shape):
            return torch.randn(shape, generator=generator) / 3

        state = {
            "pre_bias": normal(D_IN), "latent_bias": normal(D_SAE),
            "encoder.weight": normal(D_SAE, D_IN),
            "decoder.weight": normal(D_IN, D_SAE),
            "stats_last_nonzero": torch.zeros(D_SAE, dtype=torch.long),
            "activation": "TopK" if k else "ReLU",
        }
        if k:
            state["activation_state_dict"] = {"k": k, "postact_fn": "ReLU"}
        if tied:
            state["decoder.weight"] = state["encoder.weight"].T
        x = random_rows()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "autoencoder.pt")
            saved = dict(state)
            if tied:
                saved["decoder.linear.weight"] = saved["encoder.weight"]
                del saved["decoder.weight"]
            torch.save(saved, path)
            out = pathlib.Path(folder, "out")
            arguments = [] if normalize == bool(k) else [
                f"--normalize={'yes' if normalize else 'no'}"]
            run_converter("from_openai", path, out, *arguments)
            want = run_openai(state, k, normalize, x)
            check_both(run_saelens(out, x), want)
            check_both(run_ours(folder, out, x), want)


register_openai("topk-normalises", K, True)
register_openai("topk-as-it-comes", K, False)
register_openai("relu", None, False)
register_openai("relu-tied", None, False, tied=True)

tap.main()
