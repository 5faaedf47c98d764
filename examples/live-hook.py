#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A dictionary learns from a network that is running, through a forward hook.

    python3 live-hook.py dictionary/

A small PyTorch network learns to add two digits. Whenever it computes its
hidden layer, the hook pushes the activations into a pipeline, and the trainer
learns from them in a thread of its own. Nothing is written to disk but the
dictionary. With a language model, hook a block instead, such as
model.model.layers[12].
"""

import sys

import gi
import torch

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

ROWS, D_IN = 256, 64
# Innermost dimension first. Write the types, (string) and (fraction), or
# 64:256 is not read as text. No buffer has to have just 256 rows: it may be
# any whole number of rows of 64.
CAPS = (
    "other/tensors,format=(string)static,num_tensors=(int)1,"
    f"types=(string)float32,dimensions=(string){D_IN}:{ROWS},"
    "framerate=(fraction)0/1"
)
# block and max-bytes: when the trainer is slower than the network, the hook
# waits. For a network that must not wait, put a leaky queue before it.
PIPELINE = (
    f"appsrc name=source format=time block=true max-bytes=1000000 caps={CAPS} ! "
    "saetrainer name=trainer dict-size=512 top-k=8 ! fakesink"
)


class PushActivations:
    """A forward hook: output [n, d_in] of the module goes into appsrc."""

    def __init__(self, source):
        self.source = source

    def __call__(self, module, inputs, output):
        rows = output.detach().reshape(-1, output.shape[-1])
        data = rows.to("cpu", torch.float32).contiguous().numpy().tobytes()
        self.source.emit("push-buffer", Gst.Buffer.new_wrapped(data))


def learn_to_add(model, steps):
    """model: one-hot digits [n, 20] -> scores of their sum [n, 19]"""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        digits = torch.randint(0, 10, (ROWS, 2))
        x = torch.nn.functional.one_hot(digits, 10).flatten(1).float()
        loss = torch.nn.functional.cross_entropy(model(x), digits.sum(dim=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main():
    Gst.init(None)
    torch.manual_seed(1)
    pipeline = Gst.parse_launch(PIPELINE)
    source = pipeline.get_by_name("source")
    trainer = pipeline.get_by_name("trainer")
    trainer.props.location = sys.argv[1]
    pipeline.set_state(Gst.State.PLAYING)

    hidden = torch.nn.Sequential(torch.nn.Linear(20, D_IN), torch.nn.GELU())
    model = torch.nn.Sequential(hidden, torch.nn.Linear(D_IN, 19))
    hook = hidden.register_forward_hook(PushActivations(source))
    print(f"the network's loss {learn_to_add(model, steps=600):.4f}")
    hook.remove()

    source.emit("end-of-stream")  # the trainer trains its last rows and saves
    wanted = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, wanted)
    if message.type == Gst.MessageType.ERROR:
        error, debug = message.parse_error()
        sys.exit(f"{error.message}\n{debug}")
    stats = trainer.props.stats
    rows, fvu = stats.get_uint64("rows")[1], stats.get_double("fvu")[1]
    print(f"the dictionary's {rows} rows, fvu {fvu:.4f} over the whole run")
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
