#!/usr/bin/env bash
# What the relay path costs a packet, in BPF_PROG_TEST_RUN: this tree's datapath against that of another commit, in turns.
#
#   sudo Benchmarks/path/run.sh [COMMIT [OPTION...]]   COMMIT: default HEAD~1
#
# Options: -p RTP, -6 IPv6, -r RELAYS in the table, -s SINKS, -a without the account, -n RUNS of 200 packets.
set -euo pipefail
cd "$(dirname "$0")/../.."

commit=${1:-HEAD~1}
shift || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
git archive "$commit" bpf Sources/CStreamRouter/include | tar -x -C "$work/tree"
for side in before after; do
    tree=.
    [[ $side == after ]] || tree=$work/tree
    include=$tree/Sources/CStreamRouter/include
    clang -target bpf -mcpu=v3 -O2 -g -std=gnu17 -I "$include" -idirafter "/usr/include/$(uname -m)-linux-gnu" \
        -c "$tree/bpf/relay.bpf.c" -o "$work/$side.o"
    cc -O2 -Wall -I "$include" Benchmarks/path/cost.c -o "$work/$side" -lbpf
done
for _ in 1 2 3; do
    for side in before after; do
        printf '%-7s %s\n' "$side" "$("$work/$side" "$@" "$work/$side.o")"
    done
done
