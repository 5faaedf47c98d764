# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package, against numpy and against the elements.

Usage: test-gst-sae.py SOURCE-FOLDER
"""

import gc
import os
import pathlib
import signal
import sys
import tempfile
import traceback
import warnings
import weakref

import numpy as np

here = pathlib.Path(__file__).parent
sys.path[:0] = [
    str(pathlib.Path(sys.argv.pop(1)) / "python"),
    str(here.parent / "python"), str(here.parent / "plugin"),
]
import gst_sae  # noqa: E402
import launch  # noqa: E402
import reference  # noqa: E402
import tap  # noqa: E402

try:
    import torch
except ImportError:
    torch = None

SMALL = {"dict_size": 64, "top_k": 4, "batch_size": 64, "seed": 3}
TOLERANCE = 2e-6


def need_torch():
    if torch is None:
        raise tap.Skip("no torch")


def rows(n=4000, d=16, seed=1):
    return launch.activations(n, d, seed)


def trained(x=None, **options):
    x = rows() if x is None else x
    with gst_sae.Trainer(x.shape[1], **{**SMALL, **options}) as trainer:
        trainer.push(x)
    return trainer


def raises(kind, *parts):
    class Context:
        def __enter__(self):
            return self

        def __exit__(self, got, error, trace):
            assert got is not None and issubclass(got, kind), f"expected {kind}, got {got}"
            for part in parts:
                assert part in str(error), f"no '{part}' in '{error}'"
            return True

    return Context()


def weights(dictionary):
    return {name: getattr(dictionary, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}


def same(a, b):
    return all((weights(a)[name] == weights(b)[name]).all() for name in weights(a))


# --- training -----------------------------------------------------------------


@tap.test("/gst_sae/trainer/the-same-dictionary-as-gst-launch")
def _():
    with launch.folder():
        x = rows()
        np.save("train.npy", x)
        launch.launch(
            "saesrc location=train.npy ! saetrainer dict-size=64 top-k=4 batch-size=64 "
            "seed=3 total-rows=4000 location=theirs ! fakesink"
        )
        with gst_sae.Trainer(16, total_rows=4000, location="ours", **SMALL) as trainer:
            for start in range(0, len(x), 333):
                trainer.push(x[start : start + 333])
        name = "sae_weights.safetensors"
        assert pathlib.Path("ours", name).read_bytes() == pathlib.Path("theirs", name).read_bytes()
        assert same(trainer.dictionary, gst_sae.Dictionary.load("ours"))
        assert trainer.last_stats["final"] and trainer.last_stats["total"]["rows"] == 4000


@tap.test("/gst_sae/trainer/its-place-is-where-it-began")
def _():
    with launch.folder():
        os.mkdir("elsewhere")
        with gst_sae.Trainer(16, location="out", **SMALL) as trainer:
            os.chdir("elsewhere")
            trainer.push(rows())
        assert trainer.dictionary.d_sae == 64
        os.chdir("..")
        assert os.path.exists("out/cfg.json")


@tap.test("/gst_sae/trainer/takes-any-float-shape-and-stride")
def _():
    x = rows(4000).astype(np.float16)
    want = trained(x.astype(np.float32)).dictionary
    for form in (
        x, x.astype(np.float64), x.reshape(40, 100, 16), np.asfortranarray(x),
        np.repeat(x, 2, axis=0)[::2], x.tolist(),
    ):
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.push(form)
        assert same(trainer.dictionary, want)


@tap.test("/gst_sae/trainer/takes-tensors-of-any-float")
def _():
    need_torch()
    x = torch.from_numpy(rows()).bfloat16()
    want = trained(x.float().numpy()).dictionary
    for tensor in x, x.float(), x.double(), x.reshape(40, 100, 16), x.t().contiguous().t():
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.push(tensor.clone().requires_grad_(True))
        assert same(trainer.dictionary, want)
    half = torch.from_numpy(rows()).half()
    assert same(trained(half.float().numpy()).dictionary, trained(half).dictionary)


@tap.test("/gst_sae/trainer/hooks-a-module")
def _():
    need_torch()
    torch.manual_seed(0)
    inner = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU())
    model = torch.nn.Sequential(inner, torch.nn.Linear(16, 2))
    inputs = torch.randn(20, 100, 8)
    with torch.no_grad():
        hidden = np.concatenate([inner(batch).numpy() for batch in inputs])
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.hook(inner)
            for batch in inputs:
                model(batch)
        assert same(trainer.dictionary, trained(hidden).dictionary)
        model(inputs)  # the hook is gone with the training


@tap.test("/gst_sae/trainer/hooks-tuples-and-what-is-selected")
def _():
    need_torch()

    class Block(torch.nn.Module):
        def forward(self, x):
            return x * 2, "cache"

    x = torch.from_numpy(rows())
    block = Block()
    with gst_sae.Trainer(16, **SMALL) as trainer:
        trainer.hook(block)
        block(x)
    assert same(trainer.dictionary, trained((x * 2).numpy()).dictionary)
    with gst_sae.Trainer(16, **SMALL) as trainer:
        trainer.hook(block, select=lambda module, inputs, output: inputs[0])
        block(x)
    assert same(trainer.dictionary, trained(x.numpy()).dictionary)
    with gst_sae.Trainer(16, **SMALL) as trainer:
        handle = trainer.hook(block)
        handle.remove()
        block(x)
        trainer.push(x)
    assert same(trainer.dictionary, trained(x.numpy()).dictionary)


@tap.test("/gst_sae/trainer/masks-leave-out-rows")
def _():
    x = rows(4096)
    mask = np.random.default_rng(1).integers(0, 2, 4096)
    want = trained(x[mask != 0]).dictionary
    with gst_sae.Trainer(16, **SMALL) as trainer:
        trainer.push(x.reshape(64, 64, 16), mask.reshape(64, 64))
        trainer.push(x[:5], np.zeros(5))
    assert same(trainer.dictionary, want)
    with gst_sae.Trainer(16, **SMALL) as trainer:
        with raises(ValueError, "mask of 5", "4"):
            trainer.push(x[:5], mask[:4])
        trainer.push(x)
    if torch is not None:
        with gst_sae.Trainer(16, **SMALL) as trainer:
            layer = torch.nn.Identity()
            trainer.hook(layer)
            trainer.mask = torch.from_numpy(mask.reshape(64, 64))
            layer(torch.from_numpy(x.reshape(64, 64, 16)))
        assert same(trainer.dictionary, want)


@tap.test("/gst_sae/trainer/targets-of-a-transcoder")
def _():
    x = rows(4096)
    target = np.roll(x, 1, axis=1) * 2 + 1
    mask = np.arange(4096) % 5 != 0
    with gst_sae.Trainer(16, output_size=16, **SMALL) as trainer:
        for _ in range(8):
            trainer.push(x.astype(np.float16), target=target)
            trainer.push(x.reshape(64, 64, 16), mask.reshape(64, 64), target.reshape(64, 64, 16))
        with raises(ValueError, "a target"):
            trainer.push(x)
        with raises(ValueError, "each of 4096 rows", "5"):
            trainer.push(x, target=target[:5])
    dictionary = trainer.dictionary
    assert trainer.last_stats["total"]["rows"] == 8 * (4096 + mask.sum())
    assert dictionary.measure(x, target)["fvu"] < 0.5 < dictionary.measure(x)["fvu"]
    assert abs(
        dictionary.measure(x, target)["fvu"] - launch.fvu(target, dictionary.reconstruct(x))
    ) < 1e-5
    with gst_sae.Trainer(16, output_size=16, **SMALL) as trainer:
        trainer.push(x, target=x)
    assert same(trainer.dictionary, trained(x).dictionary)
    with gst_sae.Trainer(16, output_size=8, layout="sparsify", **SMALL) as trainer:
        for _ in range(8):
            trainer.push(x, target=x[:, :8])
    assert trainer.dictionary.reconstruct(x).shape == (4096, 8)
    assert trainer.dictionary.measure(x, x[:, :8])["fvu"] < 0.5
    with raises(ValueError, "no target"):
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.push(x, target=x)
    with raises(gst_sae.Error, "16", "8"):
        with gst_sae.Trainer(16, output_size=8, **SMALL) as trainer:
            for _ in range(100):
                trainer.push(x, target=x[:, :8])


@tap.test("/gst_sae/trainer/train-takes-an-iterable")
def _():
    x = rows()
    with gst_sae.Trainer(16, **SMALL) as trainer:
        trainer.train(x[i : i + 50] for i in range(0, len(x), 50))
    assert same(trainer.dictionary, trained(x).dictionary)


@tap.test("/gst_sae/trainer/options-are-checked-at-once")
def _():
    with raises(TypeError, "dict_size meant"):
        gst_sae.Trainer(16, dictsize=4)
    with raises(ValueError, "sparsity", "top-k, l1"):
        gst_sae.Trainer(16, sparsity="topk")
    with raises(ValueError, "top-k", "-1"):
        gst_sae.Trainer(16, top_k=-1)
    # nothing is made of what was not meant
    with raises(ValueError, "pre-bias", "True or False", "'false'"):
        gst_sae.Trainer(16, pre_bias="false")
    with raises(ValueError, "top-k", "whole number", "4.5"):
        gst_sae.Trainer(16, top_k=4.5)
    with raises(ValueError, "top-k", "a number", "'4'"):
        gst_sae.Trainer(16, top_k="4")
    with raises(ValueError, "a comma", "a=b,c=d"):
        gst_sae.Trainer(16, metadata={"a": "b,c=d"})
    with raises(gst_sae.Error, "nowhere"):
        gst_sae.Trainer(16, init_location="nowhere")
    with launch.folder():
        pathlib.Path("full").mkdir()
        pathlib.Path("full/mine.txt").write_text("keep")
        with raises(gst_sae.Error, "full"):
            gst_sae.Trainer(16, location="full")


@tap.test("/gst_sae/trainer/options-of-every-kind")
def _():
    with launch.folder() as folder:
        options = {
            "sparsity": "batch-top-k", "prefixes": [8, 32, 64], "learning_rate": 1e-3,
            "metadata": {"model_name": "m", "hook_name": "h"}, "pre_bias": True,
            "location": folder / "out", "log_location": folder / "log.jsonl",
            "total_rows": 1e6, "top_k": np.int64(4), "frozen": np.False_,
        }
        trainer = trained(**options)
        assert trainer.element.props.total_rows == 1000000
        assert trainer.dictionary.sparsity == "jump-relu"
        assert trainer.dictionary.metadata["hook_name"] == "h"
        assert (folder / "log.jsonl").exists() and trainer.element.props.prefixes == "8,32,64"


@tap.test("/gst_sae/trainer/an-error-comes-as-an-exception")
def _():
    x = rows()
    with raises(ValueError, "rows of 16", "(3, 15)"):
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.push(np.zeros((3, 15)))
    with raises(TypeError, "complex"):
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.push(np.zeros((3, 16), complex))
    # What only the element knows, from its own thread: the push after says it.
    with raises(gst_sae.Error, "top-k"):
        with gst_sae.Trainer(16, dict_size=4, top_k=8) as trainer:
            for _ in range(1000):
                trainer.push(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with raises(gst_sae.Error, "nothing was trained", "were pushed"):
            with gst_sae.Trainer(16, **SMALL):
                pass
        with raises(gst_sae.Error, "nothing was trained", "all 300 rows", "NaN"):
            with gst_sae.Trainer(16, **SMALL) as trainer:
                trainer.push(np.full((300, 16), np.nan, np.float32))
    with raises(gst_sae.Error, "has ended"):
        trained().push(x)
    with gst_sae.Trainer(16, **SMALL) as trainer:
        trainer.push(x)
        with raises(gst_sae.Error, "not ended"):
            trainer.dictionary  # noqa: B018


@tap.test("/gst_sae/trainer/an-exception-loses-nothing")
def _():
    with launch.folder():
        with raises(KeyboardInterrupt):
            with gst_sae.Trainer(16, location="out", **SMALL) as trainer:
                for _ in range(20):
                    trainer.push(rows())
                raise KeyboardInterrupt
        assert gst_sae.Dictionary.load("out").d_sae == 64
        assert trainer.stats["rows"] == 20 * len(rows()), trainer.stats


@tap.test("/gst_sae/trainer/measures-where-it-is-frozen")
def _():
    with launch.folder():
        trained().dictionary.save("out")
        with gst_sae.Trainer(16, init_location="out", frozen=True) as trainer:
            trainer.push(rows())
        assert trainer.stats["rows"] == len(rows()) and trainer.stats["fvu"] > 0
        assert same(trainer.dictionary, gst_sae.Dictionary.load("out"))
        with gst_sae.Trainer(16, frozen=True, **SMALL) as trainer:
            trainer.push(rows())
        assert trainer.dictionary is None


@tap.test("/gst_sae/trainer/saves-what-was-pushed")
def _():
    with launch.folder():
        for n in range(10):
            with gst_sae.Trainer(16, normalize="none", **SMALL) as trainer:
                trainer.push(rows())
                trainer.save(f"out{n}")
                assert trainer.stats["rows"] >= len(rows()) - 64
                with raises(gst_sae.Error, "a path that ends"), warnings.catch_warnings():
                    warnings.simplefilter("error")
                    trainer.save(".")


@tap.test("/gst_sae/trainer/sizes-that-are-none")
def _():
    for call, kind in (
        (lambda: gst_sae.Trainer(16, max_bytes=-1), ValueError),
        (lambda: gst_sae.Trainer(16, max_bytes="1"), TypeError),
        (lambda: gst_sae.Trainer(0), ValueError),
        (lambda: gst_sae.Trainer(16.0), TypeError),
        (lambda: gst_sae.Stream("identity", width="16"), TypeError),
    ):
        with raises(kind, "expected"):
            call()
    assert gst_sae.Trainer(np.int64(16)).d_in == 16


@tap.test("/gst_sae/trainer/waits-when-it-is-ahead")
def _():
    x = rows(1000)
    with gst_sae.Trainer(16, max_bytes=x.nbytes, **{**SMALL, "dict_size": 512}) as trainer:
        source = trainer._source.element
        for _ in range(50):
            trainer.push(x)
            assert source.get_property("current-level-bytes") <= 2 * x.nbytes
    assert trainer.stats["rows"] == 50000


@tap.test("/gst_sae/trainer/saves-in-the-middle-and-tells-figures")
def _():
    with launch.folder():
        told = []
        with gst_sae.Trainer(16, on_stats=told.append, stats_interval=1, **SMALL) as trainer:
            for _ in range(10):
                trainer.push(rows())
            while trainer.stats["rows"] < 20000:
                pass
            trainer.save("middle")
        assert gst_sae.Dictionary.load("middle").d_sae == 64
        assert told[-1]["final"] and not told[0]["final"], told
        assert told[-1] is trainer.last_stats and 0 < told[-1]["total"]["fvu"] < 1


@tap.test("/gst_sae/trainer/leaves-no-folder-behind")
def _():
    before = set(os.listdir(tempfile.gettempdir()))
    trainer = trained()
    assert trainer.dictionary.d_sae == 64
    with raises(ZeroDivisionError):
        with gst_sae.Trainer(16, **SMALL) as trainer:
            trainer.push(rows())
            raise ZeroDivisionError
    trainer = gst_sae.Trainer(16, **SMALL)
    del trainer
    gc.collect()
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in left if name.startswith("gst-sae-")], left


def run_in_child(function):
    """How function ends in a child of a fork: 0, 1 for an exception, or
    -SIGALRM where it hangs."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@tap.test("/gst_sae/trainer/a-child-of-a-fork-is-told")
def _():
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        raise tap.Skip("the sanitizer's allocator may stay locked in a child")
    x = rows(256)
    done = trained(x).dictionary
    want = done.decode(*done.encode(x))
    trainer = gst_sae.Trainer(16, **SMALL)
    folder = os.path.dirname(trainer.location)

    def child():
        assert np.array_equal(done.decode(*done.encode(x)), want)
        for call in lambda: trainer.push(x), trainer.finish, lambda: trainer.save("x"):
            with raises(gst_sae.Error, "child"):
                call()
        trainer.__del__()
        assert os.path.isdir(folder)

    n = 100 if os.environ.get("SAE_TEST_SLOW") else 20
    ends = []
    for _ in range(n):
        trainer.push(x)
        ends.append(run_in_child(child))
    tap.fault(37, n, ends.count(0))
    assert ends == n * [0], ends
    assert trainer.finish().d_sae == 64
    assert trainer.stats["rows"] == n * 256


# --- dictionaries -------------------------------------------------------------


@tap.test("/gst_sae/dictionary/encodes-and-decodes-as-numpy-does")
def _():
    x = rows(300, seed=5)
    dictionary = trained().dictionary
    want = reference.encode(weights(dictionary), x, 4, False)
    indices, values = dictionary.encode(x)
    assert indices.shape == values.shape == (300, 4)
    assert indices.dtype == np.uint32 and values.dtype == np.float32
    assert reference.worst(dictionary.encode_dense(x), want) < TOLERANCE
    offsets, active, strengths = dictionary.encode_rows(x)
    assert offsets[-1] == len(active) == len(strengths)
    x_hat = reference.decode(weights(dictionary), want)
    for got in (
        dictionary.decode(indices, values), dictionary.reconstruct(x),
        dictionary.decode_dense(want), dictionary.decode(indices[:, ::-1], values[:, ::-1]),
    ):
        assert got.shape == x.shape and reference.worst(got, x_hat) < TOLERANCE
    figures = dictionary.measure(x)
    assert abs(figures["fvu"] - launch.fvu(x, x_hat)) < 1e-5 and figures["rows"] == 300


@tap.test("/gst_sae/dictionary/keeps-shapes-and-kinds")
def _():
    dictionary = trained().dictionary
    x = rows(24).reshape(2, 3, 4, 16)
    indices, values = dictionary.encode(x)
    assert indices.shape == (2, 3, 4, 4)
    assert dictionary.decode(indices, values).shape == x.shape
    assert dictionary.encode_dense(x).shape == (2, 3, 4, 64)
    assert dictionary.encode(x[0, 0, 0])[0].shape == (4,)
    assert dictionary.encode(np.zeros((0, 16)))[0].shape == (0, 4)
    need_torch()
    t_indices, t_values = dictionary.encode(torch.from_numpy(x).double())
    assert t_indices.dtype == torch.int64 and t_values.dtype == torch.float32
    assert (t_indices.numpy() == indices).all() and (t_values.numpy() == values).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of read-only memory
        x_hat = dictionary.decode(t_indices, t_values)
    assert isinstance(x_hat, torch.Tensor) and x_hat.shape == x.shape
    x_hat += 1  # is the caller's own
    assert isinstance(dictionary.reconstruct(torch.from_numpy(x).bfloat16()), torch.Tensor)


@tap.test("/gst_sae/dictionary/rules-without-k-are-padded-to-the-longest-row")
def _():
    rng = np.random.default_rng(2)
    W = rng.normal(size=(40, 16)).astype(np.float32)
    dictionary = gst_sae.Dictionary.from_weights(
        W, np.zeros(40), W, np.zeros(16), threshold=np.full(40, 2.0)
    )
    x = rng.normal(size=(50, 16))
    pre = x @ W.T.astype(np.float64)
    want = np.where(pre > 2, pre, 0)
    indices, values = dictionary.encode(x)
    assert dictionary.sparsity == "jump-relu" and (dictionary.threshold == 2).all()
    assert indices.shape[1] == (want > 0).sum(axis=1).max()
    assert reference.worst(dictionary.encode_dense(x), want) < TOLERANCE
    assert reference.worst(dictionary.decode(indices, values), want @ W) < TOLERANCE


@tap.test("/gst_sae/dictionary/rows-that-are-normalised")
def _():
    folder = pathlib.Path(os.environ["SAE_GOLDENS"]) / "saelens-topk-norm-layer_norm"
    dictionary = gst_sae.Dictionary.load(folder)
    assert dictionary.input_norm == "layer-norm"
    x, x_hat = np.load(folder / "x.npy"), np.load(folder / "x_hat.npy")
    assert reference.worst(dictionary.reconstruct(x), x_hat) < 1e-5
    # without the rows it cannot be undone, and that is said
    with raises(gst_sae.Error):
        dictionary.decode(*dictionary.encode(x))


@tap.test("/gst_sae/dictionary/refuses-what-does-not-fit")
def _():
    dictionary = trained().dictionary
    with raises(ValueError, "rows of 16", "(3, 4)"):
        dictionary.encode(np.zeros((3, 4)))
    with raises(ValueError, "below 64", "64"):
        dictionary.decode(np.array([[64]]), np.array([[1.0]]))
    with raises(ValueError, "below 64", "-1"):
        dictionary.decode(np.array([[-1]]), np.array([[1.0]]))
    with raises(TypeError, "integers", "float64"):
        dictionary.decode(np.array([[1.5]]), np.array([[1.0]]))
    with raises(ValueError, "as many indices"):
        dictionary.decode(np.zeros((3, 2), int), np.zeros((3, 3)))
    with raises(gst_sae.Error, "NaN"):
        dictionary.encode(np.full((1, 16), np.nan))
    with raises(gst_sae.Error, "nowhere"):
        gst_sae.Dictionary.load("nowhere")
    with raises(gst_sae.Error, "none"):
        dictionary.save("x", layout="none")


@tap.test("/gst_sae/dictionary/takes-lists-and-no-half-numbers")
def _():
    dictionary = trained().dictionary
    indices, values = dictionary.encode(rows()[:3])
    want = dictionary.decode(indices, values)
    assert np.array_equal(dictionary.decode(indices.tolist(), values.tolist()), want)
    dense = np.zeros((3, 64), np.float32)
    np.put_along_axis(dense, indices.astype(int), values, 1)
    assert np.allclose(dictionary.decode_dense(dense.tolist()), want, atol=1e-5)
    parts = [np.eye(4), np.zeros(4), np.eye(4), np.zeros(4)]
    for kind, more in (
        (TypeError, {"k": 2.5}), (ValueError, {"k": -1}),
        (ValueError, {"k": 2, "threshold": np.ones(4)}),
    ):
        with raises(kind, "expected"):
            gst_sae.Dictionary.from_weights(*parts, **more)


@tap.test("/gst_sae/dictionary/saves-and-loads")
def _():
    with launch.folder() as folder:
        dictionary = trained().dictionary.with_metadata(model_name="m")
        dictionary.save(folder / "a")
        dictionary.save("b", layout="saelens")
        again = gst_sae.Dictionary.load(folder / "a")
        assert same(dictionary, again) and again.metadata["model_name"] == "m"
        assert same(dictionary, gst_sae.Dictionary.load("b"))
        assert again.with_top_k(2).k == 2 and "k=4" in repr(again)


@tap.test("/gst_sae/dictionary/compares")
def _():
    a, b = trained().dictionary, trained(seed=9).dictionary
    here, there = a.compare(b)
    unit_a, unit_b = (
        w / np.linalg.norm(w, axis=1, keepdims=True) for w in (a.W_dec, b.W_dec)
    )
    cosines = unit_a @ unit_b.T
    assert np.abs(here.cosines - cosines.max(axis=1)).max() < TOLERANCE
    assert (there.matches == cosines.argmax(axis=0)).all()


@tap.test("/gst_sae/dictionary/steers")
def _():
    dictionary = trained().dictionary
    if not hasattr(dictionary.model, "steer"):
        raise tap.Skip("this library cannot")
    x = rows(50, seed=7)
    dense = dictionary.encode_dense(x)
    active = int(dense.sum(axis=0).argmax())
    want = x - dense[:, [active]] * dictionary.W_dec[active]
    for edits in f"{active}:*0", {active: 0}, {active: "*0"}:
        assert np.abs(dictionary.steer(x, edits) - want).max() < 1e-5
    with raises(gst_sae.Error):
        dictionary.steer(x, "nonsense")


@tap.test("/gst_sae/dictionary/weights-are-views-that-live-alone")
def _():
    dictionary = trained().dictionary
    W_dec = dictionary.W_dec
    copy = W_dec.copy()
    assert not W_dec.flags.writeable and W_dec.shape == (64, 16)
    del dictionary
    gc.collect()
    assert (W_dec == copy).all()


# --- streams ------------------------------------------------------------------


@tap.test("/gst_sae/stream/codes-of-a-file")
def _():
    with launch.folder():
        dictionary = trained().dictionary
        dictionary.save("out")
        x = rows(1000, seed=6)
        np.save("x.npy", x)
        want = dictionary.encode(x)
        with gst_sae.Stream(
            "saesrc location=x.npy rows-per-buffer=64 rate=100/1 ! saeencoder location=out "
            "codes-format=pairs"
        ) as stream:
            parts = [(i.copy(), v.copy(), t) for t in stream for i, v in [t]]
        assert (np.concatenate([part[0] for part in parts]) == want[0]).all()
        assert (np.concatenate([part[1] for part in parts]) == want[1]).all()
        assert [len(part[0]) for part in parts] == [64] * 15 + [40]
        assert parts[1][2].pts == 640_000_000 and parts[1][2].offset == 64


@tap.test("/gst_sae/stream/rows-in-rows-out")
def _():
    with launch.folder():
        dictionary = trained().dictionary
        dictionary.save("out")
        x = rows(1000, seed=6)
        with gst_sae.Stream(
            "saeencoder location=out ! saedecoder location=out", width=16
        ) as stream:
            for part in np.split(x, [1, 8, 500]):
                stream.push(part)
            stream.end()
            x_hat = np.concatenate([rows for rows, in stream])
        assert (x_hat == dictionary.reconstruct(x)).all()


@tap.test("/gst_sae/stream/takes-and-gives-in-its-with-block-only")
def _():
    x = rows(100)
    stream = gst_sae.Stream("identity", width=16)
    for _ in range(2):
        for use in iter, next, lambda stream: stream.push(x):
            with raises(gst_sae.Error, "with block"):
                use(stream)
        with stream:
            stream.push(x)
            stream.end()
            ((got,),) = list(stream)
        assert (got == x).all()


@tap.test("/gst_sae/stream/takes-nothing-after-its-end")
def _():
    x = rows(100)
    with gst_sae.Stream("identity", width=16) as stream:
        stream.push(x)
        stream.end()
        with raises(gst_sae.Error, "after end()"):
            stream.push(x)
        assert sum(len(got) for (got,) in stream) == 100
    with gst_sae.Stream("identity", width=16) as stream:
        stream.source.element.emit("end-of-stream")
        with raises(gst_sae.Error, "no more rows"):
            stream.push(x)


@tap.test("/gst_sae/stream/arrays-are-views-that-outlive-the-stream")
def _():
    x = rows(100)
    with gst_sae.Stream("identity", width=16) as stream:
        stream.push(x)
        stream.end()
        (got,) = next(stream)
    assert not got.flags.writeable and not got.flags.owndata
    del stream
    gc.collect()
    assert (got == x).all()
    base = got
    while isinstance(base.base, np.ndarray):
        base = base.base
    holder = weakref.ref(base.base)
    assert holder() is not None
    del got, base
    gc.collect()
    assert holder() is None, "the buffer is held for ever"


@tap.test("/gst_sae/stream/flexible-tensors-and-float16")
def _():
    with launch.folder():
        x = rows(100).astype(np.float16)
        np.save("x.npy", x)
        with gst_sae.Stream("saesrc location=x.npy") as stream:
            (got,) = next(stream)
            assert got.dtype == np.float16 and (got == x).all()
        from gst_sae import _memory, stream as module

        for shape in (100, 16), (4, 25, 16):
            sizes = list(reversed(shape)) + [0] * (16 - len(shape))
            head = np.array([0xFEEDCCED, 0xDE001000, 10, *sizes, 1, 4], np.uint32)
            part = np.concatenate([
                np.pad(head.view(np.uint8), (0, 128 - head.nbytes)),
                x.reshape(-1).view(np.uint8),
            ])
            got = module._flexible_tensor(part)
            assert got.shape == shape and (got.reshape(100, 16) == x).all()
            with raises(gst_sae.Error, "3200", "3199"):
                module._flexible_tensor(part[:-1])
        for bad in part[:100], np.zeros(200, np.uint8), np.full(200, 255, np.uint8):
            with raises(gst_sae.Error):
                module._flexible_tensor(bad)
        assert _memory.view_buffer(gst_sae.Gst.Buffer.new()).size == 0


@tap.test("/gst_sae/stream/sparse-codes-are-pairs")
def _():
    folder = pathlib.Path(os.environ["SAE_GOLDENS"]) / "saelens-jumprelu"
    x = np.load(folder / "x.npy")
    want = gst_sae.Dictionary.load(folder).encode(x)
    for form in "auto", "sparse":
        with gst_sae.Stream(
            f"saeencoder location={folder} codes-format={form}", width=48
        ) as stream:
            stream.push(x)
            stream.end()
            ((indices, values),) = list(stream)
        assert (indices == want[0]).all() and (values == want[1]).all()


@tap.test("/gst_sae/stream/sparse-tensors-are-checked")
def _():
    from gst_sae import stream as module

    def tensor(places, n=None, shape=(10, 3), values=None):
        values = np.arange(1, len(places) + 1) if values is None else values
        sizes = [*shape] + [0] * (16 - len(shape))
        n = len(places) if n is None else n
        head = np.array([0xFEEDCCED, 0xDE001000, 7, *sizes, 2, 4, n], np.uint32)
        return np.concatenate([
            np.pad(head.view(np.uint8), (0, 128 - head.nbytes)),
            np.asarray(values, np.float32).view(np.uint8),
            np.asarray(places, np.uint32).view(np.uint8),
        ])

    indices, values = module._sparse_tensor(tensor([3, 29, 5]))  # in any order
    assert indices.tolist() == [[3, 5], [0, 0], [9, 0]], indices
    assert values.tolist() == [[1, 3], [0, 0], [2, 0]], values
    indices, values = module._sparse_tensor(tensor([]))
    assert indices.shape == values.shape == (3, 0)
    for bad in (
        tensor([30]), tensor([1], n=2), tensor([1], n=2**32 - 1), tensor([1])[:-1],
        tensor([1])[:100], tensor([], shape=()), tensor([1], shape=(0, 0)),
        tensor([1], shape=(2**31, 2**31, 2**31)),
    ):
        with raises(gst_sae.Error):
            module._sparse_tensor(bad)


@tap.test("/gst_sae/stream/tensors-in-memories-of-any-cut")
def _():
    from gst_sae import stream as module

    indices = np.arange(24, dtype=np.uint32).reshape(6, 4)
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(6, 4)
    data = indices.tobytes() + values.tobytes()
    # Of 3 rows by the caps, as other elements send a multiple of what they say.
    caps = gst_sae.Gst.Caps.from_string(
        'other/tensors,format=(string)static,num_tensors=(int)2,'
        'types=(string)"uint32,float32",dimensions=(string)"4:3,4:3",framerate=(fraction)0/1'
    )
    for cuts in [96], [], [1, 50, 100], [96, 100]:
        buffer = gst_sae.Gst.Buffer.new()
        for begin, end in zip([0, *cuts], [*cuts, len(data)]):
            buffer = buffer.append(gst_sae.Gst.Buffer.new_wrapped(data[begin:end]))
        sample = gst_sae.Gst.Sample.new(buffer, caps, None, None)
        got = module._tensors(sample)
        assert (got[0] == indices).all() and (got[1] == values).all(), cuts
    sample = gst_sae.Gst.Sample.new(gst_sae.Gst.Buffer.new(), caps, None, None)
    assert [part.shape for part in module._tensors(sample)] == [(0, 4), (0, 4)]
    odd = gst_sae.Gst.Sample.new(gst_sae.Gst.Buffer.new_wrapped(data[:-1]), caps, None, None)
    with raises(gst_sae.Error, "191"):
        module._tensors(odd)


@tap.test("/gst_sae/stream/errors-come-as-exceptions")
def _():
    with raises(gst_sae.Error, "nosuchelement"):
        gst_sae.Stream("nosuchelement")
    with raises(gst_sae.Error, "none.npy"):
        with gst_sae.Stream("saesrc location=none.npy") as stream:
            list(stream)
    with raises(gst_sae.Error, "expected tensors"):
        with gst_sae.Stream("fakesrc num-buffers=1 ! text/plain") as stream:
            list(stream)
    with raises(gst_sae.Error, "nowhere"):
        with gst_sae.Stream("saeencoder location=nowhere", width=16) as stream:
            for _ in range(100):
                stream.push(rows())


tap.main()
