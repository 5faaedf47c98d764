#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A dictionary of a layer of a language model, while it reads a text.

    python3 hugging-face.py MODEL TEXT.txt dictionary/ [--layer 6]

MODEL is a name on the Hugging Face hub or a folder, of any architecture that
transformers loads. Nothing but the dictionary is written: the activations go
from the hook into the trainer. Where transformers is not there, or with the
word toy for MODEL, a small untrained network takes its place, which shows how
any torch module is hooked.
"""

import argparse

import torch

import gst_sae


class ToyModel(torch.nn.Module):
    """Letters to letters: shows where to hook, and knows nothing."""

    def __init__(self, width=64, n_layers=3):
        super().__init__()
        self.embed = torch.nn.Embedding(256, width)
        self.layers = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)
            for _ in range(n_layers)
        )

    def forward(self, input_ids, attention_mask):
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x)
        return x


def load_toy():
    torch.manual_seed(0)

    def tokenize(texts):
        ids = [list(text.encode()[:128]) for text in texts]
        longest = max(map(len, ids))
        return {
            "input_ids": torch.tensor([i + [0] * (longest - len(i)) for i in ids]),
            "attention_mask": torch.tensor(
                [[1] * len(i) + [0] * (longest - len(i)) for i in ids]
            ),
        }

    return ToyModel().eval(), tokenize


def load(name):
    """The model, and what makes its inputs of a list of texts."""
    if name == "toy":
        return load_toy()
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModel.from_pretrained(name, dtype="auto").eval()

    def tokenize(texts):
        return tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=128
        ).to(model.device)

    return model, tokenize


def find_layers(model):
    """The longest list of blocks, whatever the architecture calls it."""
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    return max(lists, key=len)


def read_batches(path, size, epochs):
    lines = [line for line in open(path, encoding="utf-8").read().splitlines() if line]
    for _ in range(epochs):
        for start in range(0, len(lines), size):
            yield lines[start : start + size]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("text", help="a passage a line")
    parser.add_argument("dictionary", help="the folder to write")
    parser.add_argument("--layer", type=int, default=None, help="from 0 (the middle one)")
    parser.add_argument("--dict-size", type=int, default=1024)
    parser.add_argument("--top-k", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16, help="passages at a time")
    options = parser.parse_args()

    model, tokenize = load(options.model)
    layers = find_layers(model)
    place = len(layers) // 2 if options.layer is None else options.layer
    batches = read_batches(options.text, options.batch, options.epochs)
    with torch.no_grad():
        probe = tokenize(["how wide is it?"])
        widths = []
        handle = layers[place].register_forward_hook(
            lambda module, inputs, output: widths.append(
                (output[0] if isinstance(output, tuple) else output).shape[-1]
            )
        )
        model(**probe)
        handle.remove()

        with gst_sae.Trainer(
            widths[0],
            dict_size=options.dict_size,
            top_k=options.top_k,
            shuffle_rows=65536,  # neighbouring tokens are alike
            metadata={"model_name": options.model, "hook_name": f"layers.{place}"},
            location=options.dictionary,
        ) as trainer:
            trainer.hook(layers[place])
            for texts in batches:
                inputs = tokenize(texts)
                trainer.mask = inputs["attention_mask"]  # no padding
                model(**inputs)

    total = trainer.last_stats["total"]
    print(
        f"layer {place} of {len(layers)}, {total['rows']} tokens, "
        f"fvu {trainer.last_stats['fvu']:.4f}, l0 {total['l0']:.1f}"
    )
    print(trainer.dictionary)


if __name__ == "__main__":
    main()
