#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A dictionary of dictionary_learning (ae.pt) as SAELens' folder, which loads
here: `saeencoder location=OUT`. Needs torch and safetensors.

  from_dictionary_learning.py trainer_0/ae.pt OUT

Which class it is of is read from the config.json beside it, or else seen from
the names of its tensors; AutoEncoderTopK and BatchTopKSAE have the same, and
without a config.json --kind has to say. Latents are those of the library's own
load_dictionary(), BatchTopK's with its threshold (its default).
"""
import argparse
import json
import pathlib

import torch

import saelens_folder

TOP_K = ("encoder.weight", "encoder.bias", "decoder.weight", "b_dec", "k",
         "threshold")


def auto_encoder(state):
    """relu (W (x - bias) + b); decoder rows made unit vectors, as the library
    does when it loads one."""
    W_enc, b_enc, W_dec, b_dec = saelens_folder.take(
        state, "encoder.weight", "encoder.bias", "decoder.weight", "bias")
    norms = W_dec.norm(dim=0)
    if torch.allclose(norms, torch.ones_like(norms)):
        norms = torch.ones_like(norms)
    return dict(architecture="standard", pre_bias=True, tensors={
        "W_enc": (W_enc * norms[:, None]).T, "b_enc": b_enc * norms,
        "W_dec": (W_dec / norms).T, "b_dec": b_dec,
    })


def auto_encoder_new(state):
    """relu (W x + b): nothing is subtracted."""
    W_enc, b_enc, W_dec, b_dec = saelens_folder.take(
        state, "encoder.weight", "encoder.bias", "decoder.weight",
        "decoder.bias")
    return dict(architecture="standard", pre_bias=False, tensors={
        "W_enc": W_enc.T, "b_enc": b_enc, "W_dec": W_dec.T, "b_dec": b_dec,
    })


def top_k(state):
    W_enc, b_enc, W_dec, b_dec, k, _ = saelens_folder.take(state, *TOP_K)
    return dict(architecture="topk", pre_bias=True, k=int(k), tensors={
        "W_enc": W_enc.T, "b_enc": b_enc, "W_dec": W_dec.T, "b_dec": b_dec,
    })


def one_threshold(threshold, b_enc):
    """Each latent's; before training has set it, it is -1, and relu is all."""
    return torch.full_like(b_enc, max(float(threshold), 0.0))


def batch_top_k(state):
    W_enc, b_enc, W_dec, b_dec, _, threshold = saelens_folder.take(
        state, *TOP_K)
    return dict(architecture="jumprelu", pre_bias=True, tensors={
        "W_enc": W_enc.T, "b_enc": b_enc, "W_dec": W_dec.T, "b_dec": b_dec,
        "threshold": one_threshold(threshold, b_enc),
    })


def matryoshka_batch_top_k(state):
    W_enc, b_enc, W_dec, b_dec, _, threshold, _ = saelens_folder.take(
        state, "W_enc", "b_enc", "W_dec", "b_dec", "k", "threshold",
        "group_sizes")
    return dict(architecture="jumprelu", pre_bias=True, tensors={
        "W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec,
        "threshold": one_threshold(threshold, b_enc),
    })


def jump_relu(state):
    W_enc, b_enc, W_dec, b_dec, threshold = saelens_folder.take(
        state, "W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    return dict(architecture="jumprelu", pre_bias=False, tensors={
        "W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec,
        "threshold": threshold,
    })


def gated(state):
    W_enc, r_mag, b_gate, b_mag, W_dec, b_dec = saelens_folder.take(
        state, "encoder.weight", "r_mag", "gate_bias", "mag_bias",
        "decoder.weight", "decoder_bias")
    return dict(architecture="gated", pre_bias=True, tensors={
        "W_enc": W_enc.T, "r_mag": r_mag, "b_gate": b_gate, "b_mag": b_mag,
        "W_dec": W_dec.T, "b_dec": b_dec,
    })


KINDS = {
    "AutoEncoder": auto_encoder,
    "AutoEncoderNew": auto_encoder_new,
    "AutoEncoderTopK": top_k,
    "BatchTopKSAE": batch_top_k,
    "MatryoshkaBatchTopKSAE": matryoshka_batch_top_k,
    "JumpReluAutoEncoder": jump_relu,
    "GatedAutoEncoder": gated,
}


def guess_kind(state):
    """From names; None for the two that have the same."""
    for name, kind in (
        ("group_sizes", "MatryoshkaBatchTopKSAE"), ("r_mag", "GatedAutoEncoder"),
        ("decoder.bias", "AutoEncoderNew"), ("bias", "AutoEncoder"),
        ("W_enc", "JumpReluAutoEncoder"),
    ):
        if name in state:
            return kind
    return None


def read_config(path):
    path = pathlib.Path(path).parent / "config.json"
    if not path.exists():
        return {}
    return json.loads(path.read_text()).get("trainer", {})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ae", help="ae.pt")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--kind", choices=KINDS, help="class of the dictionary")
    args = parser.parse_args()

    # only tensors: a pickle can run anything
    state = torch.load(args.ae, map_location="cpu", weights_only=True)
    config = read_config(args.ae)
    kind = args.kind or config.get("dict_class") or guess_kind(state)
    if kind not in KINDS:
        raise SystemExit(f"{args.ae}: set --kind to one of {', '.join(KINDS)} "
                         f"(found {kind or 'no config.json'})")
    metadata = {"converted_from": f"dictionary_learning {kind}"}
    for key, name in (("lm_name", "model_name"), ("submodule_name", "hook_name"),
                      ("layer", "hook_layer")):
        if config.get(key) is not None:
            metadata[name] = config[key]
    saelens_folder.write(args.out, metadata=metadata, **KINDS[kind](state))


if __name__ == "__main__":
    main()
