#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
usage() {
  cat <<'EOF'
Usage: tests/run-valgrind.sh [BUILD-FOLDER [TEST…]]

Runs the test programs in C of a build without sanitizers under valgrind, or
those that are named: no use of what is not theirs or was not written, and
nothing lost for good. They are built where they are not. Exits with 77 if there
is no valgrind.
EOF
}

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1-} in -*)
  usage
  exit 0
  ;;
esac
build=${1:-$top/build}
[ $# -gt 0 ] && shift
python=$(command -v /usr/bin/python3 || command -v python3)
if ! command -v valgrind > /dev/null; then
  echo 'Not run: there is no valgrind'
  exit 77
fi

# Programs in C, once each: those of a SIMD level are the same program. Left
# out are what brings a malloc() of its own, what measures memory, and the
# comparison of every bit, since valgrind's vfnmadd makes −0 of 0 − 0·0.
list_tests() {
  "$python" - "$build" <<'EOF'
import json, pathlib, sys

SUITES = {"kernels", "formats", "model", "trainer", "plugin", "fuzz"}
LEFT_OUT = {"trainer-memory", "trainer-peak", "kernels-elementwise"}
build = pathlib.Path(sys.argv[1])
tests = json.loads((build / "meson-info/intro-tests.json").read_text())
seen = set()
for test in sorted(tests, key=lambda test: len(test["name"])):
    suites = {suite.rpartition(":")[2] for suite in test["suite"]}
    program = pathlib.Path(test["cmd"][0])
    if (suites & SUITES and test["name"] not in LEFT_OUT
            and program.name.startswith(("test-", "fuzz-"))
            and not program.suffix and program not in seen):
        seen.add(program)
        print(test["name"])
EOF
}

suppressions=("--suppressions=$top/tests/reliability/valgrind.supp")
for file in /usr/share/glib-2.0/valgrind/glib.supp; do
  [ ! -e "$file" ] || suppressions+=("--suppressions=$file")
done
export SAE_TEST_VALGRIND=1 # it takes memory of its own
[ $# -gt 0 ] || mapfile -t tests < <(list_tests)
meson test -C "$build" -t 60 --print-errorlogs --wrapper "valgrind -q \
--error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
--errors-for-leak-kinds=definite --num-callers=24 ${suppressions[*]}" \
  "${@:-${tests[@]}}" < /dev/null
status=$?
"$python" - "$build/meson-logs/testlog-valgrind.json" <<'EOF'
import json, sys

results = [json.loads(line)["result"] for line in open(sys.argv[1])]
n_tried = len(results) - results.count("SKIP")
print(f"# fault 35: tried {n_tried}, survived {results.count('OK')}, lost 0")
EOF
exit $status
