#!/usr/bin/env bash
# Shows that a run of Tests/VM/run.sh can fail: each way in which a test or a kernel can go wrong is told of, and by its
# own cause. One guest that crashes on purpose, then consoles that are written down here.
#
#   Tests/VM/controls.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/VM
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0
checks=0
expect() {
    checks=$((checks + 1))
    grep -Eq "$1" "$2" && return
    wrong=$((wrong + 1))
    echo "controls: nothing like \"$1\" in:" >&2
    sed 's/^/    /' "$2" >&2
}

code=0
VM_TESTS=$here/controls VM_MODULE=none "$here/run.sh" --kernel 6.1 --guest control >"$work/said" 2>&1 || code=$?
echo "exit code $code" >>"$work/said"
expect '^6.1 control aaa-good +ok +1 checks' "$work/said"
expect 'b-wrong +FAIL +not ok a check that fails' "$work/said"
expect 'c-code +FAIL +exit code 3' "$work/said"
expect 'd-silent +FAIL +said nothing' "$work/said"
expect 'e-endless +FAIL +took longer than 2 s' "$work/said"
expect 'f-skipped +skip +this test: it has a reason' "$work/said"
expect 'g-crash +FAIL +the guest ended within it' "$work/said"
expect 'h-after +FAIL +did not report' "$work/said"
expect 'kernel +FAIL +complained' "$work/said"
expect 'sysrq triggered crash' "$work/said"
expect '1 passed, 7 failed, 1 skipped' "$work/said"
expect '^exit code 1' "$work/said"

# A breakpoint that was run where memory holds another byte is the emulator's; one that memory holds is the kernel's.
console() {
    printf '[  1.0] %s\r\n' "$1" 'CPU: 0 UID: 0 PID: 1368 Comm: some' 'RIP: 0010:__schedule+0x428/0xbf0' \
        "Code: 44 00 00 06 f0 41 80 4d 00 02 $2 <1f> 44 00" 'RSP: 0018:ffffcff98044bd48'
}
stale() {
    console "$1" "$2" >"$work/console"
    code=0
    "$here/stale.sh" "$work/console" >"$work/said" || code=$?
    echo "exit code $code" >>"$work/said"
    expect "$3" "$work/said"
}
stale 'Oops: int3: 0000 [#1] PREEMPT SMP NOPTI' 0f '__schedule.* holds 0f'
stale 'int3: 0000 [#1] PREEMPT SMP PTI' 0f '^exit code 0'
stale 'Oops: int3: 0000 [#1] PREEMPT SMP NOPTI' cc '^exit code 1'
stale 'Oops: 0002 [#1] PREEMPT SMP PTI' 0f '^exit code 1'

# What kernels say, each in a console of its own beside tests that all pass.
echo 'good 10' >"$work/list"
printf '%s\n' 'begin good' 'ok good: 1' 'end good 0 1.0' 'done' >"$work/results"
judge() { "$here/judge.sh" canned "$work/list" "$work/results" "$work/console" >"$work/said" 2>&1; }
while read -r line; do
    printf '%s\r\n' '[    1.0] vm: begin good' "[    2.0] $line" '[    3.0] vm: done' >"$work/console"
    code=0
    judge || code=$?
    echo "exit code $code, for: $line" >>"$work/said"
    expect 'kernel +FAIL' "$work/said"
    expect '^exit code 1' "$work/said"
done <<'END'
WARNING: CPU: 0 PID: 71 at net/core/skbuff.c:7035 skb_release_head_state+0x9e/0xb0
BUG: kernel NULL pointer dereference, address: 0000000000000010
BUG: scheduling while atomic: kworker/0:1/12/0x00000002
BUG: sleeping function called from invalid context at mm/slab.h:421
BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten
BUG skbuff_head_cache (Tainted: G           OE     ): Objects remaining in skbuff_head_cache on __kmem_cache_shutdown()
Oops: 0002 [#1] PREEMPT SMP PTI
general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP
WARNING: possible recursive locking detected
WARNING: possible circular locking dependency detected
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [insmod:77]
INFO: task rmmod:90 blocked for more than 120 seconds.
refcount_t: underflow; use-after-free.
list_del corruption. prev->next should be ffff88800, but was dead000000000122
BUG: KFENCE: use-after-free read in sr_hold_release+0x10/0x90 [streamrouter]
BUG: Bad page state in process kworker/1:0  pfn:0453a
unregister_netdevice: waiting for near to become free. Usage count = 2
kmemleak: 1 new suspected memory leaks: unreferenced object 0xffff888003c5d200 (size 256):
Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: sr_enter+0x90/0x90
END
# And what they say in good health.
printf '%s\r\n' '[    1.0] vm: begin good' \
    '[    2.0] streamrouter: loading out-of-tree module taints kernel.' \
    '[    2.0] streamrouter: module verification failed: signature and/or required key missing - tainting kernel' \
    '[    2.1] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable to RETBleed attacks, data leaks possible!' \
    '[    2.2] streamrouter: extension echo aborted: page fault at 0x10' '[    3.0] vm: done' >"$work/console"
code=0
judge || code=$?
echo "exit code $code" >>"$work/said"
expect '^canned good +ok' "$work/said"
expect '^exit code 0' "$work/said"
# A guest that fell silent without a word has not passed.
sed -i '/^done$/d' "$work/results"
code=0
judge || code=$?
echo "exit code $code" >>"$work/said"
expect 'guest +FAIL +did not come to its end' "$work/said"
expect '^exit code 1' "$work/said"

echo "controls: $((checks - wrong)) passed, $wrong failed"
((wrong == 0))
