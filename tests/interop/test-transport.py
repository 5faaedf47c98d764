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
# How often a peer is killed, for each way to receive rows.
KILLS = 200 if os.environ.get("SAE_TEST_SLOW") else 5
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


def last_stats(log):
    return json.loads(pathlib.Path(log).read_text().splitlines()[-1])


def train_until_killed(sender, receiver, n_stats):
    """Kills the sender after @n_stats messages; what the receiver printed."""
    port = streams.free_port()
    listen = f"tcpserversrc host=127.0.0.1 port={port}"
    with launch.start(f"{listen} ! {receiver}", "-v -m") as taking:
        launch.read_until(taking, "current-port")
        connect = f"tcpclientsink host=127.0.0.1 port={port}"
        with launch.start(f"{sender} ! {connect}") as giving:
            for _ in range(n_stats):
                launch.read_until(taking, "sae-stats")
            os.killpg(giving.pid, signal.SIGKILL)
        printed = launch.read_until(taking, "Freeing pipeline")
        taking.kill()
    # A half buffer may be dropped or be an error; a hang is neither.
    assert "EOS" in printed or "ERROR" in printed, printed
    return printed


@tap.test("/interop/tcp/a-killed-peer-ends-the-run-and-the-model-is-saved")
def _():
    need("gdppay", "gdpdepay", "tcpserversrc", "tcpclientsink")
    with launch.folder():
        launch.save_activations(train=4000)
        trainer = f"{TRAINER} stats-interval=50000000 log-location=log.jsonl ! fakesink"
        for sender, receiver in (
            ("saesrc location=train.npy epochs=1000000 ! gdppay", "gdpdepay"),
            ("multifilesrc location=train.npy loop=true blocksize=999", "saeparse"),
        ):
            for i in range(KILLS):
                train_until_killed(sender, f"{receiver} ! {trainer}", 1 + i % 3)
                assert last_stats("log.jsonl")["total"]["rows"] > 0
                launch.launch("saesrc location=heldout.npy ! "
                              "saeencoder location=out ! fakesink")
                launch.run("rm -r out log.jsonl")
            tap.fault(42, KILLS, KILLS)


@tap.test("/interop/tcp/a-run-goes-on-when-its-peer-is-back")
def _():
    need("gdppay", "gdpdepay", "tcpserversrc", "tcpclientsink")
    with launch.folder():
        launch.save_activations(train=4000)
        receiver = (
            f"gdpdepay ! {TRAINER} total-rows=100000000 stats-interval=100000000 "
            "log-location=log.jsonl checkpoint-location=run.checkpoint "
            "checkpoint-interval=1000 resume=continue ! fakesink"
        )
        before = 0
        for _ in range(KILLS):
            train_until_killed(
                "saesrc location=train.npy epochs=1000000 ! gdppay", receiver, 2)
            assert last_stats("log.jsonl")["total-rows"] > before
            before = last_stats("log.jsonl")["total-rows"]
        port = streams.free_port()
        send_and_receive(
            "saesrc location=train.npy ! gdppay ! "
            f"tcpclientsink host=127.0.0.1 port={port}",
            f"tcpserversrc host=127.0.0.1 port={port} ! {receiver}", "current-port")
        assert last_stats("log.jsonl")["total-rows"] == before + 4000
        tap.fault(42, KILLS, KILLS)


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
