#!/usr/bin/env bash
# What probing links costs: processor time of the probing thread of a node with two links, as many test packets a second
# as a link may have, with the processors idle and busy. Needs root and jq.
#
# Usage: scripts/bench-probes.sh [STREAMROUTER]      the program, .build/release/streamrouter unless it is named
set -euo pipefail
cd "$(dirname "$0")/.."

readonly seconds=30
program=$(realpath "${1:-.build/release/streamrouter}")
folder=$(mktemp -d)
readonly name=bench-probes-$$
busy=()
cleanup() {
    for pid in "${busy[@]}"; do kill "$pid" 2>/dev/null || true; done
    "$program" lab down "$name" >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap cleanup EXIT

cat >"$folder/lab.yaml" <<EOF
version: 1
name: $name
nodes: {a: 10.79.0.1, b: 10.79.0.2, c: 10.79.0.3}
links: [a -- b, b -- c]
probe: 10ms
streams:
  s: {protocol: udp, from: 'a:5000', to: 'c:5000'}
EOF
"$program" lab up --files "$folder/lab.yaml" >/dev/null

pid=$(ip netns pids "sr-$name-b" | head -1)
thread=$(grep -lx sr-probe /proc/"$pid"/task/*/comm | head -1)
thread=${thread%/comm}
# Nanoseconds that the thread has run; test packets sent and answered here.
ran() { cut -d' ' -f1 "$thread/schedstat"; }
links() { "$program" monitor "$folder/lab.yaml" --json; }
figure() { links | jq "[.nodes[] | select(.node == \"b\").links[] | $1] | add"; }

measure() {
    local sent reflected ns
    sent=$(figure .sent) reflected=$(figure .reflected) ns=$(ran)
    sleep "$seconds"
    ns=$(($(ran) - ns)) sent=$(($(figure .sent) - sent)) reflected=$(($(figure .reflected) - reflected))
    local each=$((ns / (sent + reflected)))
    echo "$1: $sent sent and $reflected answered in $seconds s, $((each / 1000)).$((each % 1000 / 100)) us each;" \
        "at the usual 200 ms a link takes $((each * 10 / 1000)) us of processor time a second"
}

sleep 3
measure "idle"
for _ in $(seq 8); do
    sh -c 'while :; do :; done' &
    busy+=($!)
done
measure "8 busy processes"
links | jq -r '.nodes[] | .node as $n | .links[] |
  "\($n) to \(.peer): round trip p50 \(.roundTrip.total.p50Seconds * 1e6 | floor) us, p99 \(.roundTrip.total.p99Seconds * 1e6 | floor) us, lost \(.forward.lost + .backward.lost + .lostEither)"'
