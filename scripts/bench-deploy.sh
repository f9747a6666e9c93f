#!/usr/bin/env bash
# What the control plane takes: a lab of 50 nodes and 200 streams brought up, changed and destroyed, the memory of its
# daemons, and the planning of 1,000 nodes with 2,000 streams. Streams go at random over a random tree; the seed is
# printed and may be given. Needs root and python3.
#
# Usage: scripts/bench-deploy.sh [STREAMROUTER [SEED]]      the program, .build/release/streamrouter unless it is named
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-.build/release/streamrouter}")
seed=${2:-1}
lab=bench-deploy-$$
work=$(mktemp -d)
controller=

clean() {
    "$program" lab down "$lab" >/dev/null 2>&1 || true
    [[ -z $controller ]] || kill "$controller" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

# A topology of so many nodes and streams; with a fifth argument, every so manieth stream ends elsewhere than without.
generate() {
    python3 - "$@" <<'PYTHON'
import random, sys
name, nodes, streams, seed, every = sys.argv[1], *map(int, sys.argv[2:6])
chance = random.Random(seed)
print(f"version: 1\nname: {name}\nnodes:")
for n in range(nodes):
    print(f"  n{n}: {{addresses: [10.{80 + n // 250}.{n % 250}.1]}}")
print("links:")
for n in range(1, nodes):
    print(f"  - n{chance.randrange(n)} -- n{n}")
print("streams:")
for s in range(streams):
    source, sink, other = chance.sample(range(nodes), 3)
    if every and s % every == 0:
        sink = other
    print(f'  s{s}: {{protocol: rtp, from: "n{source}:{10000 + 2 * s}", to: "n{sink}:{10000 + 2 * s}"}}')
PYTHON
}

row() { printf '%-40s %-36s %s\n' "$@"; }

# Runs a command and notes in `seconds` what it took; `expected` is the exit status that it should have.
seconds=
timed() {
    local expected=$1 status=0 begin=$EPOCHREALTIME
    shift
    "$@" >"$work/output" 2>&1 || status=$?
    seconds=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f s", b - a }')
    if ((status != expected)); then
        printf 'exit status %s and not %s: %s\n' "$status" "$expected" "$*" >&2
        cat "$work/output" >&2
        exit 1
    fi
}

printf 'seed %s, %s\n' "$seed" "$("$program" --version 2>/dev/null | head -n 1)"
row what measured bound

file=$work/$lab.yaml
generate "$lab" 50 200 "$seed" 0 >"$file"
timed 0 "$program" lab up "$file"
row "50 nodes, 200 streams: lab up" "$seconds" ""
generate "$lab" 50 200 "$seed" 10 >"$file"
timed 2 "$program" plan "$file"
row "  plan: 20 streams end elsewhere" "$seconds" "1 s"
printf '    %s\n' "$(tail -n 1 "$work/output")"
timed 0 "$program" deploy "$file"
row "  deploy of it" "$seconds" "20 s"

"$program" lab status "$lab" --json >"$work/status.json"
mapfile -t pids < <(python3 -c '
import json, sys
for node in json.load(open(sys.argv[1]))["nodes"]: print(node["pid"])' "$work/status.json")
# As it runs: daemons let go of what only their start needed, and have been read since.
sleep 15
"$program" monitor "$file" --once >/dev/null
sleep 2
# Of each daemon: resident, its own, shared with others, and its share of all (kB); the largest and the mean are told.
for pid in "${pids[@]}"; do
    awk '/^Rss/ { r = $2 } /^Pss:/ { p = $2 } /^Private/ { o += $2 } /^Shared/ { s += $2 } END { print r, o, s, p }' \
        "/proc/$pid/smaps_rollup"
done >"$work/memory"
memory() {
    awk -v field="$1" '{ sum += $field; if ($field > max) max = $field }
        END { printf "%.1f MB (mean), %.1f MB (largest)", sum / NR / 1024, max / 1024 }' "$work/memory"
}
row "  a daemon's memory, resident" "$(memory 1)" "40 MB"
row "    of it private" "$(memory 2)" ""
row "    of it shared with the other daemons" "$(memory 3)" ""
row "    its share of all (Pss)" "$(memory 4)" ""
timed 0 "$program" destroy --yes --lab "$lab"
row "  destroy" "$seconds" ""
timed 0 "$program" lab down "$lab"
row "  lab down" "$seconds" ""

file=$work/large.yaml
generate large 1000 2000 "$seed" 0 >"$file"
timed 0 "$program" validate "$file"
row "1,000 nodes, 2,000 streams: validate" "$seconds" "2 s"
"$program" node init --name n0 --controller 127.0.0.1:7117 --state-directory "$work/state" >/dev/null
"$program" controller run --state-directory "$work/state" --listen "unix:$work/nodes.sock" --join none \
    --socket "$work/operators.sock" 2>"$work/controller.log" &
controller=$!
for ((i = 0; i < 200; i++)); do
    "$program" status --socket "$work/operators.sock" >/dev/null 2>&1 && break
    sleep 0.05
done
timed 2 "$program" plan "$file" --socket "$work/operators.sock"
row "  plan, with no node connected" "$seconds" "2 s"
