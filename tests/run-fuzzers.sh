#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOT'
Usage: tests/run-fuzzers.sh [OPTION…] [TARGET…]

Builds the targets of tests/fuzz with libFuzzer under the address and undefined
behaviour sanitizers, and runs those named, or else all, over their corpora and
whatever libFuzzer makes of them. Prints TAP; where a target fails, also what it
said and where the input is.

  --seconds N      how long each target runs (60)
  --jobs N         how many run at the same time (as many as there are CPUs)
  --build FOLDER   where to build (build-fuzz)
  --keep FOLDER    what was found stays here, a folder for each target, and the
                   next run goes on from it (BUILD/found)
  --help           this text

Exit status: 0 none has failed, 77 there is no clang, else failed.
EOT
}

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=60
jobs=$(nproc)
build=$top/build-fuzz
keep=
targets=()

while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --jobs) jobs=$2; shift ;;
    --build) build=$(realpath -m "$2"); shift ;;
    --keep) keep=$(realpath -m "$2"); shift ;;
    --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
keep=${keep:-$build/found}

for version in '' -19 -18 -17 -16 -15 -14; do
  clang=$(command -v "clang$version") && break
done
if [ -z "$clang" ]; then
  echo '1..0 # SKIP there is no clang'
  exit 77
fi

cd "$top/tests/fuzz" || exit 1
if [ ${#targets[@]} -eq 0 ]; then
  for source in fuzz-*.c; do
    target=${source#fuzz-}
    [ "$target" = main.c ] || targets+=("${target%.c}")
  done
fi

if [ ! -f "$build/build.ninja" ]; then
  mkdir -p "$build"
  CC=$clang meson setup "$build" "$top" -Dfuzz-engine=true \
    -Dintrospection=disabled -Ddocs=disabled --buildtype=debugoptimized \
    -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args=-fsanitize=fuzzer-no-link >"$build/setup.log" 2>&1 ||
    { cat "$build/setup.log"; exit 1; }
fi
ninja -C "$build" "${targets[@]/#/tests/fuzz/fuzz-}" >"$build/fuzzers.log" 2>&1 ||
  { tail -n 50 "$build/fuzzers.log"; exit 1; }

# malloc() may say no, as it does to a header that lies.
export ASAN_OPTIONS=allocator_may_return_null=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

run_target() {
  local target=$1 size=4096 megabytes=64 words=()
  # As in meson.build: a checkpoint has many tensors, and so a long header.
  [ "$target" = checkpoint ] && size=16384
  # The header of a sparse tensor may say 2^24 rows, whose offsets are 128 MiB.
  [ "$target" = codes ] && megabytes=192
  [ -f "dictionaries/$target" ] && words=("-dict=dictionaries/$target")
  "$build/tests/fuzz/fuzz-$target" -max_len=$size -max_total_time="$seconds" \
    -malloc_limit_mb=$megabytes -rss_limit_mb=1024 -timeout=300 \
    -report_slow_units=60 -print_final_stats=1 "${words[@]}" \
    -artifact_prefix="$keep/failed-$target-" \
    "$keep/$target" "corpus/$target" >"$keep/$target.log" 2>&1
  echo $? >"$keep/$target.status"
}

failed=0
executions=0
report() {
  local number=$1 target=$2 status n
  status=$(cat "$keep/$target.status")
  n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$keep/$target.log")
  if [ "$status" = 0 ] && [ -n "$n" ]; then
    executions=$((executions + n))
    echo "ok $number /fuzz/$target/$n-inputs"
    return
  fi
  failed=$((failed + 1))
  echo "not ok $number /fuzz/$target"
  tail -n 60 "$keep/$target.log" | sed 's/^/#   /'
}

mkdir -p "$keep"
for target in "${targets[@]}"; do
  mkdir -p "$keep/$target"
  rm -f "$keep/$target.status"
  while [ "$(jobs -r | wc -l)" -ge "$jobs" ]; do
    wait -n
  done
  run_target "$target" &
done
wait
echo "1..${#targets[@]}"
for i in "${!targets[@]}"; do
  report $((i + 1)) "${targets[i]}"
done
echo "# fault 24: tried $((executions + failed)), survived $executions, lost 0"
exit $((failed > 0))
