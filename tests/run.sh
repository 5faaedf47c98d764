#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOF'
Usage: tests/run.sh [OPTION…]

Runs every test: installs what is missing (Debian), checks the formatting,
builds with warnings as errors, runs the suite, runs it again under the address
and undefined behaviour sanitizers, and what has threads under the thread
sanitizer, and a part of it built for aarch64 under emulation. The last line is
"N passed, N failed, N skipped".

  --no-install     install nothing, neither packages nor Python modules
  --no-sanitizers  leave out the builds with sanitizers
  --fast           no sanitizers, no aarch64 and none of the slow tests
  --long           all that, then what takes hours: large counts, valgrind,
                   libFuzzer (clang), each guard of docs/reliability.md taken out
  --fuzz-seconds N how long libFuzzer has for each target (1800)
  --help           this text

Environment:
  BUILD_DIR              where to build (build-tests)
  SAE_PEERS_PYTHON       a Python with torch and sae-lens, instead of one made
                         in the cache folder
  SAE_TORCH_REQUIREMENT  what pip installs as PyTorch (see
                         tests/peers/requirements.txt for the rest)
EOF
}

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
build=${BUILD_DIR:-$top/build-tests}
install=yes
sanitizers=yes
long=no
fuzz_seconds=1800
suite_args=()
extra_passed=0
extra_failed=0
extra_skipped=0
notes=()
folders=()

while [ $# -gt 0 ]; do
  case $1 in
    --no-install) install=no ;;
    --no-sanitizers) sanitizers=no ;;
    --fast)
      sanitizers=no
      suite_args=(--no-suite slow --no-suite peers)
      ;;
    --long) long=yes ;;
    --fuzz-seconds)
      fuzz_seconds=${2:?"--fuzz-seconds needs a number"}
      shift
      ;;
    --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done

say() {
  printf '\n== %s\n' "$*"
}

count() { # count NAME STATUS: adds a check that is no test of meson's
  case $2 in
    0) extra_passed=$((extra_passed + 1)) ;;
    77)
      extra_skipped=$((extra_skipped + 1))
      notes+=("skipped: $1")
      ;;
    *)
      extra_failed=$((extra_failed + 1))
      notes+=("failed: $1")
      ;;
  esac
}

finish() {
  say 'Summary'
  for note in "${notes[@]}"; do
    echo "$note"
  done
  "$python" tests/summary.py --also "$extra_passed" "$extra_failed" \
    "$extra_skipped" "${folders[@]}"
  exit $?
}

# Versions of clang-format disagree about some lines; one has the last word.
check_format() {
  say 'Formatting'
  if ! clang-format --version 2> /dev/null | grep -q 'version 14\.'; then
    echo 'Not checked: clang-format 14 is not here.'
    return
  fi
  find src plugin tests tools examples -name '*.[ch]' -print0 |
    xargs -0 -r clang-format --dry-run -Werror
  count 'formatting (clang-format -i FILE mends it)' $?
}

# Warnings as errors, of gcc with its analyser and of clang.
check_static() {
  local compiler
  for compiler in gcc clang; do
    say "Warnings of $compiler"
    bash tests/static.sh $compiler "$build/static-$compiler"
    count "no warnings (tests/static.sh $compiler)" $?
  done
}

# The other architecture, as one check.
check_aarch64() {
  say 'Testing for aarch64'
  local options=() log=$build/aarch64-run.log status reason
  [ "$install" = yes ] || options=(--no-install)
  mkdir -p "$build"
  bash tests/run-aarch64.sh "${options[@]}" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  reason=$(sed -n 's/^Not run: /: /p' "$log")
  count "aarch64 (tests/run-aarch64.sh)$reason" "$status"
}

# Configures, builds and tests one build folder. A folder that does not build
# has no test log, which the summary counts as a failure.
run_build() { # run_build NAME MESON-SETUP-ARGUMENTS… -- MESON-TEST-ARGUMENTS…
  local folder=$build/$1 log=$build/$1.log setup=()
  shift
  while [ "$1" != -- ]; do
    setup+=("$1")
    shift
  done
  shift
  folders+=("$folder")
  mkdir -p "$build"
  rm -f "$folder"/meson-logs/testlog*
  say "Building in $folder"
  if [ -e "$folder/build.ninja" ]; then
    setup+=(--reconfigure)
  fi
  if ! meson setup "${setup[@]}" "$folder" > "$log" 2>&1 ||
    ! meson compile -C "$folder" >> "$log" 2>&1; then
    tail -n 60 "$log"
    return
  fi
  grep -E 'warning:|WARNING:' "$log"
  say "Testing in $folder"
  meson test -C "$folder" --no-rebuild --print-errorlogs \
    "${suite_args[@]}" "$@" < /dev/null
}

# Those tests whose threads meet, and no more is built than they need.
run_threads() {
  local folder=$build/tsan log=$build/tsan.log setup=()
  say "Testing in $folder"
  rm -f "$folder"/meson-logs/testlog*
  if [ -e "$folder/build.ninja" ]; then
    setup=(--reconfigure)
  fi
  if ! meson setup "${setup[@]}" --buildtype=debugoptimized \
    -Db_sanitize=thread -Db_lundef=false -Dintrospection=disabled \
    -Ddocs=disabled "$folder" > "$log" 2>&1 ||
    ! meson compile -C "$folder" race tsan-glib >> "$log" 2>&1; then
    folders+=("$folder")
    tail -n 60 "$log"
  elif ! "$folder/tests/reliability/race" locked > /dev/null 2>> "$log" &&
    grep 'unexpected memory mapping' "$log"; then
    # An address space laid out too randomly for it (vm.mmap_rnd_bits).
    count 'threads under ThreadSanitizer: unexpected memory mapping' 77
  else
    folders+=("$folder")
    meson test -C "$folder" --suite threads -t 5 --print-errorlogs < /dev/null
  fi
}

# What the tests saw of each fault; a fault of which no test spoke is a failure.
check_catalogue() {
  say 'What must not hurt (docs/reliability.md)'
  local also=() log
  [ "$sanitizers" = no ] ||
    also=(--ran 33 "$build/sanitized" --ran 34 "$build/tsan")
  for log in "$build"/long-*.log; do
    [ ! -e "$log" ] || also+=(--also "$log")
  done
  "$python" tests/reliability/catalogue.py "${also[@]}" "${folders[@]}"
  count 'the catalogue of faults (tests/reliability/catalogue.py)' $?
}

run_long() {
  # What an earlier run has left there says nothing.
  [ -e "$build/plain/meson-logs/testlog.json" ] || return
  say 'Large counts'
  meson test -C "$build/plain" --no-rebuild --print-errorlogs --setup long \
    --suite kernels --suite formats --suite model --suite trainer \
    --suite plugin --suite fuzz --suite reliability --suite interop < /dev/null
  say 'Valgrind'
  bash tests/run-valgrind.sh "$build/plain" 2>&1 | tee "$build/long-valgrind.log"
  count 'valgrind (tests/run-valgrind.sh)' "${PIPESTATUS[0]}"
  say 'libFuzzer'
  [ "$install" = no ] || bash tests/install-packages.sh clang libclang-rt-dev
  bash tests/run-fuzzers.sh --seconds "$fuzz_seconds" 2>&1 |
    tee "$build/long-fuzzers.log"
  count 'libFuzzer (tests/run-fuzzers.sh)' "${PIPESTATUS[0]}"
  say 'Without each guard'
  "$python" tests/reliability/without-guards.py
  count 'guards (tests/reliability/without-guards.py)' $?
}

python=$(command -v /usr/bin/python3 || command -v python3)
if [ "$install" = yes ]; then
  say 'Packages'
  if ! bash tests/install-packages.sh; then
    count 'installing packages' 1
    finish
  fi
  python=$(command -v /usr/bin/python3 || command -v python3)
fi

check_format
[ ${#suite_args[@]} -gt 0 ] || check_static

if [ "$install" = yes ] && [ ${#suite_args[@]} -eq 0 ]; then
  say 'Python with PyTorch and SAELens'
  bash tests/peers/prepare-python.sh
  say 'Python with sparsify and dictionary_learning'
  bash tests/bench/prepare-libraries.sh
fi

run_build plain -- -t 2
if [ "$sanitizers" = yes ]; then
  # A leak that g-ir-scanner's helper has at exit is not ours to judge.
  ASAN_OPTIONS=detect_leaks=0 run_build sanitized --buildtype=debugoptimized \
    -Db_sanitize=address,undefined -Db_lundef=false -- -t 5
  run_threads
fi
if [ ${#suite_args[@]} -eq 0 ]; then
  check_aarch64
fi
rm -f "$build"/long-*.log
[ "$long" = no ] || run_long
[ ${#suite_args[@]} -gt 0 ] || check_catalogue
finish
