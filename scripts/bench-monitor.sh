#!/usr/bin/env bash
# What the live view of about 1,000 relays takes: 334 streams over three nodes of a lab, 30 packets a second each, the
# monitor in a terminal of 200x60, its processor time over 30 s. Needs root, tmux and python3.
#
# Usage: scripts/bench-monitor.sh [STREAMROUTER]      the program, .build/release/streamrouter unless it is named
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-.build/release/streamrouter}")
lab=bench-monitor
work=$(mktemp -d)
terminal() { tmux -L "streamrouter-bench-$$" -f /dev/null "$@"; }
sender=

clean() {
    terminal kill-server 2>/dev/null || true
    [[ -z $sender ]] || kill "$sender" 2>/dev/null || true
    "$program" lab down $lab >/dev/null 2>&1 || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

{
    printf 'version: 1\nname: %s\nnodes:\n' $lab
    printf '  %s\n' 'a: {addresses: [10.77.0.1]}' 'b: {addresses: [10.77.0.2]}' 'c: {addresses: [10.77.0.3]}'
    printf 'links: [a -- b, b -- c]\nstreams:\n'
    for ((i = 0; i < 334; i++)); do
        printf '  s%d: {protocol: rtp, from: "a:%d", to: "c:%d"}\n' $i $((6000 + 2 * i)) $((6000 + 2 * i))
    done
} >"$work/$lab.yaml"
"$program" lab up "$work/$lab.yaml" >/dev/null

"$program" lab exec $lab a -- python3 - <<'PYTHON' &
import socket, struct, time
s, start, n = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.time(), 0
while time.time() - start < 60:
    for i in range(334):
        packet = struct.pack(">BBHII", 0x80, 96, n & 0xFFFF, n * 3000 & 0xFFFFFFFF, i + 1) + bytes(160)
        s.sendto(packet, ("10.77.0.1", 6000 + 2 * i))
    n += 1
    time.sleep(max(0, start + n / 30 - time.time()))
PYTHON
sender=$!

terminal new-session -d -x 200 -y 60 "LC_ALL=C.UTF-8 exec '$program' monitor --topology $lab"
sleep 6
pid=$(terminal list-panes -F '#{pane_pid}')
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
before=$(ticks)
sleep 30
after=$(ticks)
terminal capture-pane -p | sed -n 1p
awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" -v kb="$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")" \
    'BEGIN { printf "live view: %.2f %% of one core, %.0f MB resident\n", 100 * ticks / hertz / 30, kb / 1024 }'
