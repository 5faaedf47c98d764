#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOF'
Usage: tests/static.sh gcc|clang [BUILD-FOLDER]

Builds the library, the plugin and the commands with warnings as errors. What
-fanalyzer of gcc 12 finds is an error as well. Exits with 77 if the compiler
is not here.
EOF
}

set -u
case ${1-} in
  gcc) arguments=-fanalyzer ;;
  clang) arguments= ;;
  *)
    usage >&2
    exit 2
    ;;
esac
# The newest one, since Debian's clang is only there by a name with its version.
compiler=$(compgen -c "$1" | grep -xE "$1(-[0-9]+)?" | sort -uV | tail -n 1)
[ "$1" = gcc ] && compiler=$(command -v gcc)
if [ -z "$compiler" ]; then
  echo "Not run: there is no $1"
  exit 77
fi
# Other versions of the analyser find other things, not all of them there.
[ "$1" = clang ] || [ "$("$compiler" -dumpversion)" = 12 ] || arguments=
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${2:-$top/build-static-$1}
log=$folder/static.log
setup=(--werror -Dtests=false -Dintrospection=disabled -Ddocs=disabled)
[ -e "$folder/build.ninja" ] && setup+=(--reconfigure)
mkdir -p "$folder"
command -v ccache > /dev/null && compiler="ccache $compiler"
if CC=$compiler meson setup "${setup[@]}" -Dc_args="$arguments" "$folder" \
  "$top" > "$log" 2>&1 && meson compile -C "$folder" >> "$log" 2>&1; then
  exit 0
fi
grep -E -A 20 'error:|ERROR:' "$log" | head -n 60
echo "All of it: $log"
exit 1
