#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same training by this library and by PyTorch, in turns, best of N; prints
a table for the README.

  compare.py BUILD-FOLDER [--data NPY --held-out NPY] [--d-sae N] [--repeat N]

Runs sae-bench of the build folder, and bench-pytorch.py in the Python that
tests/peers/prepare-python.sh made (SAE_PEERS_PYTHON names another).
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
data = here.parent.parent / "examples" / "data"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--data", default=data / "train.npy")
    parser.add_argument("--held-out", default=data / "heldout.npy")
    parser.add_argument("--d-sae", type=int, default=6144)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--learning-rate", type=float,
        help="the same for all; by default the library's, 2e-3 at 6,144 "
        "latents and falling with the root of their number",
    )
    return parser.parse_args()


def find_python():
    named = os.environ.get("SAE_PEERS_PYTHON")
    if named:
        return named
    script = here.parent / "peers" / "prepare-python.sh"
    found = subprocess.run(
        ["bash", script, "--path"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not pathlib.Path(found).exists():
        sys.exit(f"No Python with PyTorch; run {script} first")
    return found


def shared_arguments(options):
    rate = options.learning_rate or 1.25e-3 * (6144 / options.d_sae) ** 0.25
    settings = {
        "data": options.data, "held-out": options.held_out,
        "d-sae": options.d_sae, "k": options.k, "batch": options.batch,
        "epochs": options.epochs, "threads": options.threads,
        "learning-rate": rate,
    }
    return [f"--{name}={value}" for name, value in settings.items()]


def contenders(options):
    ours = options.build / "tests" / "bench" / "sae-bench"
    theirs = [find_python(), here / "bench-pytorch.py"]
    return {
        "gst-sae": [ours],
        "PyTorch, dense": [*theirs, "--way=dense"],
        "PyTorch, gathered rows, fused Adam": [
            *theirs, "--way=gather", "--fused"
        ],
    }


def run(command):
    result = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, text=True,
        check=True,
    )
    return json.loads(result.stdout)


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"


def print_table(options, runs):
    best = {
        name: max(results, key=lambda r: r["rows_per_second"])
        for name, results in runs.items()
    }
    ours = best["gst-sae"]["rows_per_second"]
    threads = options.threads or len(os.sched_getaffinity(0))
    any_run = best["gst-sae"]
    print(
        f"\nTop-k {options.k}, {any_run['d_in']} → {options.d_sae}, batches "
        f"of {options.batch}, {options.epochs} passes over "
        f"{any_run['rows']:,} rows, {threads} threads of a {cpu_name()}; "
        f"best of {options.repeat} in turns.\n"
    )
    print("| training step by | rows/s | slowest | held-out fvu | ratio |")
    print("|---|---|---|---|---|")
    for name, result in best.items():
        rate = result["rows_per_second"]
        slowest = min(r["rows_per_second"] for r in runs[name])
        print(
            f"| {name} | {rate:,.0f} | {slowest:,.0f} | "
            f"{result['held_out_fvu']:.3f} | {ours / rate:.1f}× |"
        )


def main():
    options = parse_arguments()
    arguments = shared_arguments(options)
    commands = contenders(options)
    runs = {name: [] for name in commands}
    for turn in range(options.repeat):
        for name, command in commands.items():
            result = run(command + arguments)
            runs[name].append(result)
            print(
                f"{turn + 1}/{options.repeat} {name}: "
                f"{result['rows_per_second']:,.0f} rows/s, held-out fvu "
                f"{result['held_out_fvu']:.4f}",
                file=sys.stderr,
            )
    print_table(options, runs)


if __name__ == "__main__":
    main()
