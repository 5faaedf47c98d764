#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows what a trained dictionary found: figures, contexts and a picture.

Reads from the data folder NAME.npy and NAME_tokens.txt, and from the output
folder what the pipelines of quickstart.sh wrote: dictionary/, history.jsonl,
NAME_indices.npy, NAME_values.npy and heldout_reconstruction.npy; NAME is
train and heldout. Writes figures.json and quickstart.png there.
"""

import argparse
import json
import os
import sys

import numpy as np

import figures
import latents
import poster
from tokens import read_tokens

N_LATENTS, N_CONTEXTS = 8, 5


class ShownLatent:
    """A chosen latent as the terminal and the poster need it."""

    def __init__(self, codes, candidate, first_held_out):
        self.number = candidate.latent
        self.frequency = candidate.frequency
        self.names = candidate.names[:4]
        self.contexts = latents.contexts_of(codes, candidate, N_CONTEXTS)
        for context in self.contexts:
            context.is_held_out = context.row >= first_held_out


class Run:
    """Everything that is shown."""

    def __init__(self, options):
        self.pipeline = options.pipeline
        self.source = options.source
        self.n_cpus = len(os.sched_getaffinity(0))
        self.read_dictionary(options.out)
        self.read_training(options.out)
        self.read_codes(options.data, options.out, options.passage)
        self.footnote = (
            "Each line is the strongest firing in one passage. How the eight are "
            "chosen: examples/quickstart/latents.py. Text: "
            f"{options.text}."
        )

    def read_dictionary(self, out):
        with open(f"{out}/dictionary/cfg.json", encoding="utf-8") as file:
            config = json.load(file)
        self.d_sae = int(config["d_sae"])

    def read_training(self, out):
        history = figures.read_history(f"{out}/history.jsonl")
        self.loss_rows, self.loss = figures.loss_curve(history)
        self.trained_rows, self.seconds = figures.training_speed(history)
        self.rows_per_second = self.trained_rows / self.seconds

    def read_codes(self, data, out, passage):
        tokens, x, indices, values = [], {}, {}, {}
        for name in ("train", "heldout"):
            tokens += read_tokens(f"{data}/{name}_tokens.txt")
            x[name] = np.load(f"{data}/{name}.npy").astype(np.float32)
            indices[name] = np.load(f"{out}/{name}_indices.npy").astype(np.int64)
            values[name] = np.load(f"{out}/{name}_values.npy")
        x_hat = np.load(f"{out}/heldout_reconstruction.npy")
        self.fvu = figures.fvu(x["heldout"], x_hat)
        self.l0 = figures.l0(values["heldout"])
        fires = figures.firing_frequency(indices["train"], values["train"], self.d_sae)
        self.dead = np.mean(fires == 0)
        everything = [
            np.concatenate([part["train"], part["heldout"]])
            for part in (x, indices, values)
        ]
        self.frequency = figures.firing_frequency(*everything[1:], self.d_sae)
        codes = latents.Codes(tokens, *everything, passage)
        chosen = latents.choose(codes, self.d_sae, N_LATENTS)
        self.latents = [ShownLatent(codes, c, len(x["train"])) for c in chosen]

    def figures(self):
        return {
            "held-out-fvu": round(float(self.fvu), 4),
            "l0": round(float(self.l0), 2),
            "dead-fraction": round(float(self.dead), 4),
            "rows": int(self.trained_rows),
            "seconds": round(self.seconds, 1),
            "rows-per-second": round(self.rows_per_second),
            "latents": [latent.number for latent in self.latents],
        }


def highlight(text, strength):
    """A word in the terminal, brighter the more strongly it fires."""
    if not sys.stdout.isatty():
        return f"[{text}]"
    colour = (230, 222, 214, 208)[min(int(strength * 4), 3)]
    return f"\033[1;30;48;5;{colour}m{text}\033[0m"


def set_words(words, maximum, room, from_right):
    """(text, columns): as many words as fit, nearest to the middle first."""
    shown, used = [], 0
    for word, value in reversed(words) if from_right else words:
        text = ("" if word.glued else " ") + word.text
        if used + len(text) > room:
            break
        used += len(text)
        if value > 0 and sys.stdout.isatty():
            text = text[: -len(word.text)] + highlight(word.text, value / maximum)
        shown.append(text)
    return "".join(reversed(shown) if from_right else shown), used


def print_latent(latent, half=34):
    print(
        f"\nlatent {latent.number}: {' · '.join(latent.names)}   "
        f"({100 * latent.frequency:.2g} % of tokens)"
    )
    maximum = max(context.value for context in latent.contexts)
    for context in latent.contexts:
        before, used = set_words(context.before, maximum, half, True)
        after, _ = set_words(context.after, maximum, half, False)
        space = "" if context.word.glued else " "
        word = highlight(context.word.text, context.value / maximum)
        print(
            f"{context.value:6.2f} {' ' * (half - used)}{before}{space}{word}"
            f"{after}"
        )


def print_figures(run):
    print(f"""
held-out fvu     {run.fvu:.4f}  ({100 * (1 - run.fvu):.1f} % of the variance \
explained)
l0               {run.l0:.1f} of {run.d_sae} latents
dead             {100 * run.dead:.2f} % (fire on no row of the training part)
training         {run.trained_rows:,} rows in {run.seconds:.1f} s: \
{run.rows_per_second:,.0f} rows/s""")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of activations")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--passage", type=int, default=126, help="tokens in a passage")
    parser.add_argument(
        "--source",
        default="all-MiniLM-L6-v2",
        help="the model that the activations are of",
    )
    parser.add_argument(
        "--text",
        default="Jargon File, FOLDOC, WordNet, The "
        "Devil’s Dictionary, Debian Handbook",
        help="where the text is from",
    )
    parser.add_argument("--pipeline", default="", help="how it was trained")
    return parser.parse_args()


def main():
    options = parse_arguments()
    run = Run(options)
    print_figures(run)
    for latent in run.latents:
        print_latent(latent)
    with open(f"{options.out}/figures.json", "w", encoding="utf-8") as file:
        json.dump(run.figures(), file, indent=2)
        file.write("\n")
    poster.draw(run, f"{options.out}/quickstart.png")
    print(f"\n{options.out}/quickstart.png")


if __name__ == "__main__":
    main()
