// SPDX-License-Identifier: GPL-2.0
// What programs are told of the relays of their network namespace, and of what its datapath saw.
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "packet.h"
#include "relay.h"

// Under the namespace's mutex. Returns how many there are.
static u32 fill_list(struct sr_relay_net *relays, struct sr_relay_entry *entries) {
    struct sr_relay_record *record;
    u32 bucket, count = 0;

    for (bucket = 0; bucket < SR_RELAY_BUCKETS; bucket++)
        hlist_for_each_entry(record, &relays->buckets[bucket], node) {
            entries[count].key = record->key;
            entries[count++].relay = record->relay;
        }
    return count;
}

int sr_relay_list(void *argument) {
    struct sr_module_list *list = argument;
    struct sr_relay_net *relays = sr_relay_net(current->nsproxy->net_ns);
    struct sr_relay_entry *entries;
    int error = 0;

    mutex_lock(&relays->mutex);
    list->count = relays->count;
    entries = kvcalloc(max(list->count, 1u), sizeof(*entries), GFP_KERNEL);
    if (!entries)
        error = -ENOMEM;
    else if (list->count > list->capacity)
        error = -ENOSPC;
    else
        fill_list(relays, entries);
    mutex_unlock(&relays->mutex);
    if (!error && copy_to_user(u64_to_user_ptr(list->entries), entries, list->count * sizeof(*entries)))
        error = -EFAULT;
    kvfree(entries);
    return error;
}

// One part of an account, of one moment, to where the caller wants it.
static int give(u64 to, const void *part, size_t bytes, spinlock_t *lock) {
    void *copy;
    int error;

    if (!to)
        return 0;
    copy = kmalloc(bytes, GFP_KERNEL);
    if (!copy)
        return -ENOMEM;
    spin_lock_bh(lock);
    memcpy(copy, part, bytes);
    spin_unlock_bh(lock);
    error = copy_to_user(u64_to_user_ptr(to), copy, bytes) ? -EFAULT : 0;
    kfree(copy);
    return error;
}

static int give_counters(u64 to, const struct sr_account *account) {
    struct sr_counters *sum;
    int error;

    if (!to)
        return 0;
    sum = kmalloc(sizeof(*sum), GFP_KERNEL);
    if (!sum)
        return -ENOMEM;
    sr_account_sum(account, sum);
    error = copy_to_user(u64_to_user_ptr(to), sum, sizeof(*sum)) ? -EFAULT : 0;
    kfree(sum);
    return error;
}

int sr_relay_read(void *argument) {
    const struct sr_relay_query *query = argument;
    struct sr_relay_net *relays = sr_relay_net(current->nsproxy->net_ns);
    struct sr_account *account;
    int error = -ENOENT;

    mutex_lock(&relays->mutex);
    account = sr_relay_account(relays, query->index);
    if (account) {
        error = give_counters(query->counters, account);
        if (!error)
            error = give(query->flow, &account->flow, sizeof(account->flow), &account->lock);
        if (!error && account->reports)
            error = give(query->reports, account->reports, sizeof(*account->reports), &account->lock);
        else if (!error && query->reports &&
                 clear_user(u64_to_user_ptr(query->reports), sizeof(struct sr_reports)))
            error = -EFAULT;
    }
    mutex_unlock(&relays->mutex);
    return error;
}

int sr_datapath_read(void *argument) {
    struct sr_datapath_query *query = argument;
    struct sr_relay_net *relays = sr_relay_net(current->nsproxy->net_ns);
    struct sr_node_counters sum = {};
    u32 place;
    int cpu;

    for_each_possible_cpu(cpu)
        for (place = 0; place < SR_NODE_COUNTER_COUNT; place++)
            sum.value[place] += READ_ONCE(per_cpu_ptr(relays->datapath, cpu)->value[place]);
    sr_packet_count(&query->places, &query->taken);
    return query->counters && copy_to_user(u64_to_user_ptr(query->counters), &sum, sizeof(sum)) ? -EFAULT : 0;
}
