#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Usage: run-libraries.sh SCRIPT [ARGUMENT…]
# Runs a test in the Python that has sparsify and dictionary_learning too, or
# skips it in TAP.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$(bash "$here/../bench/prepare-libraries.sh" --path)

if ! [ -e "$(dirname "$python")/../complete" ]; then
  echo "1..0 # SKIP no Python with sparsify and dictionary_learning; make one" \
    "with tests/bench/prepare-libraries.sh"
  exit 0
fi
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1
exec "$python" "$@"
