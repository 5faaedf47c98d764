# SPDX-License-Identifier: LGPL-2.1-or-later
"""That the other side of the benchmarks of speed does what it says. Libraries
that this Python does not have (prepare-libraries.sh makes one that has them)
are skipped.

Usage: test-bench.py SOURCE-FOLDER SAE-BENCH
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
import tap  # noqa: E402

source = pathlib.Path(sys.argv.pop(1))
sae_bench = sys.argv.pop(1)
data = source / "examples" / "data"
script = source / "tests" / "bench" / "performance-peers.py"

# What each is imported as.
MODULES = {
    "pytorch-dense": "torch", "pytorch-gather": "torch", "saelens": "sae_lens",
    "sparsify": "sparsify", "dictionary-learning": "dictionary_learning",
}


def run(*command):
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@tap.test("/peers/bench/pytorch-encodes-with-a-dictionary-of-ours")
def _():
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "dictionary"
        run(sae_bench, f"--data={data / 'heldout.npy'}", "--d-sae=256", "--k=8",
            "--train-rows=9000", f"--save={folder}")
        got = run(sys.executable, script, "encode", "--by=pytorch",
                  f"--data={data / 'heldout.npy'}", f"--model={folder}",
                  "--rows=512", "--batch=256", "--repeat=2", "--threads=1")
    sizes = {"d_in": 384, "d_sae": 256, "k": 8, "rows": 512, "threads": 1}
    assert {name: got[name] for name in sizes} == sizes, got
    assert len(got["seconds"]) == 2 and min(got["seconds"]) > 0, got


def add_test(name, module):
    @tap.test(f"/peers/bench/{name}-learns")
    def _():
        if importlib.util.find_spec(module) is None:
            raise tap.Skip(f"no {module}")
        got = run(
            sys.executable, script, "train", f"--by={name}",
            f"--data={data / 'train.npy'}",
            f"--held-out={data / 'heldout.npy'}", "--d-sae=256", "--k=16",
            "--batch=256", "--train-rows=10240", "--threads=1",
        )
        assert got["train_rows"] == 10240 and got["steps"] == 40, got
        assert got["held_out_fvu"] < 0.8, got
        assert got["held_out_l0"] <= 16.001, got


for name, module in MODULES.items():
    add_test(name, module)
tap.main()
