# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples/hugging-face.py with models of transformers that have never learnt
anything and come from no network.

Usage: test-transformers.py PYTHON SOURCE-FOLDER
PYTHON has torch and transformers; PyGObject is lent from the distribution's.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "python"))
import tap  # noqa: E402

python, top = sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))
SYSTEM = "/usr/lib/python3/dist-packages/gi"

MAKE = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModel, GPT2Config, LlamaConfig, PreTrainedTokenizerFast

folder, text = sys.argv[1:]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
tokenizer.train([text], trainers.BpeTrainer(vocab_size=400, special_tokens=["<e>"]))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>")
gpt2 = GPT2Config(vocab_size=400, n_positions=128, n_embd=32, n_layer=3, n_head=2)
llama = LlamaConfig(
    vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=4,
    num_attention_heads=2, max_position_embeddings=128,
)
AutoModel.from_config(gpt2).save_pretrained(f"{folder}/gpt2")
AutoModel.from_config(llama).bfloat16().save_pretrained(f"{folder}/llama")
for kind in "gpt2", "llama":
    tokenizer.save_pretrained(f"{folder}/{kind}")
"""


def run(environment, *command):
    done = subprocess.run(
        [python, *map(str, command)], capture_output=True, text=True,
        env={**os.environ, **environment}, timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lend_gi(folder):
    """A folder for PYTHONPATH with nothing else of the distribution in it."""
    os.mkdir(folder)
    os.symlink(SYSTEM, folder / "gi")
    return {"PYTHONPATH": f"{folder}:{top / 'python'}", "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1"}


with tempfile.TemporaryDirectory(prefix="sae-transformers-") as scratch:
    scratch = pathlib.Path(scratch)
    if not os.path.exists(SYSTEM) or not os.path.exists(python):
        tap.skip_all(f"neither {SYSTEM} nor {python}")
    lent = lend_gi(scratch / "lent")
    check = subprocess.run(
        [python, "-c", "import transformers, torch, tokenizers, gst_sae"],
        capture_output=True, text=True, env={**os.environ, **lent},
    )
    if check.returncode:
        tap.skip_all(f"{python}: {check.stderr.strip().splitlines()[-1]}")

    text = top / "CONTRIBUTING.md"
    run(lent, "-c", MAKE, scratch, text)
    for kind in "gpt2", "llama":

        @tap.test(f"/gst_sae/transformers/{kind}")
        def _(kind=kind):
            said = run(lent, top / "examples/hugging-face.py", scratch / kind, text,
                       scratch / f"{kind}-out", "--dict-size=128", "--top-k=8", "--epochs=2")
            # bfloat16 or float32, they are rows of 32
            config = json.loads((scratch / f"{kind}-out/cfg.json").read_text())
            assert (config["d_in"], config["d_sae"]) == (32, 128), config
            assert config["metadata"]["hook_name"] == f"layers.{1 if kind == 'gpt2' else 2}"
            assert "l0 8.0" in said, said

    tap.main()
