// How a packet is counted, and dropped for a cause.
#ifndef SR_ACCOUNT_H
#define SR_ACCOUNT_H

#include <linux/pkt_cls.h>
#include "maps.h"

// 0 in one benchmark only, which shows what the account costs.
const volatile __u32 sr_accounting SEC(".rodata.accounting") = 1;

static __always_inline void sr_count(struct sr_counters *account, __u32 cause, __u32 packets) {
    __u64 slot = cause;
    // The compiler would check the 32-bit value and index with a shifted copy, which the verifier cannot
    // relate.
    asm volatile("" : "+r"(slot));
    if (slot < SR_COUNTER_COUNT)
        account->value[slot] += packets;
}

static __always_inline int sr_drop(struct sr_counters *account, __u32 cause, __u32 packets) {
    sr_count(account, cause, packets);
    return TC_ACT_SHOT;
}

#endif
