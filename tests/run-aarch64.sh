#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOT'
Usage: tests/run-aarch64.sh [OPTION…] [TEST…]

Builds for aarch64 with Debian's cross compiler and runs tests under qemu-user:
those named, or else all of the kernels' and some of the model's and the
trainer's. A dictionary that is trained there must have the bytes of one that is
trained here. Debian's arm64 libraries are unpacked into the user's cache folder;
nothing of that architecture is installed.

  --no-install     install nothing and download nothing
  --help           this text

Exit status: 0 all passed, 77 cannot run here (it says why), else failed.

Environment:
  BUILD_DIR        where to build (build-tests)
EOT
}

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
build=${BUILD_DIR:-$top/build-tests}
folder=$build/aarch64
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gst-sae
install=yes
# Bit for bit, against PyTorch and against SAELens; not those that would take
# minutes under emulation.
tests=(
  kernels-products kernels-elementwise kernels-gemm kernels-levels
  kernels-screening
  model-decode model-saelens-goldens model-select
  trainer-gradients trainer-goldens trainer-rules
)
training=(
  --data examples/data/heldout.npy --d-sae 512 --epochs 2 --batch 256
)
tools=(aarch64-linux-gnu-gcc qemu-aarch64)
tool_packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
dev_packages=(
  libglib2.0-dev libjansson-dev libopenblas-dev libgstreamer1.0-dev
  libgstreamer-plugins-base1.0-dev
)
# Of all that those depend on, what is linked with and what pkg-config asks
# for (the libraries of GStreamer are not: its elements are not built).
needed='libglib2\.0-(0|0t64|dev)|libpcre2-(8-0|dev)|libffi([0-9]+|-dev)'
needed+='|libsysprof-capture-4-dev|zlib1g(-dev)?|libjansson(4|-dev)'
needed+='|libopenblas(0-pthread|-pthread-dev)|libgfortran5'
needed+='|libgstreamer(1\.0|-plugins-base1\.0)-dev|libunwind-dev|libdw-dev'
needed+='|libelf-dev|liblzma-dev|libzstd-dev'

skip() {
  echo "Not run: $*"
  exit 77
}

# apt-get for arm64 with lists, status and cache of its own: the system's stay
# as they are.
apt_arm64() { # apt_arm64 STATE-FOLDER COMMAND…
  local state=$1
  shift
  apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
    -o Dir::State="$state" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state/cache" -o APT::Install-Recommends=false \
    -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Debug::NoLocking=true "$@" < /dev/null
}

make_sysroot() { # make_sysroot FOLDER
  local work=$1.new packages package
  rm -rf "$work"
  mkdir -p "$work"/{debs,root,state/lists/partial,state/cache/archives/partial}
  : > "$work/state/status"
  echo 'Downloading arm64 libraries (15 MB)'
  apt_arm64 "$work/state" update > "$work/log" 2>&1
  packages=$(apt_arm64 "$work/state" install -y --print-uris \
    "${dev_packages[@]}" 2>> "$work/log" |
    sed -n "s/^'.*' \([^_]*\)_.*/\1/p" | grep -xE "$needed")
  # shellcheck disable=SC2086
  if [ -z "$packages" ] ||
    ! (cd "$work/debs" &&
      apt_arm64 "$work/state" download $packages >> "$work/log" 2>&1); then
    tail -n 5 "$work/log"
    return 1
  fi
  for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$work/root" || return 1
  done
  rm -rf "$1"
  mv "$work/root" "$1"
  rm -rf "$work"
}

# The same training by the builds for both architectures: same bytes?
compare_bytes() {
  local native=$build/plain work status
  work=$(mktemp -d)
  if { [ ! -e "$native/build.ninja" ] && ! meson setup "$native" > "$log" 2>&1; } ||
    ! meson compile -C "$native" sae-bench > "$log" 2>&1; then
    tail -n 60 "$log"
    return 1
  fi
  "$native/tests/bench/sae-bench" "${training[@]}" --save "$work/here" &&
    tests/cross/emulate-aarch64 "$sysroot" \
      "$folder/tests/bench/sae-bench" "${training[@]}" --save "$work/there" &&
    diff -r "$work/here" "$work/there" &&
    echo 'A dictionary trained for both architectures: same bytes'
  status=$?
  rm -rf "$work"
  return $status
}

while [ $# -gt 0 ]; do
  case $1 in
    --no-install) install=no ;;
    --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      exit 2
      ;;
    *) break ;;
  esac
  shift
done
if [ $# -gt 0 ]; then
  tests=("$@")
fi

if [ "$(uname -m)" = aarch64 ]; then
  skip 'this machine is aarch64 itself, its own build covers it'
fi
if [ "$install" = yes ]; then
  bash tests/install-packages.sh "${tool_packages[@]}" ||
    skip "cannot install ${tool_packages[*]}"
fi
for tool in "${tools[@]}"; do
  command -v "$tool" > /dev/null || skip "$tool is not here"
done

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${ID:-linux}-${VERSION_CODENAME:-}")
key=$(printf '%s' "$needed" | cksum | cut -d' ' -f1)
sysroot=$cache/arm64-$release-$key
mkdir -p "$cache" "$build"
exec 9> "$cache/lock-arm64"
command -v flock > /dev/null && flock 9
if [ ! -d "$sysroot" ]; then
  [ "$install" = yes ] || skip "no arm64 libraries in $sysroot"
  command -v dpkg-deb > /dev/null || skip 'arm64 libraries come from Debian'
  make_sysroot "$sysroot" || skip 'cannot download arm64 libraries'
fi
exec 9>&-

printf "[constants]\n%s = '%s'\n%s = '%s'\n" sysroot "$sysroot" \
  cross "$top/tests/cross" > "$folder.ini"
log=$folder.log
setup=(--cross-file "$folder.ini" --cross-file tests/cross/aarch64.ini
  -Dintrospection=disabled)
if [ -e "$folder/build.ninja" ]; then
  setup+=(--reconfigure)
fi
if ! meson setup "${setup[@]}" "$folder" > "$log" 2>&1 ||
  ! meson compile -C "$folder" "${tests[@]/#/test-}" sae-bench \
    >> "$log" 2>&1; then
  tail -n 60 "$log"
  exit 1
fi
grep -E 'warning:' "$log"
compare_bytes || exit 1
meson test -C "$folder" --no-rebuild --print-errorlogs -t 3 "${tests[@]}" \
  < /dev/null || exit 1
