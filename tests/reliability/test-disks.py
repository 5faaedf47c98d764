#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that fill up or become read-only while a trainer writes its checkpoints
there: the old file stays, no temporary one is left, there is one warning, and
training goes on to its end. So it is with the logs; what is written when all is
done stays old, with an error.

Runs itself in a mount namespace of its own, where it mounts small file systems;
skipped where the kernel does not allow that.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

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
    """As soon as nothing is written there: it is busy until then."""
    # With a source named, mount adds no options of the first time, whose ids a
    # namespace of an ordinary user does not have.
    command = ["mount", "-o", f"remount,{mode}", "none", str(path)]
    for _ in range(10 * launch.PATIENCE):
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(command)


def train(dict_size, checkpoint, *, meanwhile=None, location=None, **properties):
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
    for name, value in properties.items():
        setattr(trainer.props, name, value)
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


def slow(fast, many):
    return many if os.environ.get("SAE_TEST_SLOW") else fast


def contents(folder):
    """Every file below @folder, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@contextlib.contextmanager
def filled(disk, free):
    """@disk with at most @free bytes left."""
    filler = disk / "filler"
    room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(max(0, room - free)))
    try:
        yield
    finally:
        filler.unlink()


@tap.test("/reliability/disks/full-keeps-the-old-checkpoint")
def _():
    with small_disk("1m") as disk:
        path, out = disk / "run.sae", disk.parent / "out"
        train(64, path)
        old = path.read_bytes()
        room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        tries = slow(8, 200)
        for i in range(tries):
            # 2,048 latents need 4 · 3 · 2 · 32 · 2,048 bytes, more than is free.
            with filled(disk, room * i // tries):
                warnings, rows = train(2048, path, location=out)
            assert contents(disk) == {"run.sae": old}, os.listdir(disk)
            assert len(warnings) == 1 and "No space left" in warnings[0], warnings
            assert rows == ROWS and (out / "cfg.json").exists()
        tap.fault(20, tries, tries)


@tap.test("/reliability/disks/full-then-free-writes-again")
def _():
    with small_disk("2m") as disk:
        path, filler = disk / "run.sae", disk / "filler"
        filler.write_bytes(bytes(1500 << 10))
        warnings, rows = train(2048, path, meanwhile=filler.unlink)
        assert len(warnings) == 1 and "No space left" in warnings[0], warnings
        assert rows == ROWS and path.stat().st_size > 1 << 20
        assert os.listdir(disk) == ["run.sae"], os.listdir(disk)
        tap.fault(20, 1, 1)


# What is written when a stream ends, to disk/: a command that writes it, with
# room for it or without, as an error that ends the command.
CODES = "saesrc location=train.npy ! saeencoder dict-size=256 top-k=4"
OUTPUTS = {
    "dictionary": "saesrc location=train.npy ! saetrainer top-k=4 "
    "dict-size={size} location=disk/out ! fakesink",
    "examples": CODES + " ! saetop dict-size=256 per-latent={size} "
    "location=disk/top.json ! fakesink",
    "page": CODES + " ! saetop dict-size=256 per-latent={size} "
    "page-location=disk/top.html ! fakesink",
}


def write_output(name, size, part=None):
    line = OUTPUTS[name].format(size=size)
    if part:
        launch.fail(line, part)
    else:
        launch.launch(line)


@tap.test("/reliability/disks/full-keeps-the-old-outputs")
def _():
    with small_disk("4m") as disk:
        tried = 0
        for name in OUTPUTS:
            write_output(name, 5)
            old = contents(disk)
            sizes = sum(map(len, old.values()))
            for i in range(slow(2, 50)):
                with filled(disk, sizes // 3 * i // slow(2, 50)):
                    write_output(name, 500, "No space left")
                assert contents(disk) == old, (name, sorted(contents(disk)))
                tried += 1
        tap.fault(20, tried, tried)


@tap.test("/reliability/disks/full-log-and-metrics-are-a-warning")
def _():
    with small_disk("1m") as disk:
        logs = {
            "log_location": str(disk / "log.jsonl"),
            "metrics_location": str(disk / "metrics.prom"),
            "stats_interval": 1,
        }
        with contextlib.ExitStack() as stack:
            warnings, rows = train(
                64, disk.parent / "run.sae", **logs,
                meanwhile=lambda: stack.enter_context(filled(disk, 0)),
            )
        assert rows == ROWS
        assert len(warnings) == 2, warnings
        assert all("No space left" in warning for warning in warnings), warnings
        # The next run's lines begin on a line of their own.
        train(64, disk.parent / "run.sae", **logs)
        lines = (disk / "log.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["final"], lines[-1]
        assert json.loads(lines[0]), lines[0]
        assert sorted(os.listdir(disk)) == ["log.jsonl", "metrics.prom"]
        tap.fault(20, 2, 2)


@tap.test("/reliability/disks/read-only-keeps-the-old-checkpoint")
def _():
    with small_disk("8m") as disk:
        path = disk / "run.sae"
        tries = slow(3, 50)
        for _ in range(tries):
            set_mode(disk, "rw")
            warnings, rows = train(64, path, meanwhile=lambda: set_mode(disk, "ro"))
            assert len(warnings) == 1 and "Read-only" in warnings[0], warnings
            # What was written but not renamed yet cannot be removed any more.
            names = [name for name in os.listdir(disk) if name[0] != "."]
            assert rows == ROWS and names == ["run.sae"], os.listdir(disk)
        old = path.read_bytes()
        launch.fail(
            "saesrc location=train.npy ! saetrainer dict-size=64 top-k=4 "
            "checkpoint-location=disk/run.sae ! fakesink",
            "Read-only",
        )
        assert path.read_bytes() == old
        tap.fault(21, tries + 1, tries + 1)


@tap.test("/reliability/disks/read-only-is-found-out-at-the-start")
def _():
    with small_disk("8m") as disk:
        for name in OUTPUTS:
            write_output(name, 5)
        old = contents(disk)
        set_mode(disk, "ro")
        for name in OUTPUTS:
            # A source that never ends: nobody waits for its end to be told.
            said = launch.fail(
                OUTPUTS[name].format(size=5).replace(
                    "location=train.npy", "location=train.npy epochs=4000000000"
                ),
                "Read-only",
            )
            assert "PLAYING" not in said, said
        assert contents(disk) == old
        tap.fault(21, len(OUTPUTS), len(OUTPUTS))


@tap.test("/reliability/disks/a-mount-is-refused-at-the-start")
def _():
    with small_disk("1m") as disk:
        line = "saesrc location=train.npy epochs=4000000000 ! saetrainer top-k=4 "
        # A volume of a container, and a single file of one.
        launch.fail(line + "location=disk ! fakesink", "mounted")
        file = disk.parent / "run.sae"
        file.touch()
        subprocess.run(["mount", "--bind", file, file], check=True)
        launch.fail(line + "checkpoint-location=run.sae ! fakesink", "mounted")
        subprocess.run(["umount", file], check=True)
        launch.launch("saesrc location=train.npy ! saetrainer top-k=4 "
                      "location=disk/out dict-size=64 ! fakesink")


Gst.init(None)
tap.main()
