# SPDX-License-Identifier: LGPL-2.1-or-later
"""Golden runs as they are stored: safetensors files and an index.json that
says which run is in which of them. Writes them, or compares what was computed
anew with what is there."""

import json

import torch
from safetensors.torch import load_file, save_file

# Relative to the largest magnitude of the tensor. Stored float32 rounds by
# 6e-8; the rest is room for another order of summation in float64.
TOLERANCE = 1e-6


def compare_file(folder, name, expected):
    """Lines that say what differs, none when all agrees."""
    path = folder / name
    if not path.exists():
        return [f"{name}: missing"]
    found = load_file(path)
    if sorted(found) != sorted(expected):
        return [f"{name}: expected {sorted(expected)}, found {sorted(found)}"]
    problems = []
    for key, want in expected.items():
        got = found[key].double()
        if got.shape != want.shape:
            shapes = f"{list(want.shape)}, found {list(got.shape)}"
            problems.append(f"{name}: {key}: expected {shapes}")
            continue
        worst = (got - want.double()).abs().max()
        scale = want.double().abs().max()
        if not worst <= TOLERANCE * scale:
            problems.append(f"{name}: {key} differs by {worst / scale:.2e}")
    return problems


def compare_index(folder, index):
    committed = json.loads((folder / "index.json").read_text())
    if sorted(committed) != sorted(index):
        return ["index.json: lists other runs"]
    problems = []
    for name, want in index.items():
        for key, value in want.items():
            got = committed[name].get(key)
            if key.endswith("_loss"):
                same = torch.allclose(
                    torch.tensor(got), torch.tensor(value), rtol=TOLERANCE
                )
            else:
                same = got == value
            if not same:
                problems.append(f"index.json: {name}.{key}: {got} != {value}")
    return problems


def check(folder, files, index):
    problems = compare_index(folder, index)
    for name, tensors in files.items():
        problems += compare_file(folder, name, tensors)
    print("\n".join(problems) or f"{len(index)} runs agree")
    return 1 if problems else 0


def write(folder, files, index):
    folder.mkdir(exist_ok=True)
    for name, tensors in files.items():
        save_file(tensors, folder / name)
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index)} runs written to {folder}")
