#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An autoencoder of OpenAI's sparse_autoencoder (Gao et al. 2024) as SAELens'
folder, which loads here: `saeencoder location=OUT`. Needs torch and safetensors.

  from_openai.py autoencoder.pt OUT [--normalize yes|no]

The file is what torch.save() made of its state dict: pre_bias, latent_bias,
encoder.weight, decoder.weight, and the activation with its k. Those with TopK
normalise each row to mean 0 and deviation 1, and undo it in the
reconstruction; the file does not say so, and OpenAI's loader takes it from the
activation, as is done here. SAELens has the same as "layer_norm".
"""
import argparse

import torch

import saelens_folder

# What training has counted.
STATISTICS = ("stats_last_nonzero", "latents_activation_frequency",
              "latents_mean_square")


def read_activation(state):
    """(architecture, k)"""
    name = state.pop("activation", "ReLU")
    options = state.pop("activation_state_dict", {})
    if name == "ReLU":
        return "standard", None
    if name != "TopK" or options.get("postact_fn", "ReLU") != "ReLU":
        raise SystemExit(f"activation: expected ReLU, or TopK of it; found "
                         f"{name} {dict(options)}")
    return "topk", int(options["k"])


def convert(state, normalize):
    state = {name: value for name, value in state.items()
             if name not in STATISTICS}
    architecture, k = read_activation(state)
    if "decoder.weight" not in state:  # tied: the encoder's transpose
        tied = state.pop("decoder.linear.weight", state["encoder.weight"])
        state["decoder.weight"] = tied.T
    pre_bias, latent_bias, W_enc, W_dec = saelens_folder.take(
        state, "pre_bias", "latent_bias", "encoder.weight", "decoder.weight")
    if normalize is None:
        normalize = architecture == "topk"
    return dict(
        architecture=architecture, k=k, pre_bias=True,
        normalize="layer_norm" if normalize else "none",
        tensors={"W_enc": W_enc.T, "b_enc": latent_bias, "W_dec": W_dec.T,
                 "b_dec": pre_bias},
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", help="file of the state dict")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--normalize", choices=("yes", "no"),
                        help="whether rows are normalised (default: with TopK)")
    args = parser.parse_args()

    # only tensors: a pickle can run anything
    state = torch.load(args.state, map_location="cpu", weights_only=True)
    normalize = None if args.normalize is None else args.normalize == "yes"
    saelens_folder.write(
        args.out, metadata={"converted_from": "OpenAI sparse_autoencoder"},
        **convert(state, normalize))


if __name__ == "__main__":
    main()
