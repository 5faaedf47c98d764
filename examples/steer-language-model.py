#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A dictionary spliced into a language model: what is lost, and what an edit does.

  python3 steer-language-model.py dictionary/
  python3 steer-language-model.py dictionary/ --model gpt2 --layer 6
  python3 steer-language-model.py dictionary/ --latents "17:*0,42:+3.5"

Without --model a small one is made on the spot: two layers that read the
characters of the text in data/. With it, any causal language model that
transformers can load, by name or by folder. A dictionary is trained on what
comes out of the layer, unless there is one in the folder; then, while the model
reads text that nothing was trained on, the layer's output goes through a
pipeline, appsrc ! saesteer ! appsink, and back into the model.
"""

import argparse
import pathlib

import gi
import numpy as np
import torch

gi.require_version("Gst", "1.0")
gi.require_version("Sae", "1.0")
from gi.repository import GLib, Gst, Sae  # noqa: E402

DATA = pathlib.Path(__file__).resolve().parent / "data"
BATCH = 16  # texts that the model reads at a time


# --- language models: a module to hook, texts, and what a token looks like ---


class Block(torch.nn.Module):
    """One layer of a transformer, x [n, context, d] -> the same."""

    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d)
        self.attention = torch.nn.MultiheadAttention(d, 4, batch_first=True)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(d, 4 * d), torch.nn.GELU(), torch.nn.Linear(4 * d, d)
        )

    def forward(self, x):
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        h = self.norm1(x)
        x = x + self.attention(h, h, h, attn_mask=later, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class SmallModel(torch.nn.Module):
    """Characters [n, context] -> scores of the next [n, context, vocabulary]."""

    def __init__(self, n_tokens, context, d=64, n_layers=2):
        super().__init__()
        self.embed = torch.nn.Embedding(n_tokens, d)
        self.place = torch.nn.Parameter(torch.randn(context, d) * 0.02)
        self.layers = torch.nn.ModuleList(Block(d) for _ in range(n_layers))
        self.norm = torch.nn.LayerNorm(d)
        self.unembed = torch.nn.Linear(d, n_tokens)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.unembed(self.norm(x))


def read_text(name):
    words = (DATA / f"{name}_tokens.txt").read_text().split()
    return " ".join(words).replace(" ##", "")


def cut(ids, context):
    """ids -> [n, context]"""
    n = len(ids) // context
    return torch.tensor(ids[: n * context]).reshape(n, context)


def teach(model, texts, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        chosen = texts[torch.randint(0, len(texts), (2 * BATCH,))]
        optimizer.zero_grad()
        next_token_loss(model(chosen), chosen).mean().backward()
        optimizer.step()


class Small:
    """The model that is made on the spot."""

    dict_size, top_k = 512, 8

    def __init__(self, layer):
        torch.set_num_threads(1)  # it is small, and the same each time
        train, heldout = read_text("train"), read_text("heldout")
        characters = sorted(set(train))
        known = {c: i for i, c in enumerate(characters)}
        encode = lambda text: [known[c] for c in text if c in known]  # noqa: E731
        self.train, self.heldout = cut(encode(train), 64), cut(encode(heldout), 64)
        self.show = lambda token: repr(characters[token])
        self.model = SmallModel(len(characters), 64)
        self.layer = self.model.layers[layer or 0]
        teach(self.model, self.train, steps=200)
        self.model.eval()

    def scores(self, tokens):
        return self.model(tokens)


class Published:
    """One that transformers loads."""

    dict_size, top_k = 4096, 32

    def __init__(self, name, layer):
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(name).eval()
        n_layers = self.model.config.num_hidden_layers
        layers = next(
            module for module in self.model.modules()
            if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers
        )
        self.layer = layers[n_layers // 2 if layer is None else layer]
        self.train = cut(tokenizer(read_text("train"))["input_ids"], 128)
        self.heldout = cut(tokenizer(read_text("heldout"))["input_ids"], 128)
        self.show = lambda token: repr(tokenizer.decode([token]))

    def scores(self, tokens):
        return self.model(tokens).logits


def next_token_loss(scores, tokens):
    """scores [n, context, v], tokens [n, context] -> nats [n, context - 1]"""
    return torch.nn.functional.cross_entropy(
        scores[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none"
    )


@torch.no_grad()
def read(language, texts, change=None):
    """Log-probabilities [n, context, v] and loss [n, context - 1] while @change
    is made to what the layer gives: rows [rows, d] -> rows."""

    def hook(module, inputs, output):
        x = output[0] if isinstance(output, tuple) else output
        y = change(x.detach().reshape(-1, x.shape[-1])).reshape(x.shape)
        return (y, *output[1:]) if isinstance(output, tuple) else y

    handle = language.layer.register_forward_hook(hook) if change else None
    scores = torch.cat([language.scores(part) for part in texts.split(BATCH)])
    if handle:
        handle.remove()
    return scores.log_softmax(dim=-1), next_token_loss(scores, texts)


def record(language, texts):
    """What the layer gives while the model reads: rows [n·context, d]."""
    rows = []

    def keep(x):
        rows.append(x.to("cpu", torch.float32))
        return x

    read(language, texts, keep)
    return torch.cat(rows).numpy()


# --- pipelines ---


def caps(width, n_rows):
    return (
        "other/tensors,format=(string)static,num_tensors=(int)1,"
        f"types=(string)float32,dimensions=(string){width}:{n_rows},"
        "framerate=(fraction)0/1"
    )


class Pipeline:
    """Rows in at appsrc; they come out at appsink, where there is one."""

    def __init__(self, elements, width, **properties):
        self.pipeline = Gst.parse_launch(
            "appsrc name=source format=time block=true max-bytes=4000000 "
            f"caps={caps(width, 1)} ! {elements}"
        )
        self.source = self.pipeline.get_by_name("source")
        self.sink = self.pipeline.get_by_name("sink")
        self.element = self.pipeline.get_by_name("element")
        for name, value in properties.items():
            self.element.set_property(name, value)
        self.pipeline.set_state(Gst.State.PLAYING)

    def push(self, x):
        data = np.ascontiguousarray(x, np.float32).tobytes()
        self.source.emit("push-buffer", Gst.Buffer.new_wrapped(data))

    def pull(self, shape):
        sample = self.sink.emit("pull-sample")
        if not sample:
            self.check(0)
        buffer = sample.get_buffer()
        with buffer.map(Gst.MapFlags.READ) as view:
            return np.frombuffer(view.data, np.float32).reshape(shape).copy()

    def check(self, patience):
        """Waits for the end, and raises what went wrong."""
        wanted = Gst.MessageType.EOS | Gst.MessageType.ERROR
        message = self.pipeline.get_bus().timed_pop_filtered(patience, wanted)
        if message and message.type == Gst.MessageType.ERROR:
            raise SystemExit("\n".join(map(str, message.parse_error())))

    def stop(self):
        self.source.emit("end-of-stream")
        self.check(Gst.CLOCK_TIME_NONE)
        self.pipeline.set_state(Gst.State.NULL)


def train(x, folder, dict_size, k, passes=2):
    """A dictionary of the rows x [n, d], in @folder."""
    trainer = Pipeline(
        "saetrainer name=element ! fakesink", x.shape[1], location=folder,
        dict_size=dict_size, top_k=k, seed=1, total_rows=passes * len(x),
    )
    random = np.random.default_rng(1)
    for _ in range(passes):
        order = random.permutation(len(x))  # neighbours are alike
        for rows in np.array_split(order, len(x) // 1024 + 1):
            trainer.push(x[rows])
    trainer.stop()


class Splice:
    """The dictionary in the model: rows go through saesteer."""

    def __init__(self, folder, width):
        self.pipeline = Pipeline(
            "saesteer name=element ! appsink name=sink sync=false", width,
            location=folder,
        )

    def __call__(self, x):
        self.pipeline.push(x.to("cpu", torch.float32).numpy())
        y = self.pipeline.pull(tuple(x.shape))
        return torch.from_numpy(y).to(x.device, x.dtype)

    def reconstruct(self, x):
        """x_hat, which is x less the error"""
        self.pipeline.element.set_property("output", "error")
        x_hat = x - self(x)
        self.pipeline.element.set_property("output", "activations")
        return x_hat

    def edit(self, latents):
        self.pipeline.element.set_property("latents", latents)


# --- what is measured ---


def find_strongest(folder, x):
    """The latent that the rows have most of, and its largest value."""
    model = Sae.Model.load(folder)
    latents = model.encode(GLib.Bytes.new(x.tobytes()))
    dense = np.frombuffer(latents.to_dense().get_data(), np.float32)
    dense = dense.reshape(len(x), -1)
    # Not one that is always there: that is a part of the mean.
    share = (dense > 0).mean(axis=0)
    strength = np.where(share < 0.5, dense.sum(axis=0), 0)
    return int(strength.argmax()), float(dense[:, strength.argmax()].max())


def print_losses(language, splice, x):
    """Prints and returns the clean loss and log-probabilities."""
    mean = torch.from_numpy(x.mean(axis=0))
    texts = language.heldout
    clean, loss = read(language, texts)
    spliced = read(language, texts, splice.reconstruct)[1].mean()
    zeros = read(language, texts, lambda rows: 0 * rows)[1].mean()
    means = read(language, texts, lambda rows: 0 * rows + mean.to(rows))[1].mean()
    print(
        f"loss             clean {loss.mean():.4f}, with the reconstruction "
        f"{spliced:.4f}, with zeros {zeros:.4f}, with the mean {means:.4f}"
    )
    recovered = [(a - spliced) / (a - loss.mean()) for a in (zeros, means)]
    print(
        f"loss recovered   {recovered[0]:.4f} of what zeros lose, "
        f"{recovered[1]:.4f} of what the mean loses"
    )
    return clean, loss


def print_edit(language, splice, latents, clean, loss):
    """What an edit does to the distribution of the next token."""
    splice.edit(latents)
    edited, edited_loss = read(language, language.heldout, splice)
    splice.edit("")
    kl = (clean.exp() * (clean - edited)).sum(dim=-1)
    shift = (edited.exp() - clean.exp()).mean(dim=(0, 1))
    print(
        f"edit {latents:12}loss {edited_loss.mean():.4f} "
        f"({edited_loss.mean() - loss.mean():+.4f}), KL {kl.mean():.4f} nats a "
        f"token, at most {kl.max():.4f}; another token is the most likely one "
        f"in {(edited.argmax(-1) != clean.argmax(-1)).float().mean():.1%}"
    )
    order = shift.argsort()
    for name, tokens in ("more", order.flip(0)[:6]), ("less", order[:6]):
        changes = (f"{language.show(int(t))} {shift[t]:+.5f}" for t in tokens)
        print(f"     {name} likely: {', '.join(changes)}")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dictionary", help="folder; trained if it is not there")
    parser.add_argument("--model", help="name or folder, for transformers")
    parser.add_argument("--layer", type=int, help="whose output is edited")
    parser.add_argument("--latents", help="edits; default: the strongest one off")
    parser.add_argument("--dict-size", type=int)
    parser.add_argument("--top-k", type=int)
    return parser.parse_args()


def main():
    options = parse_arguments()
    Gst.init(None)
    torch.manual_seed(0)
    folder = options.dictionary
    if options.model:
        language = Published(options.model, options.layer)
    else:
        language = Small(options.layer)
    if not pathlib.Path(folder, "cfg.json").exists():
        rows = record(language, language.train)
        train(
            rows, folder, options.dict_size or language.dict_size,
            options.top_k or language.top_k,
        )
    x = record(language, language.heldout)
    x_hat, _ = Sae.Model.load(folder).forward(GLib.Bytes.new(x.tobytes()))
    fvu = Sae.fvu(GLib.Bytes.new(x.tobytes()), x_hat, x.shape[1])
    print(f"dictionary       of rows of {x.shape[1]}, held-out fvu {fvu:.4f}")

    splice = Splice(folder, x.shape[1])
    clean, loss = print_losses(language, splice, x)
    same = torch.equal(read(language, language.heldout, splice)[1], loss)
    print(f"without edits    {'the same bits' if same else 'other bits'} as clean")
    latent, largest = find_strongest(folder, x)
    edits = options.latents or f"{latent}:*0"
    print_edit(language, splice, edits, clean, loss)
    if not options.latents:
        print_edit(language, splice, f"{latent}:={largest:.2f}", clean, loss)
    splice.pipeline.stop()


if __name__ == "__main__":
    main()
