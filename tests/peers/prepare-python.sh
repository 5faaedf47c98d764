#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes a Python with PyTorch (CPU) and SAELens in the user's cache folder, for
# the tests against them, or says why it cannot. A second run finds it there.
#
# Usage: prepare-python.sh [--path]
#   --path   only prints where that Python is or would be
#
# SAE_TORCH_REQUIREMENT is what pip is told to install as PyTorch; by default
# a fixed version. Where that would be a build with CUDA (gigabytes that no
# test uses) nothing is installed: name a CPU build there, such as
#   SAE_TORCH_REQUIREMENT='torch --index-url URL-OF-A-CPU-INDEX'
# or set it to "cuda" to take the default all the same.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
torch=${SAE_TORCH_REQUIREMENT:-torch==2.13.0}
allow_cuda=no
if [ "$torch" = cuda ]; then
  torch=torch==2.13.0
  allow_cuda=yes
fi
base_python=$(command -v /usr/bin/python3 || command -v python3)

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gst-sae
key=$({
  cat "$here/requirements.txt"
  echo "$torch"
  "$base_python" --version
} | sha256sum | cut -c1-12)
venv=$cache/peers-$key

if [ "${1-}" = --path ]; then
  echo "$venv/bin/python"
  exit 0
fi

give_up() {
  echo "The tests against PyTorch and SAELens will be skipped: $*"
  rm -rf "$venv"
  exit 1
}

pip_install() {
  "$venv/bin/python" -m pip --disable-pip-version-check install \
    --retries 2 --timeout 20 "$@" < /dev/null > "$venv/pip.log" 2>&1
}

# What pip would fetch for PyTorch, one name a line.
list_torch() {
  # shellcheck disable=SC2086 # a requirement may bring its own options
  pip_install --dry-run --quiet --report "$venv/plan.json" $torch &&
    "$venv/bin/python" - "$venv/plan.json" <<'PY'
import json
import sys

for entry in json.load(open(sys.argv[1]))["install"]:
    print(entry["metadata"]["name"])
PY
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
if [ -e "$venv/complete" ]; then
  echo "Found in $venv"
  exit 0
fi
rm -rf "$venv"
"$base_python" -m venv "$venv" > /dev/null || give_up 'no venv module'
if ! plan=$(list_torch); then
  tail -n 3 "$venv/pip.log"
  give_up "pip cannot find $torch (is the package index reachable?)"
fi
if [ "$allow_cuda" = no ] && grep -q '^nvidia-' <<< "$plan"; then
  give_up "here $torch is a CUDA build; see the top of $0"
fi
echo "Installing $torch and SAELens in $venv (a few minutes, 2 GB)"
# shellcheck disable=SC2086
if ! pip_install $torch || ! pip_install -r "$here/requirements.txt" ||
  ! "$venv/bin/python" -c 'import torch, sae_lens' 2>> "$venv/pip.log"; then
  tail -n 5 "$venv/pip.log"
  give_up 'the installation failed'
fi
touch "$venv/complete"
echo "Ready in $venv"
