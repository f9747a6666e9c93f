// SPDX-License-Identifier: GPL-2.0
// The account of a relay, from its first datagram to whoever reads it.
#include <linux/slab.h>
#include <linux/ktime.h>

#include "relay_account.h"

struct sr_account *sr_account_make(u32 index) {
    struct sr_account *account = kzalloc(sizeof(*account), GFP_KERNEL);

    if (!account)
        return NULL;
    account->counters = alloc_percpu(struct sr_counters);
    if (!account->counters) {
        kfree(account);
        return NULL;
    }
    refcount_set(&account->references, 1);
    spin_lock_init(&account->lock);
    INIT_LIST_HEAD(&account->list);
    account->index = index;
    return account;
}

int sr_account_expect_reports(struct sr_account *account) {
    struct sr_reports *reports;

    if (account->reports)
        return 0;
    reports = kzalloc(sizeof(*reports), GFP_KERNEL);
    if (!reports)
        return -ENOMEM;
    spin_lock_bh(&account->lock);
    account->reports = reports;
    spin_unlock_bh(&account->lock);
    return 0;
}

static void free_account(struct rcu_head *head) {
    struct sr_account *account = container_of(head, struct sr_account, rcu);

    free_percpu(account->counters);
    kfree(account->reports);
    kfree(account);
}

void sr_account_put(struct sr_account *account) {
    if (refcount_dec_and_test(&account->references))
        call_rcu(&account->rcu, free_account);
}

void sr_account_sum(const struct sr_account *account, struct sr_counters *sum) {
    u32 place;
    int cpu;

    memset(sum, 0, sizeof(*sum));
    for_each_possible_cpu(cpu) {
        const struct sr_counters *own = per_cpu_ptr(account->counters, cpu);

        for (place = 0; place < SR_COUNTER_COUNT; place++)
            sum->value[place] += READ_ONCE(own->value[place]);
        for (place = 0; place < SR_RESIDENCE_BUCKETS; place++)
            sum->residence[place] += READ_ONCE(own->residence[place]);
        sum->residence_sum_ns += READ_ONCE(own->residence_sum_ns);
        sum->residence_max_ns = max(sum->residence_max_ns, READ_ONCE(own->residence_max_ns));
        sum->last_seen_ns = max(sum->last_seen_ns, READ_ONCE(own->last_seen_ns));
    }
}

// Under the account's lock.
static void keep_report(struct sr_account *account, const void *bytes, u32 length, u64 arrival_ns) {
    if (account->reports)
        sr_report_keep(account->reports, bytes, length, arrival_ns);
}

static u32 account_media(struct sr_account *account, const struct sr_relay *relay, const void *bytes,
                         u32 length, u64 arrival_ns) {
    struct sr_counters *counters = this_cpu_ptr(account->counters);
    struct sr_rtp_header header = {};
    struct sr_rtp_arrival arrival;
    union sr_rtp_effect_word result = {};

    // 8 bytes is the shortest RTCP packet (RFC 3550 section 6.4.2).
    if (length < 8)
        return SR_DROP_NOT_RTP;
    memcpy(&header, bytes, min_t(u32, length, sizeof(header)));
    switch (sr_classify(&header, length, relay->protocol)) {
    case SR_MEDIA_NEITHER:
        return SR_DROP_NOT_RTP;
    case SR_MEDIA_MALFORMED:
        return SR_DROP_MALFORMED;
    case SR_MEDIA_RTCP:
        counters->value[SR_RTCP_PACKETS]++;
        spin_lock(&account->lock);
        keep_report(account, bytes, length, arrival_ns);
        spin_unlock(&account->lock);
        return 0;
    case SR_MEDIA_RTP:
        break;
    }
    arrival = (struct sr_rtp_arrival){
        .arrival_ns = arrival_ns,
        .ssrc = (__force u32)header.ssrc,
        .timestamp = be32_to_cpu(header.timestamp),
        .clock_rate = relay->clock_rate ? relay->clock_rate : sr_clock_rate(header.payload_type & 0x7f),
        .sequence = be16_to_cpu(header.sequence),
    };
    spin_lock(&account->lock);
    result.effect = sr_source_effect(&account->flow, &arrival);
    spin_unlock(&account->lock);
    sr_count_rtp(counters, result.word);
    return 0;
}

u32 sr_account_arrival(struct sr_account *account, const struct sr_relay *relay, const void *header,
                       u32 length, u64 arrival_ns) {
    struct sr_counters *counters = this_cpu_ptr(account->counters);

    counters->last_seen_ns = arrival_ns;
    counters->value[SR_PACKETS_IN]++;
    counters->value[SR_BYTES_IN] += length;
    if (relay->protocol != SR_PROTOCOL_UDP)
        return account_media(account, relay, header, length, arrival_ns);
    spin_lock(&account->lock);
    sr_measure_udp(&account->flow, arrival_ns);
    spin_unlock(&account->lock);
    return 0;
}

void sr_account_residence(struct sr_account *account, u64 arrival_ns) {
    u64 now = ktime_get_real_ns();

    local_bh_disable();
    sr_measure_residence(this_cpu_ptr(account->counters), now > arrival_ns ? now - arrival_ns : 0, 1);
    local_bh_enable();
}
