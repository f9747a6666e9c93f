#!/usr/bin/env bash
# Judges what a guest left: one line a test, and why it failed. Fails where a test failed, did not report, counted
# nothing or ran out of time, where the kernel complained of anything, and where the guest did not come to its end.
#
#   Tests/VM/judge.sh TITLE LIST RESULTS CONSOLE
#
# RESULTS has the tests' own lines between `begin NAME` and `end NAME CODE SECONDS`: `ok WHAT: counted`,
# `not ok WHAT: why`, `skip WHAT: why`. CONSOLE has the kernel's.
set -euo pipefail
title=$1 list=$2 results=$3 console=$4

# Everything that a kernel says when it has lost faith in itself. At boot it warns of processors with "NAME: WARNING:",
# which is no complaint about code, so warnings count with the place that they always name.
readonly complaints='BUG: |BUG [a-zA-Z0-9_-]+.*: |WARNING: CPU: |Oops|Kernel panic|kernel BUG at|general protection fault'\
'|possible recursive locking|possible circular locking|inconsistent lock state|suspicious RCU usage'\
'|rcu.*(stall|detected expedited)|soft lockup|hard LOCKUP|blocked for more than|scheduling while atomic'\
'|sleeping function called|Bad page|bad: scheduling|refcount_t: |list_(add|del) corruption|KFENCE: |KASAN: |UBSAN: '\
'|unregister_netdevice: waiting|memory leak|unreferenced object|double fault|Unable to handle|page allocation failure'\
'|stack segment fault|corrupted stack end|Objects remaining'

status=0
fail() {
    status=1
    printf '%s %-22s FAIL  %s\n' "$title" "$1" "$2"
}

tr -d '\r' <"$console" | grep -aE "$complaints" | head -n 5 >"$console.complaints" || true

while read -r name seconds; do
    lines=$(sed -n "/^begin $name\$/,/^end $name /p" "$results" 2>/dev/null || true)
    ending=$(tail -n 1 <<<"$lines")
    counted=$(grep -c '^ok ' <<<"$lines" || true)
    wrong=$(grep '^not ok ' <<<"$lines" || true)
    if [[ -z $lines ]]; then
        fail "$name" "did not report: the guest ended before it"
        continue
    elif [[ $ending != "end $name "* ]]; then
        fail "$name" "the guest ended within it"
    else
        read -r _ _ code took <<<"$ending"
        if ((code == 137)); then
            fail "$name" "took longer than $seconds s"
        elif [[ -n $wrong ]]; then
            fail "$name" "$(head -n 1 <<<"$wrong")"
        elif ((code == 77)); then
            printf '%s %-22s skip  %s\n' "$title" "$name" "$(sed -n 's/^skip //p' <<<"$lines" | head -n 1)"
        elif ((code != 0)); then
            fail "$name" "exit code $code"
        elif ((counted == 0)); then
            fail "$name" "said nothing of what it tested"
        else
            printf '%s %-22s ok    %s checks, %s s\n' "$title" "$name" "$counted" "$took"
            continue
        fi
    fi
    tail -n 30 <<<"$lines" | sed 's/^/    /'
done <"$list"

if [[ -s $console.complaints ]]; then
    fail kernel "complained; its console is $console"
    # With the test during which it happened.
    tr -d '\r' <"$console" | grep -aE "$complaints|vm: begin" | grep -aE -B 1 "$complaints" | head -n 12 | sed 's/^/    /'
elif ! grep -q '^done$' "$results"; then
    fail guest "did not come to its end; its console is $console"
    tr -d '\r' <"$console" | tail -n 15 | sed 's/^/    /'
fi
exit $status
