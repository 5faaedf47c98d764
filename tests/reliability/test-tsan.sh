#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# test-tsan.sh RACE: whether ThreadSanitizer, as the other tests run under it,
# sees a race where there is one, and none where GLib's lock is around it.
echo 1..2
check() { # check NUMBER NAME EXPECTED-STATUS HOW
  "$race" "$4" 2> /dev/null > /dev/null
  status=$?
  if [ "$status" = "$3" ]; then
    echo "ok $1 /reliability/tsan/$2"
  else
    echo "# expected exit status $3, got $status"
    echo "not ok $1 /reliability/tsan/$2"
  fi
}
race=$1
check 1 sees-a-race 66 unlocked
check 2 knows-glibs-locks 0 locked
