# SPDX-License-Identifier: LGPL-2.1-or-later
"""sae-inspect as its users start it, and numpy to judge what it says.

Usage: test-inspect.py SAE-INSPECT
"""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import numpy as np

here = pathlib.Path(__file__).parent
sys.path[:0] = [str(here.parent / "python"), str(here.parent / "plugin")]
import launch  # noqa: E402
import tap  # noqa: E402

program = os.path.abspath(sys.argv.pop(1))
goldens = pathlib.Path(os.environ["SAE_GOLDENS"])


def run(*arguments, status=0, **more):
    done = subprocess.run(
        [program, *map(os.fspath, arguments)], capture_output=True,
        timeout=launch.PATIENCE, **more,
    )
    done.out = done.stdout.decode(errors="surrogateescape")
    done.err = done.stderr.decode(errors="surrogateescape")
    assert done.returncode == status, (
        f"{arguments}: expected status {status}, got {done.returncode}\n"
        f"{done.out}{done.err}"
    )
    assert "CRITICAL" not in done.err, done.err
    return done


def run_any(*arguments):
    done = subprocess.run(
        [program, *map(os.fspath, arguments)], capture_output=True, text=True
    )
    done.err = done.stderr
    return done


def refused(*arguments, status=1, parts=()):
    done = run(*arguments, status=status)
    for part in parts:
        assert part in done.err, f"{arguments}: no '{part}' in\n{done.err}"
    assert done.err.splitlines()[0] not in done.err.splitlines()[1:], done.err
    return done


def facts(*arguments):
    return json.loads(run(*arguments, "--json").out)


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    return {
        name: np.frombuffer(
            data, np.float32, offset=8 + size + entry["data_offsets"][0],
            count=int(np.prod(entry["shape"])),
        ).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def write_safetensors(path, tensors, metadata=None):
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32", "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(tensor.astype("<f4").tobytes() for tensor in tensors.values())
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def train(out="out", options=""):
    if not os.path.exists("train.npy"):
        launch.save_activations(train=3000)
    launch.launch(
        "saesrc location=train.npy shuffle=true ! saetrainer dict-size=96 top-k=4 "
        f"batch-size=64 location={out} {options} ! fakesink"
    )


def spread(values):
    return [values.min(), np.median(values), values.max()]


def close(got, want):
    got = [got[key] for key in ("min", "median", "max")]
    return np.allclose(got, want, rtol=1e-6, atol=1e-7)


@tap.test("/tools/inspect/figures-of-goldens-are-numpy's")
def _():
    for name in "saelens-jumprelu", "saelens-topk-bdec1-rescale0", "saelens-standard-bdec0":
        found = facts(goldens / name)
        tensors = read_safetensors(goldens / name / "sae_weights.safetensors")
        assert found["kind"] == "dictionary" and found["layout"] == "saelens"
        assert (found["d_in"], found["d_out"], found["d_sae"]) == (48, 48, 320), found
        assert found["dtypes"] == ["F32"]
        assert close(found["W_dec-row-norm"], spread(np.linalg.norm(tensors["W_dec"], axis=1)))
        # [d_in, d_sae] in the file
        assert close(found["W_enc-row-norm"], spread(np.linalg.norm(tensors["W_enc"], axis=0)))
        assert close(found["b_enc"], spread(tensors["b_enc"]))
        assert np.isclose(found["b_dec-norm"], np.linalg.norm(tensors["b_dec"]), rtol=1e-6)
        assert ("threshold" in found) == ("jumprelu" in name)
        if "threshold" in found:
            assert close(found["threshold"], spread(tensors["threshold"]))
        assert found["pre_bias"] == ("bdec1" in name)
        assert found.get("k") == (8 if "topk" in name else None)
        files = {file["name"]: file["bytes"] for file in found["files"]}
        weights = goldens / name / "sae_weights.safetensors"
        assert files["sae_weights.safetensors"] == weights.stat().st_size


@tap.test("/tools/inspect/every-layout-and-rule")
def _():
    for name, layout, rule in (
        ("saelens-gated", "saelens", "gated"),
        ("sparsify-topk", "sparsify", "top-k"),
        ("sparsify-groupmax", "sparsify", "group-max"),
        ("gemma-scope", "gemma-scope", "jump-relu"),
    ):
        if name == "gemma-scope" and "npz" in run_any(goldens / name).err:
            continue  # built without libzip
        found = facts(goldens / name)
        assert (found["layout"], found["sparsity"]) == (layout, rule), found
        assert found["d_sae"] == 320 and f" {layout}\n" in run(goldens / name).out
        assert ("r_mag" in found) == (rule == "gated")
    found = facts(goldens / "saelens-topk-norm-layer_norm")
    assert found["input_norm"] == "layer-norm", found


@tap.test("/tools/inspect/converts-between-layouts")
def _():
    with launch.folder():
        for name in "saelens-topk-bdec1-rescale0", "sparsify-topk":
            run(goldens / name, "--convert", "a", "--layout", "sparsify")
            run("a", "--convert", "b", "--layout", "saelens")
            want, a, b = facts(goldens / name), facts("a"), facts("b")
            assert (a["layout"], b["layout"]) == ("sparsify", "saelens")
            for key in "d_in", "d_sae", "k", "W_dec-row-norm", "W_enc-row-norm", "b_enc":
                assert a[key] == b[key] == want[key], (name, key)
            shutil.rmtree("a")
            shutil.rmtree("b")


@tap.test("/tools/inspect/a-strangers-names-move-no-cursor")
def _():
    evil = "\x1b[31mred\x07\x9b2J\nfake = line"
    with launch.folder():
        write_safetensors("x.safetensors", {evil: np.ones(2, np.float32)})
        shutil.copytree(goldens / "saelens-topk-bdec1-rescale0", "out")
        config = json.loads(pathlib.Path("out/cfg.json").read_text())
        config["metadata"][evil] = evil
        pathlib.Path("out/cfg.json").write_text(json.dumps(config))
        for path in "x.safetensors", "out":
            out = run(path).out
            assert "?[31mred??2J?fake = line" in out, out
            assert all(c.isprintable() for c in out.replace("\n", "")), out
        assert facts("out")["metadata"][evil] == evil
        name = evil.replace("\n", "\x9d") + ".npy"
        os.mkdir("arrays")
        np.save(name, np.ones((3, 2), np.float32))
        pathlib.Path("arrays", name).write_bytes(b"no array")
        shown = "?[31mred??2J?fake = line.npy"
        for done in run(name), run("--verify", name):
            assert shown in done.out and done.out.replace("\n", "").isprintable(), done.out
        for status, arguments in (1, ["arrays"]), (1, [f"arrays/{name}"]), (2, [f"--{evil}"]):
            err = run(*arguments, status=status).err
            assert "?[31mred??2J?fake = line" in err, err
            assert err.replace("\n", "").isprintable(), err


@tap.test("/tools/inspect/dead-latents-by-the-statistics")
def _():
    with launch.folder():
        train(options="metadata=model_name=x,hook_name=h")
        found = facts("out")
        fired = read_safetensors("out/latent_stats.safetensors")["fired_fraction"]
        latents = found["latents"]
        assert latents["dead-by"] == "latent_stats.safetensors", latents
        assert latents["dead"] == (fired == 0).sum() and latents["rows"] == 3000
        assert close(latents["fires-in-share-of-rows"], spread(fired))
        assert found["metadata"]["hook_name"] == "h", found["metadata"]
        text = run("out").out
        for part in "96 latents", "top-k, k 4", "hook_name = h", "of 3,000 rows", "|b_dec|":
            assert part in text, text
        # SAELens' own file, when it is alone.
        os.remove("out/latent_stats.safetensors")
        latents = facts("out")["latents"]
        assert latents["dead-by"] == "sparsity.safetensors"
        assert latents["dead"] == (fired == 0).sum()
        assert close(latents["fires-in-share-of-rows"], spread(fired))


@tap.test("/tools/inspect/converts-the-statistics-too")
def _():
    with launch.folder():
        train()
        names = "latent_stats.safetensors", "sparsity.safetensors"
        want = {name: pathlib.Path("out", name).read_bytes() for name in names}
        run("out", "--convert", "a", "--layout", "sparsify")
        assert pathlib.Path("a", names[0]).read_bytes() == want[names[0]]
        run("a", "--convert", "a")  # in its own place
        for name in names:
            assert pathlib.Path("a", name).read_bytes() == want[name], name
        assert facts("a")["latents"] == facts("out")["latents"]
        # of SAELens' file it is not known how many rows it is of
        os.remove(f"a/{names[0]}")
        done = run("a", "--convert", "b")
        assert "warning: a: sparsity.safetensors is not converted" in done.err, done.err
        assert not os.path.exists("b/sparsity.safetensors")
        # statistics that are none are not taken along
        stats = read_safetensors(f"out/{names[0]}")
        stats["fired_fraction"] = stats["fired_fraction"] + 1
        write_safetensors(f"out/{names[0]}", stats, {"rows": "3000"})
        refused("out", "--convert", "c", parts=["fired_fraction: expected 0 to 1"])
        write_safetensors(f"out/{names[0]}", stats)
        refused("out", "--convert", "c", parts=["number of rows"])
        assert not os.path.exists("c")


@tap.test("/tools/inspect/dead-latents-by-the-weights")
def _():
    with launch.folder():
        train()
        for file in "latent_stats.safetensors", "sparsity.safetensors":
            os.remove(f"out/{file}")
        assert facts("out")["latents"] == {"dead": 0, "dead-share": 0.0, "dead-by": "weights"}
        tensors = {k: v.copy() for k, v in read_safetensors("out/sae_weights.safetensors").items()}
        tensors["W_dec"][[3, 5]] = 0  # write nothing
        tensors["W_enc"][:, [5, 7, 9]] = 0  # read nothing,
        tensors["b_enc"][[5, 7, 9]] = -1, -1, 1  # and 9 always fires
        write_safetensors("out/sae_weights.safetensors", tensors)
        assert facts("out")["latents"]["dead"] == 3


@tap.test("/tools/inspect/headers-of-arrays")
def _():
    with launch.folder():
        np.save("a.npy", np.zeros((3, 4, 5), np.float16))
        found = facts("a.npy")
        assert found["kind"] == "npy" and found["dtype"] == "float16", found
        assert (found["shape"], found["rows"], found["row-width"]) == ([3, 4, 5], 12, 5)
        assert found["bytes"] == os.path.getsize("a.npy")
        assert "float16 [3, 4, 5]: 12 rows of 5" in run("a.npy").out
        write_safetensors("t.safetensors", {"w": np.zeros((2, 3), np.float32)})
        found = facts("t.safetensors")
        assert found["tensors"] == [
            {"name": "w", "dtype": "F32", "bytes": 24, "shape": [2, 3]}
        ], found
        assert "w [2, 3]" in run("t.safetensors").out
        os.mkdir("shards")
        np.save("shards/b.npy", np.zeros((7, 5), np.float32))
        shutil.copy("a.npy", "shards/a.npy")
        found = facts("shards")
        assert [file["path"] for file in found["files"]] == ["shards/a.npy", "shards/b.npy"]
        assert "7 rows of 5" in run("shards", "a.npy").out


@tap.test("/tools/inspect/verify-says-ok-or-what-is-wrong")
def _():
    with launch.folder():
        train()
        np.save("a.npy", np.ones((300, 5), np.float32))
        assert run("--verify", "out", "a.npy", "train.npy").out == (
            "out: ok\na.npy: ok\ntrain.npy: ok\n"
        )
        bad = np.ones((300, 5), np.float16)
        bad[299, 4] = np.inf
        np.save("bad.npy", bad)
        done = refused("--verify", "bad.npy", "out", parts=["bad.npy", "element 1499"])
        assert done.out == "out: ok\n", done.out  # and goes on
        run("bad.npy")  # its header is fine
        write_safetensors("t.safetensors", {"w": bad})
        refused("--verify", "t.safetensors", parts=["t.safetensors", "w"])
        whole = pathlib.Path("out/sae_weights.safetensors").read_bytes()
        for size in 0, 7, 100, len(whole) - 1:
            pathlib.Path("out/sae_weights.safetensors").write_bytes(whole[:size])
            refused("--verify", "out", parts=["sae_weights.safetensors"])
        pathlib.Path("out/sae_weights.safetensors").write_bytes(whole)
        config = json.loads(pathlib.Path("out/cfg.json").read_text())
        config["unheard_of"] = 1
        pathlib.Path("out/cfg.json").write_text(json.dumps(config))
        refused("--verify", "out", parts=["unheard_of"])


def write_typed(path, dtype, shape, data):
    """One tensor of a type that numpy need not have."""
    header = {"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


@tap.test("/tools/inspect/verify-reads-types-and-shapes-that-nothing-else-does")
def _():
    finite = {
        "F8_E5M2": "00 7b fb 01", "F8_E4M3": "00 7e fe 80", "F8_E8M0": "00 7f 80 fe",
        "F8_E5M2FNUZ": "00 7f ff 81", "F8_E4M3FNUZ": "00 7f ff 81",
        "C64": "ffff7f7f ffff7fff", "F16": "ff7b ff83", "BF16": "7f7f 7f80",
        "F32": "ffff7f7f ffff7fff", "F64": "000000e0ffffef47", "I64": "ff" * 8, "F4": "ff77",
    }
    bad = {
        "F8_E5M2": "7c fc 7d ff", "F8_E4M3": "7f ff", "F8_E8M0": "ff",
        "F8_E5M2FNUZ": "80", "F8_E4M3FNUZ": "80", "C64": "0000803f0000c07f",
        "F16": "007c 01fc", "BF16": "80ff", "F32": "000080ff 0100807f",
        "F64": "000000000000f07f 010000000000f0ff",
    }
    bits = {"C64": 64, "F4": 4}
    with launch.folder():
        for dtype, text in finite.items():
            data = bytes.fromhex(text)
            size = bits.get(dtype, int(re.search(r"\d+", dtype)[0]))
            n = len(data) * 8 // size
            for shape in [n], [1] * 8 + [n]:
                write_typed("t.safetensors", dtype, shape, data)
                run("--verify", "t.safetensors")
                for number in bad.get(dtype, "").split():
                    last = data[: len(data) - size // 8] + bytes.fromhex(number)
                    write_typed("t.safetensors", dtype, shape, last)
                    place = 2 * n - 1 if dtype == "C64" else n - 1
                    parts = ["t.safetensors", "'w'", f"element {place} is NaN or an infinity"]
                    refused("--verify", "t.safetensors", parts=parts)
        for large in np.array([[1e300, 1]]), np.array([[-3.5e38, 1]]):
            np.save("a.npy", large)
            done = refused("--verify", "a.npy", parts=[f"element 0 is {large[0, 0]:g}, "])
            assert "NaN" not in done.err, done.err


@tap.test("/tools/inspect/verify-reads-all-of-both-files-of-statistics")
def _():
    with launch.folder():
        train()
        stats, sparsity = "out/latent_stats.safetensors", "out/sparsity.safetensors"
        whole = pathlib.Path(sparsity).read_bytes()
        for size in 0, 100, len(whole) - 1:
            pathlib.Path(sparsity).write_bytes(whole[:size])
            refused("--verify", "out", parts=[sparsity])
        write_safetensors(sparsity, {"sparsity": np.full(96, np.nan, np.float32)})
        refused("--verify", "out", parts=[sparsity, "NaN"])
        pathlib.Path(sparsity).write_bytes(whole)
        whole = pathlib.Path(stats).read_bytes()
        tensors = read_safetensors(stats)
        for name, value in [(name, np.nan) for name in tensors] + [("fired_fraction", 7)]:
            wrong = {key: tensor.copy() for key, tensor in tensors.items()}
            wrong[name][3] = value
            write_safetensors(stats, wrong, {"rows": "3000"})
            refused("--verify", "out", parts=[stats, name])
        pathlib.Path(stats).write_bytes(whole)
        assert run("--verify", "out").out == "out: ok\n"


@tap.test("/tools/inspect/statistics-of-another-dictionary-are-wrong")
def _():
    with launch.folder():
        train()
        for size in 95, 97, 1:
            write_safetensors(
                "out/latent_stats.safetensors", {"fired_fraction": np.zeros(size, np.float32)}
            )
            refused("out", parts=["latent_stats.safetensors", "96 numbers"])
        write_safetensors("out/latent_stats.safetensors", {"other": np.zeros(96, np.float32)})
        refused("--verify", "out", parts=["fired_fraction"])
        pathlib.Path("out/latent_stats.safetensors").write_bytes(b"\xff" * 100)
        refused("--verify", "out", parts=["latent_stats.safetensors"])


@tap.test("/tools/inspect/truncated-arrays-are-wrong")
def _():
    with launch.folder():
        np.save("a.npy", np.ones((30, 5), np.float32))
        whole = pathlib.Path("a.npy").read_bytes()
        for size in 0, 5, 6, 9, 60, len(whole) - 1:
            pathlib.Path("a.npy").write_bytes(whole[:size])
            refused("a.npy", parts=["a.npy"])
        pathlib.Path("text").write_text("no array " * 10)
        refused("text", parts=["text"])
        os.mkdir("empty")
        refused("empty", parts=["empty: expected a dictionary", "saelens"])
        refused("nowhere", parts=["nowhere"])
        os.mkfifo("fifo")
        refused("fifo", parts=["fifo"])


@tap.test("/tools/inspect/mistakes")
def _():
    with launch.folder():
        refused(status=2, parts=["expected PATH"])
        refused("a", "--bogus", status=2, parts=["--bogus"])
        refused("a", "--compare", status=2, parts=["two dictionaries"])
        refused("a", "--matches", status=2, parts=["--compare"])
        refused("a", "--layout", "x", status=2, parts=["--convert"])
        refused("a", "b", "--convert", "x", status=2, parts=["one dictionary"])
        refused("a", "b", "--verify", "--compare", status=2, parts=["one of"])
        refused("a", "b", "--compare", parts=["a: no such"])


@tap.test("/tools/inspect/what-cannot-be-printed-is-an-error")
def _():
    for option in "--json", "--verify", "--version":
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [program, goldens / "saelens-jumprelu", option], stdout=full,
                stderr=subprocess.PIPE, text=True,
            )
        assert "standard output" in done.stderr, (option, done.stderr)
        assert done.returncode == 1, (option, done.returncode)


@tap.test("/tools/inspect/converts-to-what-loads-the-same")
def _():
    with launch.folder():
        train(options="metadata=model_name=x")
        assert "saelens" in run("out", "--convert", "copy").out
        assert (
            pathlib.Path("out/sae_weights.safetensors").read_bytes()
            == pathlib.Path("copy/sae_weights.safetensors").read_bytes()
        )
        assert facts("copy")["metadata"] == facts("out")["metadata"]
        refused("out", "--convert", "x", "--layout", "none", parts=["'none'", "saelens"])
        refused("nowhere", "--convert", "x", parts=["nowhere"])
        assert not os.path.exists("x")
        os.mkdir("full")
        pathlib.Path("full/mine.txt").write_text("keep")
        refused("out", "--convert", "full", parts=["full"])
        assert os.listdir("full") == ["mine.txt"]


def cosines(a, b):
    a, b = (
        read_safetensors(f"{path}/sae_weights.safetensors")["W_dec"].astype(np.float64)
        for path in (a, b)
    )
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    return a @ b.T


@tap.test("/tools/inspect/compare-is-numpy's")
def _():
    with launch.folder():
        train("a", "seed=1")
        train("b", "seed=2")
        want = cosines("a", "b")
        found = json.loads(run("--compare", "a", "b", "--matches").out)
        for side, best in ("a", want.max(axis=1)), ("b", want.max(axis=0)):
            got = found[side]
            assert got["path"] == side and got["d_sae"] == 96
            assert abs(got["share-above-0.9"] - (best > 0.9).mean()) < 1e-9
            assert abs(got["median"] - np.median(best)) < 1e-6
            assert np.allclose([one["cosine"] for one in got["latents"]], best, atol=1e-6)
        matches = [one["match"] for one in found["a"]["latents"]]
        assert (np.array(matches) == want.argmax(axis=1)).all()
        assert "latents" not in facts("--compare", "a", "b")["a"]
        text = run("--compare", "a", "b").out
        share = re.search(r"A in B +96 +([\d.]+) %", text)
        assert abs(float(share[1]) - 100 * (want.max(axis=1) > 0.9).mean()) < 0.06, text


@tap.test("/tools/inspect/names-of-any-bytes")
def _():
    with launch.folder():
        train()
        for name in b"with space", b"quote\"s'", b"caf\xe9", "\u00e9".encode():
            os.rename(b"out", name)
            run(b"./" + name)
            facts(b"./" + name)
            os.rename(name, b"out")


@tap.test("/tools/inspect/version-and-help")
def _():
    assert re.fullmatch(r"sae-inspect \(gst-sae\) \d+\.\d+\.\d+\n", run("--version").out)
    for word in "--verify", "--compare", "--convert", "Examples:":
        assert word in run("--help").out


tap.main()
