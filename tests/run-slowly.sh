#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `meson test --setup long` puts before the command of a test: programs of
# GLib's test framework are told to take their time. Others, of Python, are by
# SAE_TEST_SLOW=1 in their environment.
case ${1##*/} in
  test-*.py | *.sh) exec "$@" ;;
  test-* | fuzz-*) exec "$@" -m slow ;;
  *) exec "$@" ;;
esac
