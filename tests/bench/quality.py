#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How good the dictionaries are that the defaults train, by the library and by
gst-launch-1.0. Prints a table; the figures in docs/training.md are from here.

  quality.py BUILD [--data DIR] [--synthetic DIR] [--run NAME,…]
             [--seeds 0,1,2] [--through library|launch|both] [--peers]
             [--json FILE]

--data holds train.npy and heldout.npy, [rows, d_in]: examples/data unless
another is named, a sample of what the wanted figures are for. Where train.npy
has fewer than those 131,072 rows, the latents are fewer too, by a power of 2.
The runs, with the n rows of train.npy:

  full            8 shuffled passes, 8 n rows; d_sae 6,144, k 32
  short           a run of a fifth of those rows
  unknown-length  as full, but the trainer is not told how long it will be
  wide            as full, d_sae 24,576
  file-order      as full, but in the order of the file
  mixed           the same through shuffle-rows=65536
  l1              as full, sparsity=l1 steered to 30 latents in training, which is some
                  more on other rows
  synthetic       once the rows of --synthetic, a folder that
                  make-synthetic.py wrote; d_sae 2,048, k 20

fvu is that of heldout.npy about its mean; dead is the share of latents that
fire on no row of train.npy; cosine the mean over true directions of the best
|cosine| of a decoder row, above the share of directions where it is over 0.9.
rows/s is of the training alone by the library and by the peers, of the whole
program by gst-launch-1.0. --peers adds what SAELens makes of l1 and sparsify
of synthetic, on the same rows in the same order (quality-peers.py says in
which Python; SAE_PEERS_PYTHON names it).

Needs numpy and gi (Debian: python3-numpy, python3-gi).
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import compare
import rows

here = pathlib.Path(__file__).resolve().parent
PASSES = 8
# The wanted figures are for as many rows.
FULL_ROWS = 131072


@dataclasses.dataclass(frozen=True)
class Run:
    d_sae: int = 6144
    k: int = 32
    # Of all passes, how much is trained on.
    share: float = 1
    told: bool = True
    shuffle: bool = True
    # Of the trainer, besides sizes, seed and length.
    properties: dict = dataclasses.field(default_factory=dict)
    # Bounds of measures.
    wanted: dict = dataclasses.field(default_factory=dict)
    # fvu is wanted to be at most that of another run, or of a peer, times a
    # factor.
    like: tuple = None


RUNS = {
    "full": Run(
        wanted={"fvu": (0, 0.128), "dead": (0, 0.01), "l0": (31.9, 32)}
    ),
    "short": Run(share=1 / 5, wanted={"fvu": (0, 0.1835)}),
    "unknown-length": Run(told=False, wanted={"fvu": (0, 0.135)}),
    "wide": Run(d_sae=24576, wanted={"dead": (0, 0.05)}),
    "file-order": Run(shuffle=False),
    "mixed": Run(
        shuffle=False, properties={"shuffle-rows": 65536}, like=("full", 1.01)
    ),
    "l1": Run(
        properties={"sparsity": "l1", "target-l0": 30},
        wanted={"l0": (30, 34)},
        like=("saelens", 1),
    ),
    "synthetic": Run(
        d_sae=2048, k=20, shuffle=False, wanted={"cosine": (0.78, 1)}
    ),
}

# SAELens' coefficients are for an l0 of 30 to 34 on the full data, elsewhere
# it will be another; `quality-peers.py saelens --target-l0=32` finds them.
PEERS = {
    "l1": (
        "saelens",
        ["--learning-rate=3e-4", "--l1-coefficient=1.9"],
        ["--learning-rate=1e-3", "--l1-coefficient=1.9"],
    ),
    "synthetic": ("sparsify", ["--learning-rate=1e-3"]),
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument(
        "--data", type=pathlib.Path,
        default=here.parent.parent / "examples" / "data",
    )
    parser.add_argument("--synthetic", type=pathlib.Path)
    parser.add_argument("--run", help="by default all for which there is data")
    parser.add_argument("--seeds", default="0")
    parser.add_argument(
        "--through", choices=("library", "launch", "both"), default="library"
    )
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--threads", type=int, default=0, help="0 for all")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PROPERTY=VALUE",
        help="of the trainer, in every run",
    )
    parser.add_argument(
        "--scale", type=float, default=1,
        help="of the rows and the latents of every run, for a trial",
    )
    parser.add_argument("--json", type=pathlib.Path, help="a list of all runs")
    return parser.parse_args()


def enter_build(build):
    """Starts this program anew with the paths of the build folder, which the
    loader of libraries reads at the start only."""
    build = str(build.resolve())
    if os.environ.get("SAE_QUALITY_BUILD") == build:
        return
    plugins = [f"{build}/plugin", os.environ.get("GST_PLUGIN_PATH_1_0")]
    os.environ.update(
        SAE_QUALITY_BUILD=build,
        GI_TYPELIB_PATH=f"{build}/src",
        LD_LIBRARY_PATH=f"{build}/src",
        GST_PLUGIN_PATH_1_0=":".join(filter(None, plugins)),
    )
    os.environ.setdefault("GST_REGISTRY_1_0", f"{build}/quality-registry.bin")
    os.execv(sys.executable, [sys.executable, *sys.argv])


def open_run(name, options):
    """The run with its sizes, and its stream."""
    import contenders

    run, scale = RUNS[name], options.scale
    path, passes = options.data / "train.npy", PASSES
    if name == "synthetic":
        path, passes = options.synthetic / "shards", 1
    stream = contenders.Stream(path, passes, run.share * scale, run.shuffle)
    if name != "synthetic":
        size = math.log2(len(stream.x) / FULL_ROWS)
        scale *= 2 ** min(math.ceil(size), 0)
    latents = max(int(run.d_sae * scale), run.k)
    return dataclasses.replace(run, d_sae=latents), stream


def measure_ours(name, folder, stream, options):
    import contenders

    if name == "synthetic":
        directions = np.load(options.synthetic / "directions.npy")
        return contenders.measure_recovery(folder, directions)
    held_out = rows.load(options.data / "heldout.npy")
    return contenders.measure_quality(folder, held_out, stream.x)


def run_ours(name, through, seed, options):
    import contenders

    run, stream = open_run(name, options)
    properties = run.properties | dict(s.split("=", 1) for s in options.set)
    if options.threads:
        properties["n-threads"] = options.threads
    result = {
        "run": name, "by": through, "seed": seed, "rows": stream.total,
        "d_sae": run.d_sae,
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "dictionary"
        try:
            result["rows_per_second"] = contenders.TRAINERS[through](
                run, stream, seed, properties, folder
            )
        except (LookupError, RuntimeError) as error:
            return result | {"failed": str(error)}
        return result | measure_ours(name, folder, stream, options)


def run_peer(name, arguments, options):
    run, stream = open_run(name, options)
    library, *_ = PEERS[name]
    words = [
        compare.find_python(), here / "quality-peers.py", library, *arguments,
        f"--rows={stream.total}", f"--d-sae={run.d_sae}", f"--k={run.k}",
        f"--threads={options.threads or len(os.sched_getaffinity(0))}",
    ]
    if name == "synthetic":
        words.append(f"--synthetic={options.synthetic}")
    else:
        words.append(f"--data={options.data}")
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True
    )
    result = {"run": name, "by": " ".join([library, *arguments])}
    if done.returncode != 0:
        return result | {"failed": done.stderr.strip().splitlines()[-1]}
    return result | json.loads(done.stdout.splitlines()[-1])


# --- the table ---


def is_full(options):
    length = len(rows.load(options.data / "train.npy"))
    return options.scale == 1 and length == FULL_ROWS


def missed(result, results):
    """What is wanted of a run and was not reached, as text."""
    run = RUNS[result["run"]]
    for measure, (least, most) in run.wanted.items():
        if not least <= result[measure] <= most:
            yield f"{measure} of {least:g} to {most:g}"
    if run.like:
        others = [r["fvu"] for r in results if is_like(r, result, run.like[0])]
        most = min(others, default=math.inf) * run.like[1]
        if result["fvu"] > most:
            yield f"fvu of at most {most:.4f}, as {run.like[0]}"


def is_like(other, result, name):
    """Whether a result is the other that its run names: one of our own with
    its seed, or the same run by a peer, at an l0 as wanted."""
    if "failed" in other:
        return False
    if name in RUNS:
        same = all(other.get(key) == result[key] for key in ("by", "seed"))
        return other["run"] == name and same
    least, most = RUNS[result["run"]].wanted["l0"]
    is_peer = other["by"].startswith(name) and other["run"] == result["run"]
    return is_peer and least <= other["l0"] <= most


def describe(result, results, wants):
    if "failed" in result:
        return ["", "", "", "", result["failed"].splitlines()[0]]
    if "cosine" in result:
        found = [
            f"cosine {result['cosine']:.3f}", "",
            f"above {result['above']:.1%}",
        ]
    else:
        found = [
            f"{result['fvu']:.4f}", f"{result['l0']:.1f}",
            f"{result['dead']:.2%}",
        ]
    is_ours = result["by"] in ("library", "launch")
    text = ""
    if wants and is_ours:
        misses = list(missed(result, results))
        text = "missed: " + ", ".join(misses) if misses else "as wanted"
    return [*found, f"{result['rows_per_second']:,.0f}", text]


def print_table(results, wants):
    processors = len(os.sched_getaffinity(0))
    print(f"\n{compare.cpu_name()}, {processors} processors\n")
    print("| run | by | seed | rows | held-out fvu | l0 | dead | rows/s | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        start = [
            result["run"], result["by"], str(result.get("seed", "")),
            f"{result.get('rows', 0):,}",
        ]
        cells = [*start, *describe(result, results, wants)]
        print("| " + " | ".join(cells) + " |")


def plan(options):
    """(function, arguments) of every run."""
    names = options.run.split(",") if options.run else list(RUNS)
    if not options.run and not options.synthetic:
        names.remove("synthetic")
    ways = ["library", "launch"]
    if options.through != "both":
        ways = [options.through]
    for name in names:
        for through in ways:
            for seed in options.seeds.split(","):
                yield run_ours, (name, through, int(seed), options)
        if options.peers and name in PEERS:
            for arguments in PEERS[name][1:]:
                yield run_peer, (name, arguments, options)


def check(options):
    names = options.run.split(",") if options.run else []
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        sys.exit(f"--run: expected some of {', '.join(RUNS)}, got {unknown[0]}")
    if "synthetic" in names and not options.synthetic:
        sys.exit("synthetic: expected --synthetic DIR of make-synthetic.py")


def main():
    options = parse_arguments()
    check(options)
    enter_build(options.build)
    results = []
    for function, arguments in plan(options):
        results.append(function(*arguments))
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
        # After each, for a run takes minutes and all of them hours.
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    print_table(results, is_full(options))


if __name__ == "__main__":
    main()
