/* SPDX-License-Identifier: GPL-2.0 */
// The account of a relay: the same structures as in the maps of engine sandbox, kept by the same arithmetic.
#pragma once

#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>

#include "streamrouter_measure.h"

struct sr_account {
    refcount_t references;
    u32 index;
    // Entries of relays that share it; under the mutex of their network namespace, as is `list`.
    u32 entries;
    struct list_head list;
    struct sr_counters __percpu *counters;
    // Holds flow and reports.
    spinlock_t lock;
    struct sr_flow flow;
    // NULL where no entry's protocol is rtp or rtcp.
    struct sr_reports *reports;
    struct rcu_head rcu;
};

struct sr_account *sr_account_make(u32 index);
// So that reports of RTCP have a place.
int sr_account_expect_reports(struct sr_account *account);
// From any context but hard interrupts.
void sr_account_put(struct sr_account *account);

// All processors together.
void sr_account_sum(const struct sr_account *account, struct sr_counters *sum);

static inline void sr_account_count(struct sr_account *account, enum sr_counter counter, u64 amount) {
    this_cpu_add(account->counters->value[counter], amount);
}

// Accounts a datagram that arrived: sequence, jitter, RTCP. `header` are its first bytes, as many as it has,
// at most SR_REPORT_BYTES. Returns 0, or the counter of the cause to drop it for. With softirqs off.
u32 sr_account_arrival(struct sr_account *account, const struct sr_relay *relay, const void *header,
                       u32 length, u64 arrival_ns);
// How long a datagram stayed that leaves now.
void sr_account_residence(struct sr_account *account, u64 arrival_ns);
