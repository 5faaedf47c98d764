#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes a Python with the libraries of libraries.txt on top of the one that
# tests/peers/prepare-python.sh makes, in the same cache folder, for the
# benchmarks that compare with them. A second run finds it there.
#
# Usage: prepare-libraries.sh [--path]
#   --path   only prints where that Python is or would be
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers=${SAE_PEERS_PYTHON:-$(bash "$here/../peers/prepare-python.sh" --path)}
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gst-sae
key=$({
  cat "$here/libraries.txt"
  echo "$peers"
} | sha256sum | cut -c1-12)
venv=$cache/libraries-$key

if [ "${1-}" = --path ]; then
  echo "$venv/bin/python"
  exit 0
fi

mkdir -p "$cache"
exec 9> "$cache/libraries-lock"
flock 9
if [ -e "$venv/complete" ]; then
  echo "Found in $venv"
  exit 0
fi
if ! [ -x "$peers" ]; then
  bash "$here/../peers/prepare-python.sh" || exit 1
fi
echo "Installing $(grep -c '^[a-z]' "$here/libraries.txt") libraries in $venv"
rm -rf "$venv"
# What the peers have is seen through a path file, not copied.
if ! "$peers" -m venv "$venv" ||
  ! "$peers" -c 'import site; print(site.getsitepackages()[0])' \
    > "$(echo "$venv"/lib/python3*/site-packages)/peers.pth" ||
  ! "$venv/bin/python" -m pip --disable-pip-version-check install --no-deps \
    -r "$here/libraries.txt" < /dev/null > "$venv/pip.log" 2>&1 ||
  ! "$venv/bin/python" -c 'import sparsify' > /dev/null 2>> "$venv/pip.log"
then
  tail -n 5 "$venv/pip.log"
  rm -rf "$venv"
  exit 1
fi
touch "$venv/complete"
echo "Ready in $venv"
