#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Usage: run-python.sh SCRIPT [ARGUMENT…]
# Runs a test in the Python that has PyTorch and SAELens, or skips it in TAP.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${SAE_PEERS_PYTHON:-$(bash "$here/prepare-python.sh" --path)}

if ! command -v "$python" > /dev/null; then
  echo "1..0 # SKIP no Python with PyTorch and SAELens; make one with" \
    "tests/peers/prepare-python.sh"
  exit 0
fi
if ! reason=$("$python" -c 'import torch, sae_lens' 2>&1); then
  echo "1..0 # SKIP $python: ${reason##*$'\n'}"
  exit 0
fi
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1
exec "$python" "$@"
