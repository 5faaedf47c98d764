#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Computes latents.npy, x_hat.npy and expected.json of each saelens-* folder
from its dictionary and x.npy, with SAELens.

  make-saelens.py           writes them anew
  make-saelens.py --check   compares with the files that are there
"""
import argparse
import importlib.metadata
import json
import pathlib
import sys

import numpy as np
import torch
from sae_lens import SAE

HERE = pathlib.Path(__file__).resolve().parent
# Relative to the largest magnitude: float32 sums in another order.
TOLERANCE = 1e-5


def compute(folder):
    x = torch.from_numpy(np.load(folder / "x.npy"))
    sae = SAE.load_from_disk(folder)
    with torch.no_grad():
        latents = sae.encode(x)
        x_hat = sae.decode(latents)
    variance = ((x - x.mean(0)) ** 2).sum()
    expected = {
        "made_by": "SAELens " + importlib.metadata.version("sae-lens"),
        "mean_l0": (latents > 0).float().sum(-1).mean().item(),
        "fvu": (((x - x_hat) ** 2).sum() / variance).item(),
    }
    return latents.numpy(), x_hat.numpy(), expected


def agree(stored, computed):
    difference = np.abs(stored - computed).max()
    return difference <= TOLERANCE * np.abs(stored).max()


def check(folder):
    latents, x_hat, expected = compute(folder)
    stored = json.loads((folder / "expected.json").read_text())
    return (
        agree(np.load(folder / "latents.npy"), latents)
        and agree(np.load(folder / "x_hat.npy"), x_hat)
        and agree(np.float64(stored["fvu"]), expected["fvu"])
        and stored["mean_l0"] == expected["mean_l0"]
    )


def write(folder):
    latents, x_hat, expected = compute(folder)
    np.save(folder / "latents.npy", latents)
    np.save(folder / "x_hat.npy", x_hat)
    text = json.dumps(expected, indent=1)
    (folder / "expected.json").write_text(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    folders = sorted(HERE.glob("saelens-*/"))
    if not arguments.check:
        for folder in folders:
            write(folder)
        return
    wrong = [folder.name for folder in folders if not check(folder)]
    if wrong:
        sys.exit("differ from what SAELens computes: " + ", ".join(wrong))
    print(f"{len(folders)} folders agree")


main()
