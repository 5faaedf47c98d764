#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that fill up or become read-only while a trainer writes its checkpoints
there: the old file stays, no temporary one is left, there is one warning, and
training goes on to its end.

Runs itself in a mount namespace of its own, where it mounts small file systems;
skipped where the kernel does not allow that.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "plugin"))
import launch  # noqa: E402
import tap  # noqa: E402

INSIDE = "SAE_TEST_MOUNTS"
D, ROWS, BATCH = 32, 8192, 256
INTERVAL = 512


def enter_namespace():
    """Comes back in a process that may mount."""
    if INSIDE in os.environ:
        return
    for how in (["unshare", "-m"], ["unshare", "-Urm"]):
        probe = [*how, "mount", "-t", "tmpfs", "none", "/mnt"]
        try:
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                os.environ[INSIDE] = "yes"
                # A sanitizer's runtime is for our own processes.
                os.execvp(how[0], [*how, sys.executable, *sys.argv])
        except FileNotFoundError:
            break
    tap.skip_all("no mounting here (unshare -m)")


enter_namespace()

import gi  # noqa: E402

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402


@contextlib.contextmanager
def small_disk(size):
    """The current folder is a new one, with a file system of @size in it."""
    with launch.folder() as folder:
        launch.save_activations(d=D, train=ROWS, heldout=1)
        disk = folder / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
        subprocess.run(command, check=True)
        try:
            yield disk
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def set_mode(path, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", str(path)], check=True)


def train(dict_size, checkpoint, *, meanwhile=None, location=None):
    """Trains ROWS rows, with @meanwhile() called at half of them. Gives the
    texts of the warnings and how many rows were trained on."""
    pipeline = Gst.parse_launch(
        "saesrc location=train.npy ! identity name=half signal-handoffs=true ! "
        f"saetrainer name=trainer dict-size={dict_size} top-k=4 seed=1 "
        f"batch-size={BATCH} ! fakesink"
    )
    trainer = pipeline.get_by_name("trainer")
    trainer.props.checkpoint_location = str(checkpoint)
    trainer.props.checkpoint_interval = INTERVAL
    if location:
        trainer.props.location = str(location)
    seen = 0

    def count(identity, buffer):
        nonlocal seen
        seen += buffer.get_size() // (4 * D)
        if seen == ROWS // 2 and meanwhile:
            meanwhile()

    pipeline.get_by_name("half").connect("handoff", count)
    pipeline.set_state(Gst.State.PLAYING)
    bus, warnings, end = pipeline.get_bus(), [], None
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR | Gst.MessageType.WARNING
    while end is None:
        message = bus.timed_pop_filtered(launch.PATIENCE * Gst.SECOND, kinds)
        assert message, "neither an end nor an error came"
        if message.type == Gst.MessageType.WARNING:
            warnings.append(" ".join(map(str, message.parse_warning())))
        else:
            end = message
    assert end.type == Gst.MessageType.EOS, end.parse_error()
    rows = trainer.props.rows
    pipeline.set_state(Gst.State.NULL)
    while message := bus.pop_filtered(Gst.MessageType.WARNING):
        warnings.append(" ".join(map(str, message.parse_warning())))
    return warnings, rows


@tap.test("/reliability/disks/full-keeps-the-old-checkpoint")
def _():
    with small_disk("1m") as disk:
        path = disk / "run.sae"
        train(64, path)
        old = path.read_bytes()
        # 2,048 latents need 4 · 3 · 2 · 32 · 2,048 bytes, more than is free.
        warnings, rows = train(2048, path, location=disk.parent / "out")
        assert path.read_bytes() == old
        assert os.listdir(disk) == ["run.sae"], os.listdir(disk)
        assert len(warnings) == 1 and "No space left" in warnings[0], warnings
        assert rows == ROWS and (disk.parent / "out" / "cfg.json").exists()
        print("# fault 20: tried 1, survived 1, lost 0")


@tap.test("/reliability/disks/full-then-free-writes-again")
def _():
    with small_disk("2m") as disk:
        path, filler = disk / "run.sae", disk / "filler"
        filler.write_bytes(bytes(1500 << 10))
        warnings, rows = train(2048, path, meanwhile=filler.unlink)
        assert len(warnings) == 1 and "No space left" in warnings[0], warnings
        assert rows == ROWS and path.stat().st_size > 1 << 20
        assert os.listdir(disk) == ["run.sae"], os.listdir(disk)


@tap.test("/reliability/disks/full-keeps-the-old-dictionary")
def _():
    with small_disk("1m") as disk:
        line = "saesrc location=train.npy ! saetrainer top-k=4 location=disk/out/"
        launch.launch(f"{line} dict-size=64 ! fakesink")
        old = {p.name: p.read_bytes() for p in (disk / "out").iterdir()}
        launch.fail(f"{line} dict-size=8192 ! fakesink", "No space left")
        assert {p.name: p.read_bytes() for p in (disk / "out").iterdir()} == old
        assert os.listdir(disk) == ["out"], os.listdir(disk)


@tap.test("/reliability/disks/read-only-keeps-the-old-checkpoint")
def _():
    with small_disk("8m") as disk:
        path = disk / "run.sae"
        warnings, rows = train(64, path, meanwhile=lambda: set_mode(disk, "ro"))
        assert len(warnings) == 1 and "Read-only" in warnings[0], warnings
        assert rows == ROWS and os.listdir(disk) == ["run.sae"]
        old = path.read_bytes()
        launch.fail(
            "saesrc location=train.npy ! saetrainer dict-size=64 top-k=4 "
            "checkpoint-location=disk/run.sae ! fakesink",
            "Read-only",
        )
        assert path.read_bytes() == old
        print("# fault 21: tried 2, survived 2, lost 0")


Gst.init(None)
tap.main()
