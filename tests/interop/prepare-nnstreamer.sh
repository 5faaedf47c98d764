#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# prepare-nnstreamer.sh SOURCES | --prefix
#
# NNStreamer is in no Debian. Builds its elements from SOURCES (a checkout of
# https://github.com/nnstreamer/nnstreamer; 2.7.0 is known to do)
# into the cache folder, with no neural network framework, for
# test-nnstreamer.py, which looks there. --prefix only prints where.
set -euo pipefail
prefix=${XDG_CACHE_HOME:-$HOME/.cache}/gst-sae/nnstreamer/prefix
if [ "${1:-}" = --prefix ]; then
  echo "$prefix"
  exit 0
fi
sources=${1:?the sources of NNStreamer}
build=$(dirname "$prefix")/build

# With float16 its build asks for instructions that few processors have.
[ -e "$build/build.ninja" ] || meson setup "$build" "$sources" \
  --prefix="$prefix" -Dauto_features=disabled -Dwerror=false \
  -Dvideo-support=enabled -Daudio-support=disabled -Denable-float16=false \
  -Denable-test=false -Denable-nnstreamer-check=false \
  -Denable-pbtxt-converter=false -Denable-cppfilter=false \
  -Denable-filter-cpp-class=false -Denable-symbolic-link=false
ninja -C "$build"
ninja -C "$build" install
