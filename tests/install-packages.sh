#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# install-packages.sh [PACKAGE…]: installs the Debian packages named, or else all
# that building and testing need; says which.
set -u

packages=(
  gcc g++ libc6-dev meson ninja-build pkg-config
  libglib2.0-dev gobject-introspection libgirepository1.0-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad python3-gst-1.0 gi-docgen
  gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0
  libjansson-dev libopenblas-dev libzip-dev libcairo2-dev
  python3 python3-gi python3-numpy python3-venv locales
  python3-pip python3-setuptools python3-wheel groff-base
  python3-matplotlib python3-torch fonts-lato gjs
  chromium clang clang-format valgrind qemu-user
)
if [ $# -gt 0 ]; then
  packages=("$@")
fi

if ! command -v apt-get > /dev/null; then
  echo 'No apt-get here. Install what these packages of Debian hold:'
  echo "  ${packages[*]}"
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}\n' "$package" 2> /dev/null |
    grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo 'Nothing is missing.'
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "Missing, and neither root nor sudo to install them: ${missing[*]}"
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing: ${missing[*]}"
"${as_root[@]}" apt-get update -q < /dev/null &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
    --no-install-recommends "${missing[@]}" < /dev/null
