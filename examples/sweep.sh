#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A sweep: four dictionaries, one for each k, trained side by side on one
# stream, which is read and shuffled once; then measured on rows that none of
# them has seen.
#
#   sweep.sh train.npy heldout.npy output-folder/
#
# Any other property does as well as top-k: seed=, sparsity=l1 l1-coeff=, …
# If the plugin isn't installed: GST_PLUGIN_PATH=build/plugin sweep.sh …
set -euo pipefail
train=$1
heldout=$2
out=$3
sweep=(8 16 32 64)
mkdir -p "$out"

# A branch each. The queue gives it a thread of its own, so one is enough for
# the mathematics; every trainer sees every row, in the same order.
branches=()
for k in "${sweep[@]}"; do
  branches+=(rows. ! queue ! saetrainer "name=k$k" "top-k=$k"
    dict-size=1024 n-threads=1 "location=$out/k$k"
    "log-location=$out/k$k.jsonl" ! fakesink)
done
gst-launch-1.0 -q saesrc "location=$train" epochs=2 shuffle=true ! \
  tee name=rows "${branches[@]}"

# The same with frozen=true measures: nothing is trained, and the last line of
# the log has the figures of all rows. Elements may share a log.
rm -f "$out/heldout.jsonl"
branches=()
for k in "${sweep[@]}"; do
  branches+=(rows. ! queue ! saetrainer "name=k$k" frozen=true n-threads=1
    "init-location=$out/k$k" "log-location=$out/heldout.jsonl" ! fakesink)
done
gst-launch-1.0 -q saesrc "location=$heldout" ! tee name=rows "${branches[@]}"

"${PYTHON:-/usr/bin/python3}" - "$out" "${sweep[@]}" << 'EOF'
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as log:
        return [json.loads(line) for line in log]


out, sweep = sys.argv[1], sys.argv[2:]
heldout = {
    line["element"]: line["total"] for line in read(f"{out}/heldout.jsonl") if line["final"]
}
print("      held-out fvu     l0    dead  rows trained")
for k in sweep:
    trained = read(f"{out}/k{k}.jsonl")[-1]
    measured = heldout[f"k{k}"]
    print(
        f"k{k:<5}{measured['fvu']:>12.4f}{measured['l0']:>7.1f}"
        f"{trained['dead-fraction']:>8.2%}{trained['total-rows']:>14,}"
    )
EOF
