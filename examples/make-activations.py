#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Activations of any Hugging Face model on a text, as examples/data has them.

    python3 make-activations.py --model sentence-transformers/all-MiniLM-L6-v2 \\
        --layer 3 --text corpus.txt --out data/ --rows 100000

needs PyTorch and transformers (pip install torch transformers). --model is a
name on the Hub or a folder. Writes into --out

    train.npy      float16 [rows, d_in], one row a token
    train_tokens.txt        the token of each row, one a line
    heldout.npy, heldout_tokens.txt     the same of other passages

with the layout that examples/quickstart.sh --data wants. The text is cut into
passages of --passage tokens in reading order, each given to the model by
itself between its special tokens ([CLS] and [SEP] of BERT, <bos> of others),
whose own activations are left out. Every tenth passage is held out.

--layer counts blocks: 0 is the embedding, 3 the residual stream after the
third block (hidden_states of transformers).
"""

import argparse
import os
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

HELD_OUT_EVERY = 10
LARGEST_FLOAT16 = 65504


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="name or folder")
    parser.add_argument("--layer", type=int, required=True)
    parser.add_argument("--text", required=True, help="a UTF-8 text file")
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--rows", type=int, default=20000, help="at most, in all")
    parser.add_argument("--passage", type=int, default=126, help="tokens in each")
    parser.add_argument("--batch", type=int, default=32, help="passages at a time")
    parser.add_argument("--device", default="cpu", help="such as cuda")
    return parser.parse_args()


def read_passages(path, tokenizer, length, limit):
    """Token ids [n, length], spread evenly over the text; a last passage that
    would be shorter is left out."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    # verbose: a text is longer than the model takes; that is why it is cut.
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    n_passages = len(ids) // length
    if n_passages < 2:
        sys.exit(
            f"{path}: expected at least two passages of {length} tokens, "
            f"got {len(ids)} tokens"
        )
    passages = np.array(ids[: n_passages * length]).reshape(n_passages, length)
    if n_passages > limit:
        kept = np.linspace(0, n_passages - 1, limit).astype(int)
        passages = passages[kept]
    return passages


def special_tokens(tokenizer):
    """(before, after): ids that the tokenizer puts around a text."""
    bare = tokenizer("word", add_special_tokens=False)["input_ids"]
    whole = tokenizer("word")["input_ids"]
    for first in range(len(whole) - len(bare) + 1):
        if whole[first : first + len(bare)] == bare:
            return whole[:first], whole[first + len(bare) :]
    sys.exit(f"expected the ids {bare} within {whole} of this tokenizer")


def run_model(model, tokenizer, passages, options):
    """float32 [n, length, d_in]: the hidden state after block --layer."""
    before, after = special_tokens(tokenizer)
    ids = np.concatenate(
        [
            np.tile(before, (len(passages), 1)),
            passages,
            np.tile(after, (len(passages), 1)),
        ],
        axis=1,
    ).astype(np.int64)
    first, length = len(before), passages.shape[1]
    for start in range(0, len(ids), options.batch):
        batch = torch.from_numpy(ids[start : start + options.batch])
        with torch.inference_mode():
            states = model(batch.to(options.device), output_hidden_states=True)
        layers = states.hidden_states
        if not 0 <= options.layer < len(layers):
            sys.exit(f"--layer: expected 0 to {len(layers) - 1}, got {options.layer}")
        kept = layers[options.layer][:, first : first + length]
        yield kept.float().cpu().numpy()
        print(
            f"\r{min(start + options.batch, len(ids))} of {len(ids)} passages",
            end="",
            file=sys.stderr,
        )
    print(file=sys.stderr)


def readable_tokens(tokenizer, ids):
    """The text of each token: ## continues a word (WordPiece, as it is), or, of
    any other tokenizer, ▁ begins one."""
    pieces = tokenizer.convert_ids_to_tokens(ids)
    if any(piece.startswith("##") for piece in tokenizer.get_vocab()):
        return pieces
    texts = [tokenizer.decode([token]).strip() for token in ids]
    # Ġ is the space of byte-level tokenizers, ▁ that of SentencePiece.
    return [
        "▁" + text if piece[:1] in ("Ġ", "▁") else text or "▁"
        for piece, text in zip(pieces, texts)
    ]


def write_part(folder, name, x, tokens):
    """x [n, length, d_in], tokens: a list of n lists"""
    rows = x.reshape(-1, x.shape[-1])
    largest = np.abs(rows).max()
    if largest > LARGEST_FLOAT16:
        sys.exit(f"{name}: {largest:g} is out of the range of float16")
    path = os.path.join(folder, name)
    np.save(path + ".npy", rows.astype(np.float16))
    with open(path + "_tokens.txt", "w", encoding="utf-8") as file:
        for token in (token for passage in tokens for token in passage):
            # One token a line, whatever is in it.
            file.write(token.replace("\n", "\\n").replace("\r", "\\r") + "\n")
    print(f"{path}.npy: {len(rows)} rows of {rows.shape[1]}")


def main():
    options = parse_arguments()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModel.from_pretrained(options.model).to(options.device).eval()
    passages = read_passages(
        options.text,
        tokenizer,
        options.passage,
        max(options.rows // options.passage, 2),
    )
    x = np.concatenate(list(run_model(model, tokenizer, passages, options)))
    tokens = [readable_tokens(tokenizer, ids.tolist()) for ids in passages]

    is_held_out = np.arange(len(passages)) % HELD_OUT_EVERY == HELD_OUT_EVERY // 2
    if not is_held_out.any():
        is_held_out[-1] = True
    os.makedirs(options.out, exist_ok=True)
    for name, is_in in ("train", ~is_held_out), ("heldout", is_held_out):
        part = [passage for passage, inside in zip(tokens, is_in) if inside]
        write_part(options.out, name, x[is_in], part)


if __name__ == "__main__":
    main()
