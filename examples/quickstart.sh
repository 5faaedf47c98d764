#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOF'
Usage: examples/quickstart.sh [OPTION…]

Trains a sparse dictionary on real activations of a language model and shows
what it found. Installs what is missing (Debian), builds, trains and encodes
with gst-launch-1.0, and draws a picture.

  --no-install     install nothing
  --build-dir DIR  use what has been built in DIR, and build nothing
  --data DIR       train.npy, heldout.npy and their _tokens.txt
                   (examples/data; make-activations.py makes others)
  --out DIR        where the results go (out)
  --quick          train for seconds only: a check, not a result
  --help           this text

Environment:
  BUILD_DIR        where to build (build-quickstart, in the sources)
EOF
}

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
build=${BUILD_DIR:-$top/build-quickstart}
data=$here/data
out=out
install=yes
is_built=no
# The text is little: held-out fvu gets no better with more latents or passes.
dict_size=4096
top_k=32
batch_size=256
epochs=24

need_value() { # need_value OPTION COUNT: COUNT arguments are left
  if [ "$2" -lt 2 ]; then
    echo "$1: expected a value, got nothing" >&2
    exit 2
  fi
}

while [ $# -gt 0 ]; do
  case $1 in
    --no-install) install=no ;;
    --quick)
      dict_size=2048
      epochs=1
      ;;
    --build-dir)
      need_value "$1" $#
      build=$2
      is_built=yes
      shift
      ;;
    --data)
      need_value "$1" $#
      data=$2
      shift
      ;;
    --out)
      need_value "$1" $#
      out=$2
      shift
      ;;
    --help)
      usage
      exit 0
      ;;
    *)
      echo "Unknown option: $1" >&2
      usage >&2
      exit 2
      ;;
  esac
  shift
done

for file in train.npy heldout.npy train_tokens.txt heldout_tokens.txt; do
  if [ ! -e "$data/$file" ]; then
    echo "$data/$file: expected a file, there is none" >&2
    exit 1
  fi
done

say() {
  printf '\n== %s\n' "$*"
}

# What is run is shown; on stderr, for stdout may go to another program.
run() {
  { printf '$' && printf ' %s' "$@" && printf '\n'; } >&2
  "$@"
}

packages=(
  gcc libc6-dev meson ninja-build pkg-config
  libglib2.0-dev libgstreamer1.0-dev libjansson-dev libopenblas-dev
  gstreamer1.0-tools
  python3 python3-numpy python3-matplotlib fonts-lato
)

install_packages() {
  local package missing=() as_root=()
  if ! command -v apt-get > /dev/null; then
    echo 'No apt-get here. Needed is what these packages of Debian hold:'
    echo "  ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2> /dev/null |
      grep -qx installed || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    echo 'Nothing is missing.'
    return
  fi
  echo "Installing: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || {
      echo 'This needs root or sudo.' >&2
      exit 1
    }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q < /dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
    --no-install-recommends "${packages[@]}" < /dev/null
}

# Debian's Python has Debian's numpy; another one on PATH may have none.
find_python() {
  local candidate
  for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import numpy, matplotlib' 2> /dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo 'No python3 with numpy and matplotlib (Debian: python3-numpy' \
    'python3-matplotlib)' >&2
  exit 1
}

build_plugin() {
  if [ ! -e "$build/build.ninja" ]; then
    meson setup "$build" "$top" --buildtype=release -Dtests=false \
      -Dintrospection=disabled
  fi
  ninja -C "$build"
}

train() {
  local rows
  rows=$("$python" -c 'import numpy, sys
print(len(numpy.load(sys.argv[1], mmap_mode="r")))' "$data/train.npy")
  # Half a second apart, for a live line and a smooth curve.
  run gst-launch-1.0 -m saesrc "location=$data/train.npy" "epochs=$epochs" \
    shuffle=true ! saetrainer "dict-size=$dict_size" "top-k=$top_k" \
    "batch-size=$batch_size" "location=$out/dictionary" \
    stats-interval=500000000 ! fakesink |
    "$python" "$here/quickstart/progress.py" --log "$out/history.jsonl" \
      --rows $((rows * epochs))
}

# encode NAME: the k latents of each row, index and value, as arrays of numpy.
encode() {
  run gst-launch-1.0 -q saesrc "location=$data/$1.npy" ! \
    saeencoder "location=$out/dictionary" codes-format=pairs ! \
    tee name=codes \
    codes. ! queue ! saenpyenc tensor=0 ! \
    filesink "location=$out/$1_indices.npy" \
    codes. ! queue ! saenpyenc tensor=1 ! \
    filesink "location=$out/$1_values.npy"
}

# reconstruct NAME: the rows as the dictionary sees them.
reconstruct() {
  run gst-launch-1.0 -q saesrc "location=$data/$1.npy" ! \
    saeencoder "location=$out/dictionary" ! \
    saedecoder "location=$out/dictionary" ! \
    saenpyenc ! filesink "location=$out/$1_reconstruction.npy"
}

if [ $install = yes ]; then
  say 'Install'
  install_packages
fi
python=$(find_python)

if [ $is_built = no ]; then
  say "Build in $build"
  build_plugin
fi
plugins=${GST_PLUGIN_PATH_1_0:-${GST_PLUGIN_PATH:-}}
export GST_PLUGIN_PATH_1_0=$build/plugin${plugins:+:$plugins}
# Of its own, so that the one of the desktop does not learn of this folder.
registry=${GST_REGISTRY_1_0:-${GST_REGISTRY:-$build/quickstart-registry.bin}}
export GST_REGISTRY_1_0=$registry
export MPLCONFIGDIR=$build/matplotlib

mkdir -p "$out"
say 'Train'
train
say 'Encode'
encode train
encode heldout
reconstruct heldout

say 'What it found'
"$python" "$here/quickstart/report.py" --data "$data" --out "$out" \
  --pipeline "gst-launch-1.0 saesrc location=train.npy epochs=$epochs \
shuffle=true ! saetrainer dict-size=$dict_size top-k=$top_k \
batch-size=$batch_size location=dictionary ! fakesink"
