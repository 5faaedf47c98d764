# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes dictionaries as SAELens 6 has them: cfg.json, sae_weights.safetensors.

W_enc is [d_in, d_sae] there, W_dec [d_sae, d_in].
"""
import json
import pathlib

import torch
from safetensors.torch import save_file


def write(folder, architecture, tensors, *, pre_bias, normalize="none",
          k=None, metadata=None):
    """@tensors by SAELens' names; b_dec is subtracted first with @pre_bias."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    d_in, d_sae = tensors["W_enc"].shape
    config = {
        "d_in": d_in, "d_sae": d_sae, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": pre_bias, "normalize_activations": normalize,
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.0.0", **(metadata or {})},
    }
    if architecture == "topk":
        config |= {"k": k, "rescale_acts_by_decoder_norm": False}
    config["architecture"] = architecture
    save_file(
        {name: tensor.detach().to(torch.float32).contiguous()
         for name, tensor in tensors.items()},
        str(folder / "sae_weights.safetensors"),
    )
    (folder / "cfg.json").write_text(json.dumps(config, indent=1) + "\n")


def take(state, *names):
    """The tensors of these names, and no others may be there."""
    missing = [name for name in names if name not in state]
    others = [name for name in state if name not in names]
    if missing or others:
        raise SystemExit(f"expected {', '.join(names)}; missing "
                         f"{missing or 'none'}, unknown {others or 'none'}")
    return [state[name] for name in names]
