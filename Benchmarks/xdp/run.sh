#!/usr/bin/env bash
# Whether native XDP with a devmap forwards more than TC ingress, on the devices that labs are made of: the same least
# relay in both, as `streamrouter bench` lays it out (sender on processor 0, relay on processor 1), taking turns.
#
#   sudo Benchmarks/xdp/run.sh [TURNS]
#
# For XDP the devices' NAPI gets a thread of its own, on processor 1 at SCHED_FIFO: without one a veth is served on the
# sender's processor. For TC, packets are steered there (RPS). Prints the best rate at which 97 of 100 arrived, and what
# came through when as much was offered as one core sends.
set -euo pipefail
cd "$(dirname "$0")"
((EUID == 0)) || { echo "network namespaces need root: sudo $0" >&2; exit 77; }

turns=${1:-3}
work=$(mktemp -d)
tag=sr-xdp-$$
clean() {
    for name in source relay sink; do ip netns del "$tag-$name" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean EXIT
clang -target bpf -mcpu=v3 -O2 -g -std=gnu17 -idirafter "/usr/include/$(uname -m)-linux-gnu" -c forward.bpf.c \
    -o "$work/forward.o"
cc -O2 -Wall measure.c -o "$work/measure" -lbpf

within() { ip netns exec "$tag-$1" "${@:2}"; }

build() { # tc|xdp
    for name in source relay sink; do ip netns del "$tag-$name" 2>/dev/null || true; done
    for name in source relay sink; do ip netns add "$tag-$name"; done
    ip link add name to-relay netns "$tag-source" type veth peer name in netns "$tag-relay"
    ip link add name out netns "$tag-relay" type veth peer name from-relay netns "$tag-sink"
    within source sh -c 'ip addr add 10.77.1.2/24 dev to-relay; ip link set to-relay up gso_max_segs 1'
    within relay sh -c 'ip addr add 10.77.1.1/24 dev in; ip link set in up; ip addr add 10.77.2.1/24 dev out; ip link set out up'
    within sink sh -c 'ip addr add 10.77.2.2/24 dev from-relay; ip link set from-relay up'
    [[ $1 == xdp ]] || within relay sh -c 'echo 2 >/sys/class/net/in/queues/rx-0/rps_cpus'
}

# The threads that serve the devices, which can be from the moment that a program is attached.
pin() { # tc|xdp
    [[ $1 == xdp ]] || return 0
    sleep 0.3
    within relay sh -c 'echo 1 >/sys/class/net/in/threaded'
    within sink sh -c 'echo 1 >/sys/class/net/from-relay/threaded'
    for thread in $(pgrep '^napi/(in-|from-relay)' || true); do
        taskset -p 2 "$thread" >/dev/null 2>&1 || true
        chrt -f -p 1 "$thread" 2>/dev/null || true
    done
}

rates=(400000 500000 600000 700000 800000 900000 1000000 1100000 1200000 1300000 1400000 1500000 1600000 1e9)
for ((turn = 1; turn <= turns; turn++)); do
    for way in tc xdp; do
        build "$way"
        pin "$way" &
        chrt -f 40 taskset -c 0 "$work/measure" "$work/forward.o" "$way" "$tag-source" "$tag-relay" "$tag-sink" 0.4 \
            "${rates[@]}" >"$work/found"
        wait
        awk -v way="$way" '$2 >= 0.97 * $1 && $2 > best {best = $2} {full = $2}
            END {printf "%-4s best %7.0f packets/s, at full rate %7.0f\n", way, best, full}' "$work/found"
    done
done
