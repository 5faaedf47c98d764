#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOT'
Usage: tests/packaging.sh [OPTION…] [SUITE…]

Builds the Debian packages in a clean Debian of each SUITE (bookworm, trixie),
and uses them in another one that has seen nothing but them: the plugin and its
cache, a training, the typelib, a C program. Slow, and needs root, mmdebstrap
and deb.debian.org; what it downloads is kept in the cache folder.

  --fast   only whether debian/*.install have all that meson installs, once
  --check  run the tests of the project while building, as a build server does
  --help   this text

Environment:
  BUILD_DIR  a build folder, for --fast (build)
  OUT        where the packages go (build-packages/SUITE)
EOT
}

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gst-sae/chroots
suites=()
fast=no
build_options=nocheck

for option; do
  case $option in
    --fast) fast=yes ;;
    --check) build_options= ;;
    --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      exit 2
      ;;
    *) suites+=("$option") ;;
  esac
done

if [ "$fast" = yes ]; then
  exec python3 "$top/tests/install/test-debian.py" "$top" \
    "${BUILD_DIR:-$top/build}"
fi
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)

if [ "$(id -u)" -ne 0 ] || ! command -v mmdebstrap > /dev/null; then
  echo 'Not run: root and mmdebstrap are needed.'
  exit 77
fi

say() {
  printf '\n== %s\n' "$*"
}

# Mounts of its own, which end with it. Where none may be made, most works.
in_tree() { # in_tree TREE COMMAND…
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    DEBIAN_FRONTEND=noninteractive DEB_BUILD_OPTIONS="$build_options parallel=2" \
    unshare --mount bash -c '
      mount -t proc proc "$1/proc"
      mount --rbind /dev "$1/dev"
      mount --bind "$0" "$1/var/cache/apt/archives"
      exec chroot "$@"' "$cache/archives-$suite" "$@" < /dev/null
}

# A Debian of nothing but apt and what it needs.
unpack_base() { # unpack_base TREE
  local tar=$cache/$suite-base.tar.gz
  if [ ! -e "$tar" ]; then
    say "A base of $suite"
    mmdebstrap --quiet --variant=apt --mode=root --include=ca-certificates \
      "$suite" "$tar.new.tar.gz" http://deb.debian.org/debian
    mv "$tar.new.tar.gz" "$tar"
  fi
  rm -rf "$1.new" "$1"
  mkdir -p "$1.new"
  tar -xzf "$tar" -C "$1.new"
  # apt would delete what is to be kept.
  rm -f "$1.new/etc/apt/apt.conf.d/docker-clean"
  cp /etc/resolv.conf "$1.new/etc/resolv.conf"
  mv "$1.new" "$1"
}

install_packages() { # install_packages TREE PACKAGE…
  local tree=$1
  shift
  in_tree "$tree" apt-get install -q -y --no-install-recommends "$@" \
    > "$cache/$suite-apt.log" 2>&1 || {
    tail -n 30 "$cache/$suite-apt.log"
    return 1
  }
}

# The sources as they lie here, also what is not committed.
copy_sources() { # copy_sources TREE
  rm -rf "$1/build"
  mkdir -p "$1/build/gst-sae"
  (cd "$top" && git ls-files -z --cached --others --exclude-standard |
    xargs -0 ls -d 2> /dev/null | tar -c --files-from=- --owner=0 --group=0) |
    tar -x -C "$1/build/gst-sae"
}

build_packages() {
  local tree=$cache/$suite-build
  [ -e "$tree" ] || unpack_base "$tree"
  say "Build dependencies, $suite"
  copy_sources "$tree"
  in_tree "$tree" apt-get update -q > /dev/null
  install_packages "$tree" build-essential lintian
  in_tree "$tree" apt-get build-dep -q -y --no-install-recommends \
    /build/gst-sae > "$cache/$suite-apt.log" 2>&1 || {
    tail -n 30 "$cache/$suite-apt.log"
    return 1
  }
  say "Building, $suite"
  in_tree "$tree" sh -c 'cd /build/gst-sae && exec dpkg-buildpackage -us -uc -b' \
    > "$out/build.log" 2>&1 || {
    tail -n 60 "$out/build.log"
    return 1
  }
  # Not those of debhelper, whose versions want different things.
  if grep -E ':[0-9]+(:[0-9]+)?: [Ww]arning:|WARNING:' "$out/build.log"; then
    echo "$suite: the build has warnings"
    return 1
  fi
  find "$tree/build" -maxdepth 1 -type f -exec cp -t "$out" {} +
  say "lintian, $suite"
  in_tree "$tree" sh -c 'lintian --allow-root --fail-on error,warning \
    --display-info --suppress-tags bad-distribution-in-changes-file \
    /build/*.changes'
}

# As seen from within the tree.
list_debs() { # list_debs TREE PACKAGE…
  local tree=$1 package
  shift
  for package; do
    (cd "$tree" && find packages -name "${package}_*.deb" -printf '/%p\n')
  done
}

use_packages() {
  local tree=$cache/$suite-clean debs
  unpack_base "$tree"
  say "Installing, $suite"
  mkdir "$tree/packages"
  find "$out" -name '*.deb' ! -name '*-dbgsym_*' -exec cp -t "$tree/packages" {} +
  in_tree "$tree" apt-get update -q > /dev/null
  # The plugin alone brings what it needs.
  mapfile -t debs < <(list_debs "$tree" gstreamer1.0-sae libsae-1.0-0)
  install_packages "$tree" "${debs[@]}" gstreamer1.0-tools
  copy_sources "$tree"
  say "The plugin, $suite"
  run_smoke pipeline
  mapfile -t debs < <(list_debs "$tree" '*')
  install_packages "$tree" gcc libc6-dev pkgconf python3-gi python3-numpy \
    "${debs[@]}"
  say "The library, $suite"
  run_smoke build
  run_smoke python
  say "Removing, $suite"
  in_tree "$tree" apt-get purge -q -y 'libsae-1.0-0' > /dev/null
  rm -rf "$tree"
}

run_smoke() { # run_smoke TEST: one of debian/tests
  if in_tree "$cache/$suite-clean" sh -c \
    'cd /build/gst-sae && AUTOPKGTEST_TMP=$(mktemp -d) sh "debian/tests/$0"' \
    "$1"; then
    echo "ok $suite $1"
  else
    echo "not ok $suite $1"
    return 1
  fi
}

mkdir -p "$cache"
for suite in "${suites[@]}"; do
  out=${OUT:-$top/build-packages/$suite}
  rm -rf "$out"
  mkdir -p "$out" "$cache/archives-$suite/partial"
  build_packages
  use_packages
done
say "Packages of ${suites[*]} build, install and work"
