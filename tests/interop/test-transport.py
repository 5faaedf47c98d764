# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows and codes that leave the process, and peers that go away.

What arrives must be the same bits: gdp, tcp and shared memory deliver all
tensors of a buffer in one memory, and a network cuts where it likes.
"""

import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "plugin"))
import tap  # noqa: E402

try:
    import streams
    from gi.repository import Gst
except (ImportError, ValueError) as missing:
    tap.skip_all(f"no GStreamer for Python: {missing}")

import launch  # noqa: E402
import numpy as np  # noqa: E402

Gst.init(None)
TRAINER = "saetrainer dict-size=128 top-k=4 batch-size=64 seed=5 location=out/"


def need(*elements):
    missing = streams.find_missing(*elements)
    if missing:
        raise tap.Skip(f"no {', '.join(missing)}")


def weights(folder="out"):
    return pathlib.Path(folder, "sae_weights.safetensors").read_bytes()


def train():
    launch.save_activations(train=4000, heldout=1000)
    launch.launch(f"saesrc location=train.npy ! {TRAINER} ! fakesink")


def same_file(a, b):
    a, b = np.load(a), np.load(b)
    assert a.dtype == b.dtype and a.shape == b.shape, (a.shape, b.shape)
    assert a.tobytes() == b.tobytes()


def send_and_receive(sender, receiver, ready):
    """Runs both ends as processes of their own, the receiver first."""
    with launch.start(receiver, "-v") as taking:
        launch.read_until(taking, ready)
        sent = launch.launch(sender, "-q")
        with streams.patience(f"the end of {receiver}") as wait:
            while taking.poll() is None:
                wait()
        received = taking.stdout.read()
        assert taking.returncode == 0, f"{received}\n{sent}"


CODES = {nick: f"codes-format={nick}" for nick in streams.list_codes()}


@tap.test("/interop/gdp/rows-and-codes-are-the-same-bits-behind-it")
def _():
    need("gdppay", "gdpdepay")
    with launch.folder():
        train()
        source = "saesrc location=heldout.npy rows-per-buffer=77"
        for options in CODES.values():
            encoder = f"saeencoder location=out {options}"
            end = "saedecoder location=out ! saenpyenc ! filesink location="
            launch.launch(f"{source} ! {encoder} ! {end}straight.npy")
            launch.launch(f"{source} ! gdppay ! gdpdepay ! {encoder} ! gdppay ! "
                          f"gdpdepay ! {end}behind.npy")
            same_file("straight.npy", "behind.npy")


@tap.test("/interop/gdp/bytes-may-be-cut-anywhere")
def _():
    need("gdppay", "gdpdepay")
    with launch.folder():
        train()
        launch.launch("saesrc location=heldout.npy rows-per-buffer=77 ! "
                      "saeencoder location=out ! gdppay ! filesink location=codes.gdp")
        end = "saenpyenc tensor=1 ! filesink location="
        launch.launch("saesrc location=heldout.npy ! saeencoder location=out ! "
                      f"{end}straight.npy")
        for size in 1000, 7919, 1 << 20:
            launch.launch(f"filesrc location=codes.gdp blocksize={size} ! "
                          f"gdpdepay ! {end}behind.npy")
            same_file("straight.npy", "behind.npy")


@tap.test("/interop/tcp/two-processes-have-the-same-bits")
def _():
    need("gdppay", "gdpdepay", "tcpserversrc", "tcpclientsink")
    with launch.folder():
        train()
        for options in CODES.values():
            port = streams.free_port()
            end = "saedecoder location=out ! saenpyenc ! filesink location="
            encoder = f"saeencoder location=out {options}"
            launch.launch(
                f"saesrc location=heldout.npy ! {encoder} ! {end}straight.npy")
            send_and_receive(
                f"saesrc location=heldout.npy rows-per-buffer=77 ! {encoder} ! "
                f"gdppay ! tcpclientsink host=127.0.0.1 port={port}",
                f"tcpserversrc host=127.0.0.1 port={port} ! gdpdepay ! {end}behind.npy",
                "current-port")
            same_file("straight.npy", "behind.npy")


@tap.test("/interop/tcp/a-trainer-at-the-other-end-learns-the-same-bytes")
def _():
    need("gdppay", "gdpdepay", "tcpserversrc", "tcpclientsink")
    with launch.folder():
        train()
        alone = weights()
        port = streams.free_port()
        length = "total-rows=4000"
        send_and_receive(
            f"saesrc location=train.npy ! gdppay ! "
            f"tcpclientsink host=127.0.0.1 port={port}",
            f"tcpserversrc host=127.0.0.1 port={port} ! gdpdepay ! "
            f"{TRAINER.replace('out/', 'far/')} {length} ! fakesink",
            "current-port")
        assert weights("far") == alone


@tap.test("/interop/tcp/raw-numbers-need-no-protocol")
def _():
    need("tcpserversrc", "tcpclientsink")
    with launch.folder():
        launch.save_activations(train=4000)
        port = streams.free_port()
        send_and_receive(
            f"filesrc location=train.npy blocksize=1000 ! "
            f"tcpclientsink host=127.0.0.1 port={port}",
            f"tcpserversrc host=127.0.0.1 port={port} ! saeparse ! saenpyenc ! "
            "filesink location=behind.npy",
            "current-port")
        same_file("train.npy", "behind.npy")


@tap.test("/interop/tcp/a-server-feeds-a-client-that-joins")
def _():
    need("gdppay", "gdpdepay", "tcpserversink", "tcpclientsrc")
    rows = launch.activations(64, 16)
    port = streams.free_port()
    caps = streams.static_caps(rows)
    server = streams.Pipeline(
        f"appsrc name=in format=time caps={caps} ! gdppay ! "
        f"tcpserversink name=server host=127.0.0.1 port={port} sync=false async=false")
    client = streams.Pipeline(
        f"tcpclientsrc host=127.0.0.1 port={port} ! gdpdepay ! "
        "appsink name=out sync=false")
    with server, streams.patience("the client") as wait:
        with client:
            while server["server"].props.num_handles == 0:
                wait()
            for _ in range(10):
                server.push(streams.wrap(rows))
            for _ in range(10):
                assert streams.read(client.pull().get_buffer()) == rows.tobytes()


def rows_trained(log):
    lines = pathlib.Path(log).read_text().splitlines()
    return json.loads(lines[-1])["total"]["rows"]


@tap.test("/interop/tcp/a-killed-peer-ends-the-run-and-the-model-is-saved")
def _():
    need("gdppay", "gdpdepay", "tcpserversrc", "tcpclientsink")
    with launch.folder():
        launch.save_activations(train=4000)
        for kind, pay, depay in (
            ("tensors", "saesrc location=train.npy epochs=1000000 ! gdppay", "gdpdepay"),
            ("bytes", "multifilesrc location=train.npy loop=true blocksize=999",
             "saeparse"),
        ):
            for delay in range(3):
                port = streams.free_port()
                receiver = (
                    f"tcpserversrc host=127.0.0.1 port={port} ! {depay} ! "
                    f"{TRAINER} stats-interval=100000000 log-location=log.jsonl "
                    "! fakesink")
                with launch.start(receiver, "-v -m") as taking:
                    launch.read_until(taking, "current-port")
                    sender = f"{pay} ! tcpclientsink host=127.0.0.1 port={port}"
                    with launch.start(sender) as giving:
                        for _ in range(delay + 1):
                            launch.read_until(taking, "sae-stats")
                        os.killpg(giving.pid, signal.SIGKILL)
                    printed = launch.read_until(taking, "Freeing pipeline")
                    taking.kill()
                # A half buffer may be dropped or be an error; a hang is neither.
                assert "EOS" in printed or "ERROR" in printed, f"{kind}: {printed}"
                assert rows_trained("log.jsonl") > 0
                launch.launch("saesrc location=heldout.npy ! "
                              "saeencoder location=out ! fakesink")
                launch.run("rm -r out log.jsonl")


@tap.test("/interop/shm/two-processes-have-the-same-bits")
def _():
    need("shmsink", "shmsrc")
    with launch.folder():
        train()
        rows = np.load("heldout.npy")[:999]
        np.save("heldout.npy", rows)
        end = "saedecoder location=out ! saenpyenc ! filesink location="
        caps = {
            "pairs": 'num_tensors=(int)2,types=(string)"uint32,float32",'
                     'dimensions=(string)"4:111,4:111"',
            "dense": "num_tensors=(int)1,types=(string)float32,"
                     "dimensions=(string)128:111",
        }
        for kind in caps:
            encoder = f"saeencoder location=out {CODES[kind]}"
            launch.launch(
                f"saesrc location=heldout.npy ! {encoder} ! {end}straight.npy")
            what = f"other/tensors,format=(string)static,{caps[kind]}"
            sender = (
                f"saesrc location=heldout.npy rows-per-buffer=111 ! {encoder} ! "
                "shmsink socket-path=socket wait-for-connection=true sync=false")
            with launch.start(sender) as giving:
                with streams.patience("the socket") as wait:
                    while not os.path.exists("socket"):
                        wait()
                launch.launch(
                    f"shmsrc socket-path=socket num-buffers=9 ! '{what}' ! "
                    f"{end}behind.npy")
                giving.kill()
            same_file("straight.npy", "behind.npy")
            if os.path.exists("socket"):
                os.unlink("socket")


@tap.test("/interop/multifilesrc/files-one-after-another-are-the-whole")
def _():
    need("multifilesrc")
    with launch.folder():
        launch.save_activations(train=4000)
        whole = np.load("train.npy")
        for i in range(8):
            np.save(f"part-{i}.npy", whole[500 * i:500 * (i + 1)])
        launch.launch("multifilesrc location=part-%d.npy ! saeparse ! saenpyenc ! "
                      "filesink location=behind.npy")
        same_file("train.npy", "behind.npy")


@tap.test("/interop/multifilesink/buffers-of-codes-come-back-by-multifilesrc")
def _():
    need("multifilesrc", "multifilesink")
    with launch.folder():
        train()
        end = "saedecoder location=out ! saenpyenc ! filesink location="
        encoder = "saesrc location=heldout.npy rows-per-buffer=100 ! saeencoder location=out"
        launch.launch(f"{encoder} ! {end}straight.npy")
        launch.launch(f"{encoder} ! multifilesink location=codes-%03d.raw")
        launch.launch(
            "multifilesrc location=codes-%03d.raw ! 'other/tensors,"
            "format=(string)static,num_tensors=(int)2,"
            'types=(string)"uint32,float32",dimensions=(string)"4:100,4:100",'
            f"framerate=(fraction)0/1' ! {end}behind.npy")
        same_file("straight.npy", "behind.npy")


tap.main()
