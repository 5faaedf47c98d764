#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Usage: link-plugins.sh SYSTEM-PLUGIN-FOLDER FOLDER
# Fills FOLDER with links to the system's plugins that tests use; one that is
# not installed is left out.
set -eu
mkdir -p "$2"
for name in coreelements coretracers app multifile gdp tcp shm png \
  videoconvertscale; do
  plugin="$1/libgst$name.so"
  if [ -e "$plugin" ]; then
    ln -sf "$plugin" "$2/"
  fi
done
