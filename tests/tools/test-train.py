# SPDX-License-Identifier: LGPL-2.1-or-later
"""sae-train as its users start it.

Usage: test-train.py SAE-TRAIN
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np

here = pathlib.Path(__file__).parent
sys.path[:0] = [str(here.parent / "python"), str(here.parent / "plugin")]
import commas  # noqa: E402
import launch  # noqa: E402
import tap  # noqa: E402

program = os.path.abspath(sys.argv.pop(1))
SMALL = ["--dict-size", "64", "--top-k", "4", "--batch-size", "64"]


def run(*arguments, status=0, **more):
    done = subprocess.run(
        [program, *arguments], capture_output=True, timeout=launch.PATIENCE, **more
    )
    done.out = done.stdout.decode(errors="surrogateescape")
    done.err = done.stderr.decode(errors="surrogateescape")
    assert done.returncode == status, (
        f"{arguments}: expected status {status}, got {done.returncode}\n"
        f"{done.out}{done.err}"
    )
    assert "CRITICAL" not in done.err and "WARNING **" not in done.err, done.err
    return done


def refused(*arguments, status=2, parts=(), **more):
    done = run(*arguments, status=status, **more)
    for part in parts:
        assert part in done.err, f"{arguments}: no '{part}' in\n{done.err}"
    first, *rest = done.err.splitlines()
    assert done.err.count(first) == 1 and "warning:" not in str(rest), done.err
    assert done.out == "", done.out
    return done


def weights(folder="out"):
    return (pathlib.Path(os.fsdecode(folder)) / "sae_weights.safetensors").read_bytes()


def config(folder="out"):
    return json.loads((pathlib.Path(folder) / "cfg.json").read_text())


@tap.test("/tools/train/trains-and-says-what-came-out")
def _():
    with launch.folder():
        launch.save_activations()
        done = run(
            "train.npy", "-o", "out", *SMALL, "--epochs", "3", "--held-out", "heldout.npy"
        )
        assert config()["d_sae"] == 64 and config()["d_in"] == 32, config()
        figures = re.search(
            r"trained +60,000 rows .*\n.*fvu +([\d.]+) of .*\n.*l0 +4.0\n"
            r"dead +[\d.]+ %\nheld-out +fvu ([\d.]+), l0 4.0 of 2,000 rows\n"
            r"dictionary +out\n$",
            done.out,
        )
        assert figures, done.out
        # Untrained it would be near 1.
        assert float(figures[2]) < 0.5, done.out


@tap.test("/tools/train/held-out-figures-are-those-of-numpy")
def _():
    with launch.folder():
        launch.save_activations()
        done = run("train.npy", "-o", "out", *SMALL, "-H", "heldout.npy", "--json")
        launch.launch(
            "saesrc location=heldout.npy ! saeencoder location=out/ ! "
            "saedecoder location=out/ ! saenpyenc ! filesink location=xhat.npy"
        )
        want = launch.fvu(np.load("heldout.npy"), np.load("xhat.npy"))
        figures = json.loads(done.out)
        got = figures["held-out"]["fvu"]
        assert abs(got - want) < 1e-5, (got, want)
        assert figures["total"]["rows"] == 20000 and not figures["stopped"]


@tap.test("/tools/train/what-cannot-be-printed-is-an-error")
def _():
    with launch.folder():
        launch.save_activations()
        for options in ["--json"], ["--print-pipeline"], []:
            with open("/dev/full", "w") as full:
                done = subprocess.run(
                    [program, "train.npy", "-o", "out", *SMALL, *options],
                    stdout=full, stderr=subprocess.PIPE, text=True,
                )
            assert "standard output" in done.stderr, (options, done.stderr)
            assert done.returncode == 1, (options, done.returncode)
        assert len(weights()) > 0  # which is saved all the same


@tap.test("/tools/train/the-printed-pipeline-writes-the-same-bytes")
def _():
    with launch.folder():
        launch.save_activations()
        options = [
            *SMALL, "--epochs", "2", "--seed", "7", "--set", "beta2=0.98",
            "--set", "saesrc.rows-per-buffer=100", "--metadata",
            "model_name=a b,hook_name=it's \"h\"", "--held-out", "heldout.npy",
        ]
        run("train.npy", "-o", "ours", *options)
        line = run("train.npy", "-o", "theirs", *options, "--print-pipeline").out
        assert line.count("\n") == 2 and line.startswith("gst-launch-1.0 saesrc "), line
        assert not os.path.exists("theirs")
        launch.run(line)
        assert weights("ours") == weights("theirs")
        assert config("ours") == config("theirs")
        assert config("ours")["metadata"]["hook_name"] == "it's \"h\"", config("ours")


@tap.test("/tools/train/many-files-are-one-array")
def _():
    with launch.folder():
        launch.save_activations(train=3000)
        x = np.load("train.npy")
        np.save("a, 1.npy", x[:1000])
        np.save("b\"'.npy", x[1000:1001])
        np.save("c.npy", x[1001:])
        files = ["a, 1.npy", "b\"'.npy", "c.npy"]
        run("train.npy", "-o", "one", *SMALL)
        run(*files, "-o", "many", *SMALL)
        assert weights("one") == weights("many")
        launch.run(run(*files, "-o", "pasted", *SMALL, "-p").out)
        assert weights("one") == weights("pasted")


@tap.test("/tools/train/a-folder-and-a-pattern")
def _():
    with launch.folder():
        launch.save_activations(train=3000)
        x = np.load("train.npy")
        os.mkdir("shards")
        for i in range(3):
            np.save(f"shards/s-{i:03d}.npy", x[1000 * i : 1000 * (i + 1)])
        run("train.npy", "-o", "one", *SMALL)
        run("shards/", "-o", "folder", *SMALL)
        run("shards/s-%03d.npy", "-o", "pattern", *SMALL)
        assert weights("one") == weights("folder") == weights("pattern")


@tap.test("/tools/train/file-names-of-any-bytes")
def _():
    names = ["with space", "quote\"s'", "-dash", "a=b!c", "é", "back\\slash\\", "$HOME"]
    with launch.folder():
        launch.save_activations(train=500)
        for name in names:
            os.rename("train.npy", name + ".npy")
            run("./" + name + ".npy", "-o", "./" + name, *SMALL)
            line = run("./" + name + ".npy", "-o", "./p " + name, *SMALL, "-p").out
            launch.run(line)
            assert weights(name) == weights("p " + name), name
            os.rename(name + ".npy", "train.npy")


@tap.test("/tools/train/file-names-that-are-no-utf-8")
def _():
    with launch.folder():
        launch.save_activations(train=500)
        os.rename(b"train.npy", b"caf\xe9.npy")
        run(b"caf\xe9.npy", b"-o", b"out\xff", *SMALL)
        assert weights(b"out\xff")
        run(b"caf\xe9.npy", b"caf\xe9.npy", b"-o", b"two\xff", *SMALL)
        done = refused(b"caf\xe9.npy", "-o", "x", "-p", status=1, parts=["UTF-8"])
        assert "caf" in done.err


@tap.test("/tools/train/standard-input")
def _():
    with launch.folder():
        launch.save_activations(train=3000)
        run("train.npy", "-o", "file", *SMALL, "--no-shuffle")
        with open("train.npy", "rb") as file:
            run("-", "-o", "file-as-stdin", *SMALL, stdin=file)
        pipe = subprocess.Popen(["cat", "train.npy"], stdout=subprocess.PIPE)
        run("-", "-o", "pipe", *SMALL, stdin=pipe.stdout)
        pipe.wait()
        assert weights("file") == weights("pipe") == weights("file-as-stdin")
        line = run("-", "-o", "pasted", *SMALL, "-p").out
        launch.run(f"cat train.npy | {line}")
        assert weights("file") == weights("pasted")


@tap.test("/tools/train/standard-input-that-is-no-array")
def _():
    with launch.folder():
        refused("-", "-o", "out", status=1, input=b"no array at all, it is text")
        refused("-", "-o", "out", status=1, input=b"")
        launch.save_activations(train=3000)
        half = pathlib.Path("train.npy").read_bytes()[:-1000]
        done = run("-", "-o", "out", *SMALL, status=1, input=half)
        assert "expected" in done.err and "is in out" in done.err, done.err
        assert weights()
        master, slave = pty.openpty()
        refused("-", "-o", "o", stdin=slave, parts=["terminal"])
        os.close(master)
        os.close(slave)


@tap.test("/tools/train/mistakes-are-told-once-and-clearly")
def _():
    with launch.folder():
        launch.save_activations(train=200)
        out = ["-o", "out"]
        refused(parts=["expected ACTIVATIONS"])
        refused("train.npy", parts=["expected -o"])
        refused("train.npy", "-o", "", parts=["expected -o"])
        refused("", *out, parts=["ACTIVATIONS"])
        refused("train.npy", *out, "--bogus", parts=["--bogus"])
        refused("-", "train.npy", *out, parts=["standard input"])
        refused("-", *out, "--epochs", "2", parts=["--epochs", "once"])
        refused("train.npy", *out, "-k", "-3", parts=["--top-k: expected a whole", "'-3'"])
        refused("train.npy", *out, "--seed=-1", parts=["--seed: expected a whole", "'-1'"])
        refused("train.npy", *out, "-k", "3x", parts=["--top-k", "'3x'"])
        refused("train.npy", *out, "-k", "", parts=["--top-k"])
        refused("train.npy", *out, "-d", "99999999999", parts=["--dict-size", "268435456"])
        refused("train.npy", *out, "-r", "nan", parts=["--learning-rate", "'nan'"])
        refused("train.npy", *out, "-r", "1,5", parts=["--learning-rate", "'1,5'"])
        refused("train.npy", *out, "-s", "topk", parts=["--sparsity", "top-k, l1"])
        refused("train.npy", *out, "--set", "beta", parts=["PROPERTY=VALUE"])
        refused("train.npy", *out, "--set", "=1", parts=["PROPERTY=VALUE"])
        refused("train.npy", *out, "--set", "bata2=0.9", parts=["is 'beta2' meant?"])
        refused("train.npy", *out, "--set", "xyzzyxyzzy=1", parts=["there are", "grad-clip"])
        refused("train.npy", *out, "--set", "rows=1", parts=["read, not set"])
        refused("train.npy", *out, "--set", "location=x", parts=["--output"])
        refused("train.npy", *out, "--set", "saesrc.location=x", parts=["ACTIVATIONS"])
        refused("train.npy", *out, "-k", "4", "--set", "top-k=5", parts=["twice"])
        refused("train.npy", *out, "--resume", parts=["--checkpoint"])
        refused("train.npy", *out, "--resume=now", parts=["replay", "'now'"])
        assert not os.path.exists("out")


@tap.test("/tools/train/errors-of-the-run")
def _():
    with launch.folder() as path:
        launch.save_activations(train=200)
        refused("none.npy", "-o", "out", status=1, parts=["none.npy: No such file"])
        refused("train.npy", "-o", ".", status=1, parts=["expected a path that ends"])
        refused("train.npy", "-o", "../" + path.name, status=1, parts=["an empty folder"])
        pathlib.Path("text.npy").write_text("text, not an array, but long enough")
        refused("text.npy", "-o", "out", status=1, parts=["text.npy: not a .npy"])
        np.save("bad.npy", np.full((300, 8), np.nan, np.float32))
        refused("bad.npy", "-o", "out", status=1, parts=["Nothing was trained"])
        refused("train.npy", "-o", "out", "-i", "nowhere", status=1, parts=["nowhere"])
        refused("train.npy", "-o", "out", "-d", "4", "-k", "8", status=1, parts=["8"])
        assert sorted(p.name for p in path.iterdir()) == [
            "bad.npy", "heldout.npy", "text.npy", "train.npy",
        ]


@tap.test("/tools/train/held-out-rows-are-looked-at-first")
def _():
    with launch.folder():
        launch.save_activations()
        np.save("narrow.npy", np.zeros((10, 16), np.float32))
        pathlib.Path("text.npy").write_text("text, not an array, but long enough")
        out = ["-o", "out", *SMALL]
        for held_out, said in {
            "none.npy": ["none.npy: No such file"],
            "text.npy": ["text.npy: not a .npy"],
            "narrow.npy": ["narrow.npy: expected rows of 32 numbers, as in train.npy, got 16"],
        }.items():
            refused("train.npy", *out, "-H", held_out, status=1, parts=said)
            assert not os.path.exists("out"), held_out
        refused("train.npy", "train.npy", *out, "-H", "narrow.npy", status=1, parts=said)
        refused("none.npy", *out, "-H", "narrow.npy", status=1, parts=["none.npy: No such"])
        refused("-", *out, "-H", "none.npy", status=1, input=b"", parts=["none.npy: No such"])
        # What comes later is told later, and the dictionary is there.
        process = start("train.npy", *out, "-H", "heldout.npy", "--epochs", "1000000")
        wait_for_rows(process)
        os.remove("heldout.npy")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=launch.PATIENCE)
        assert process.returncode == 1 and "heldout.npy: No such file" in err, err
        assert weights()


@tap.test("/tools/train/without-the-plugin")
def _():
    with launch.folder():
        launch.save_activations(train=200)
        env = {**os.environ, "GST_PLUGIN_PATH_1_0": "", "GST_REGISTRY_1_0": "r.bin"}
        done = subprocess.run(
            [program, "train.npy", "-o", "out"], env=env, capture_output=True, text=True
        )
        # or it is found where it has been installed
        if done.returncode == 0:
            return
        assert "libgstsae.so" in done.stderr, done.stderr
        assert done.returncode == 1, done.returncode  # the command is not wrong
        assert "--help" not in done.stderr, done.stderr


@tap.test("/tools/train/version-and-help")
def _():
    assert re.fullmatch(r"sae-train \(gst-sae\) \d+\.\d+\.\d+\n", run("--version").out)
    text = run("--help").out
    for word in "ACTIVATIONS", "--output", "--held-out", "Ctrl-C", "--set", "Examples:":
        assert word in text, text


def start(*arguments, hang_up=signal.SIG_DFL, **more):
    """Under nohup these tests would find SIGHUP ignored."""
    return subprocess.Popen(
        [program, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGHUP, hang_up), **more,
    )


def wait_for_rows(process):
    """Reads stderr up to the first line of progress."""
    line = process.stderr.readline()
    assert "rows/s" in line, line + process.stderr.read()


@tap.test("/tools/train/ctrl-c-saves-what-was-trained")
def _():
    with launch.folder():
        launch.save_activations()
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            process = start("train.npy", "-o", "out", *SMALL, "--epochs", "1000000")
            wait_for_rows(process)
            process.send_signal(number)
            out, err = process.communicate(timeout=launch.PATIENCE)
            assert process.returncode == 128 + number, (process.returncode, err)
            assert "stopping" in err and "stopped early" in err, err
            assert "trained" in out and "dictionary  out" in out, out
            launch.launch(
                "saesrc location=heldout.npy ! saeencoder location=out ! fakesink"
            )
            os.rename("out", f"out-{number}")


@tap.test("/tools/train/what-was-not-saved-is-not-said-to-be")
def _():
    """Somebody else's file is in the folder when the run ends."""
    for layout in "saelens", "sparsify":
        with launch.folder():
            launch.save_activations()
            process = start(
                "train.npy", "-o", "out", *SMALL, "--epochs", "1000000", "--layout", layout
            )
            wait_for_rows(process)
            pathlib.Path("out").mkdir()
            pathlib.Path("out/theirs").touch()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=launch.PATIENCE)
            assert process.returncode == 1 and "Cannot save" in err, err
            assert "is in out" not in err and os.listdir("out") == ["theirs"], err
            # A dictionary of before is none of this run; one of this run is.
            half = pathlib.Path("train.npy").read_bytes()[:-1000]
            options = ["-", "-o", "done", *SMALL, "--layout", layout]
            assert "is in done" in run(*options, status=1, input=half).err
            assert "is in done" in run(*options, status=1, input=half).err
            assert "is in done" not in run(*options, status=1, input=half[:100]).err


@tap.test("/tools/train/a-terminal-that-closes")
def _():
    """Its signal may come more than once, and under nohup it says nothing."""
    with launch.folder():
        launch.save_activations()
        process = start("train.npy", "-o", "out", *SMALL, "--epochs", "1000000")
        wait_for_rows(process)
        # also while it says what was trained
        until = time.monotonic() + launch.PATIENCE
        while process.poll() is None and time.monotonic() < until:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.001)
        out, err = process.communicate(timeout=launch.PATIENCE)
        assert process.returncode == 128 + signal.SIGHUP, (process.returncode, err)
        assert "dictionary  out" in out, out
        process = start(
            "train.npy", "-o", "nohup", *SMALL, "--epochs", "1000000",
            hang_up=signal.SIG_IGN,
        )
        wait_for_rows(process)
        process.send_signal(signal.SIGHUP)
        wait_for_rows(process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=launch.PATIENCE)
        assert process.returncode == 128 + signal.SIGTERM, (process.returncode, err)


@tap.test("/tools/train/nobody-reads-the-progress")
def _():
    with launch.folder():
        launch.save_activations()
        process = start("train.npy", "-o", "out", *SMALL, "--epochs", "1000000")
        wait_for_rows(process)
        process.stdout.close()
        process.stderr.close()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=launch.PATIENCE)
        assert code == 128 + signal.SIGTERM, code
        assert os.path.exists("out/cfg.json"), os.listdir()


@tap.test("/tools/train/ctrl-c-while-standard-input-waits")
def _():
    with launch.folder():
        launch.save_activations()
        process = start("-", "-o", "out", *SMALL, stdin=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        assert process.wait(launch.PATIENCE) == 130 and "nothing was trained" in err, err
        assert not os.path.exists("out")
        # And with rows: the pipe stays open, and no end of the file comes.
        process = subprocess.Popen(
            [program, "-", "-o", "out", *SMALL, "--set", "stats-interval=1000000"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )
        process.stdin.write(pathlib.Path("train.npy").read_bytes()[:1_500_000])
        process.stdin.flush()
        assert b"rows/s" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        err = process.stderr.read().decode()
        assert process.wait(launch.PATIENCE) == 130, err
        assert "stopped early" in err and weights(), err
        process.stdin.close()


@tap.test("/tools/train/a-second-ctrl-c-gives-up")
def _():
    with launch.folder():
        launch.save_activations(d=64)
        # A dictionary whose saving takes a moment.
        process = start("train.npy", "-o", "out", "-d", "60000", "-e", "1000")
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=launch.PATIENCE)
        assert process.returncode == 130, (process.returncode, err)


@tap.test("/tools/train/ctrl-c-while-it-measures")
def _():
    with launch.folder():
        launch.save_activations(train=500)
        rows = np.lib.format.open_memmap(
            "long.npy", mode="w+", dtype=np.float16, shape=(20_000_000, 32)
        )
        del rows  # a sparse file of zeros
        process = start("train.npy", "-o", "out", *SMALL, "-H", "long.npy")
        wait_for_rows(process)
        while not os.path.exists("out"):
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=launch.PATIENCE)
        assert process.returncode == 130, (process.returncode, out, err)
        assert "the dictionary is saved" in err, err
        assert "dictionary  out" in out and "held-out" not in out, out


@tap.test("/tools/train/checkpoint-and-resume-end-in-the-same-bytes")
def _():
    with launch.folder():
        launch.save_activations()
        options = [*SMALL, "--epochs", "3"]
        run("train.npy", "-o", "whole", *options)
        process = start(
            "train.npy", "-o", "part", *options, "-c", "run.ckpt",
            "--checkpoint-interval", "4096", "--set", "stats-interval=1000000",
        )
        wait_for_rows(process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=launch.PATIENCE)
        assert os.path.exists("run.ckpt")
        run("train.npy", "-o", "resumed", *options, "-c", "run.ckpt", "--resume")
        assert weights("whole") == weights("resumed")


@tap.test("/tools/train/ctrl-c-while-a-replay-brings-what-is-known")
def _():
    with launch.folder():
        launch.save_activations()
        run("train.npy", "-o", "out", *SMALL, "-c", "run.ckpt")
        before = weights(), pathlib.Path("run.ckpt").read_bytes()
        process = subprocess.Popen(
            [program, "-", "-o", "out", *SMALL, "-c", "run.ckpt", "--resume"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )
        process.stdin.write(pathlib.Path("train.npy").read_bytes()[:100_000])
        process.stdin.flush()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        err = process.stderr.read().decode()
        assert process.wait(launch.PATIENCE) == 130, err
        assert "nothing was written" in err and "resume=replay" not in err, err
        assert before == (weights(), pathlib.Path("run.ckpt").read_bytes())
        process.stdin.close()


@tap.test("/tools/train/another-layout")
def _():
    with launch.folder():
        launch.save_activations(train=500)
        run("train.npy", "-o", "out", *SMALL, "--layout", "sparsify", "-H", "heldout.npy")
        assert os.path.exists("out/sae.safetensors")
        refused("train.npy", "-o", "x", *SMALL, "--layout", "none", status=1, parts=["'none'"])


@tap.test("/tools/train/log-and-metrics")
def _():
    with launch.folder():
        launch.save_activations()
        run("train.npy", "-o", "out", *SMALL, "--log", "l.jsonl", "--metrics", "m.prom")
        last = json.loads(pathlib.Path("l.jsonl").read_text().splitlines()[-1])
        assert last["final"] and last["total-rows"] == 20000, last
        assert "sae_rows_total" in pathlib.Path("m.prom").read_text()


@tap.test("/tools/train/quiet-says-nothing")
def _():
    with launch.folder():
        launch.save_activations(train=500)
        done = run("train.npy", "-o", "out", *SMALL, "--quiet")
        assert done.out == done.err == "", done.out + done.err


def read_terminal(columns, *arguments):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    process = subprocess.Popen(
        [program, *arguments], stdout=subprocess.DEVNULL, stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    text = b""
    while select.select([master], [], [], launch.PATIENCE)[0]:
        try:
            part = os.read(master, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        text += part
    os.close(master)
    assert process.wait(launch.PATIENCE) == 0, text
    return text.decode()


@tap.test("/tools/train/a-terminal-gets-one-line-that-is-drawn-anew")
def _():
    with launch.folder():
        launch.save_activations()
        arguments = (
            "train.npy", "-o", "out", *SMALL, "-e", "4", "--set", "stats-interval=10000000"
        )
        text = read_terminal(120, *arguments)
        assert text.count("\n") == 1 and text.endswith("\n"), text
        drawn = text.rstrip().split("\r\033[K")[1:]
        assert len(drawn) > 2, text
        for line in drawn:
            assert re.match(
                r"\[#*\.*\] +\d+ %  .*fvu [\d.]+ .* rows/s  [\d,]+ rows$", line
            ), line
        assert "100 %  fvu" in drawn[-1] and "80,000 rows" in drawn[-1], drawn[-1]
        # The end of a line goes where the terminal ends, however fast it was.
        for columns in 80, 40:
            drawn = read_terminal(columns, *arguments).rstrip().split("\r\033[K")[1:]
            assert len(drawn) > 2 and max(map(len, drawn)) < columns, drawn


@tap.test("/tools/train/a-locale-with-commas-changes-nothing")
def _():
    with launch.folder() as path:
        launch.save_activations(train=3000)
        env = {**os.environ, "TZ": "UTC", **commas.make_locale(path)}
        options = [*SMALL, "--set", "beta2=0.98", "-H", "heldout.npy"]
        point = run("train.npy", "-o", "point", *options, "--json")
        comma = run("train.npy", "-o", "comma", *options, "--json", env=env)
        assert weights("point") == weights("comma")
        a, b = json.loads(point.out), json.loads(comma.out)
        assert a["held-out"]["fvu"] == b["held-out"]["fvu"]
        text = run("train.npy", "-o", "comma", *options, env=env).out
        assert re.search(r"fvu +0\.\d+ of", text), text


tap.main()
