#!/usr/bin/env bash
# Explores the models of SandboxChannel exhaustively with spin, and shows by controls that they find what is wrong:
# each control breaks one step or weakens one order, and must be found. Prints the states of each.
#
#   Tests/SandboxChannelTests/Model/check.sh
#
# Takes two minutes of one processor, and less than 2 GiB. Needs spin and a C compiler.
set -euo pipefail
models=$(cd "$(dirname "$0")" && pwd)
for tool in spin cc; do
    command -v "$tool" >/dev/null || {
        echo "check: needs $tool" >&2
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# explore OPTIMIZATION MODEL DEFINES...: leaves spin's account in `account`.
explore() {
    local optimization=$1 model=$2
    shift 2
    spin -a "$@" "$models/$model.pml" >spin.log || { cat spin.log >&2; exit 2; }
    cc "$optimization" -w -DSAFETY -DNOCLAIM -DCOLLAPSE -DMEMLIM=3500 -DVECTORSZ=2048 -o pan pan.c
    ./pan -E -m3000000 -w22 >account 2>&1 || true
}

# sound MODEL DEFINES...: a variant in which nothing must be found, and nothing left out.
sound() {
    explore -O2 "$@"
    local states
    states=$(awk '/states, stored/ {print $1}' account)
    if grep -q 'errors: 0' account && ! grep -qE 'max search depth|MEMLIM|Search not completed' account; then
        printf 'ok      %10s states  %s\n' "$states" "$*"
    else
        printf 'FAILED  %10s states  %s\n' "$states" "$*"
        grep -E 'assertion|depth too small|MEMLIM' account || true
        failed=1
    fi
}

# broken CONTROL MODEL DEFINES...: one in which an assertion must fail.
broken() {
    local control=$1
    shift
    explore -O1 "$@" "-D$control"
    if grep -q 'assertion violated' account; then
        printf 'found   %10s states  %s -D%s\n' "$(awk '/states, stored/ {print $1}' account)" "$*" "$control"
    else
        printf 'MISSED  %s -D%s\n' "$*" "$control"
        failed=1
    fi
}

sound channel -DDEATHS=2
sound channel -DDEATHS=2 -DSLOTS_PER_WORD=1
sound channel -DWEAK -DDEATHS=1 -DSENDS=3
sound channel -DSEVERAL -DMODULUS=16 -DDEATHS=0 -DSENDS=3
sound channel -DSEVERAL -DMODULUS=16 -DDEATHS=1 -DSENDS=2
sound events -DDEATHS=2 -DPOSTS=4
sound events -DSEVERAL -DDEATHS=0 -DPOSTS=4
sound events -DSEVERAL -DDEATHS=1 -DPOSTS=3
sound events -DWEAK -DDEATHS=1 -DPOSTS=5

# Steps in another order, or left out.
for control in HEAD_BEFORE_TAKEN FREE_BEFORE_HEAD ENTRY_BEFORE_BYTES BITS_BEFORE_HEAD NO_HOLES NO_IN_RING NO_RECLAIM \
    NO_UNDO NO_ABANDON ABANDON_FIRST NO_BYTES NO_LAPS FREE_IF_TAKEN; do
    broken $control channel -DDEATHS=2
done
for control in NO_CLAIMS NO_EXCHANGE; do
    broken $control channel -DSEVERAL -DMODULUS=16 -DDEATHS=0 -DSENDS=3
done
broken FOLLOW_BEFORE_CLAIM channel -DSEVERAL -DMODULUS=16 -DDEATHS=1 -DSENDS=2
for control in CODE_BEFORE_PAYLOAD POSTED_BEFORE_EVENT HEAD_BEFORE_PAYLOAD NO_HOLES; do
    broken $control events -DDEATHS=1 -DPOSTS=4
done
# ChannelProducer.post as first committed: an old tail against a new head counts as a full queue.
broken POST_AS_COMMITTED events -DSEVERAL -DDEATHS=0 -DPOSTS=4

# Orders in memory.
for control in RING_STORE RING_LOAD FREED_STORE FREED_LOAD; do
    broken $control=RELAXED channel -DWEAK -DDEATHS=0 -DSENDS=4
done
for control in HEAD_STORE RECOVERY_HEAD_LOAD; do
    broken $control=RELAXED channel -DWEAK -DDEATHS=1 -DSENDS=2
done
for control in EVENT_STORE EVENT_LOAD EVENT_HEAD_STORE EVENT_HEAD_LOAD POSTED_STORE POSTED_LOAD; do
    broken $control=RELAXED events -DWEAK -DDEATHS=0 -DPOSTS=4
done

exit $failed
