# SPDX-License-Identifier: LGPL-2.1-or-later
"""gst-launch-1.0 in a folder of its own, with activations to work on."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import threading

import numpy as np

# What any pipeline here may take; a hang is a failure.
PATIENCE = 120


@contextlib.contextmanager
def folder():
    """The current folder is a new one for the time being."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="sae-launch-") as path:
        os.chdir(path)
        try:
            yield pathlib.Path(path)
        finally:
            os.chdir(before)


def activations(n, d, seed=0):
    """Rows [n, d] that are sums of three of 3·d directions, and noise."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(99).standard_normal((3 * d, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x = 0.05 * random.standard_normal((n, d))
    for _ in range(3):
        chosen = random.integers(3 * d, size=n)
        x += random.uniform(1, 3, (n, 1)) * directions[chosen]
    return x.astype(np.float32)


def save_activations(d=32, train=20000, heldout=2000):
    np.save("train.npy", activations(train, d, seed=1))
    np.save("heldout.npy", activations(heldout, d, seed=2))


def fvu(x, x_hat):
    """Σ‖x − x̂‖² / Σ‖x − mean x‖²"""
    x, x_hat = x.astype(np.float64), x_hat.astype(np.float64)
    return ((x - x_hat) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()


def run(command):
    """Runs a line of shell to its end and returns what it printed."""
    with _start(command) as process:
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise AssertionError(f"{command}\nended with {process.returncode}:\n{printed}")
    return printed


def launch(pipeline, options=""):
    return run(f"gst-launch-1.0 {options} {pipeline}")


def start(pipeline, options=""):
    return _start(f"exec gst-launch-1.0 {options} {pipeline}")


def read_until(process, part):
    """What it printed up to the line with @part, or to its end."""
    printed = ""
    watchdog = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    for line in process.stdout:
        printed += line
        if part in line:
            break
    watchdog.cancel()
    return printed


def fail(pipeline, part):
    """Runs what must end in an error with @part in it. It is not waited for:
    gst-launch-1.0 1.22 hangs now and then after an error in preroll, with any
    elements (fakesrc ! identity error-after=1 ! fakesink)."""
    with start(pipeline) as process:
        printed = read_until(process, part)
        process.kill()
    if part not in printed:
        raise AssertionError(f"{pipeline}\nshould have said {part}:\n{printed}")
    return printed


def _start(command):
    return subprocess.Popen(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
