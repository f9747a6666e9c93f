// SPDX-License-Identifier: GPL-2.0
// The table of relays of each network namespace: look-up by RCU, change of an entry in one step, and the end
// of what belongs to a namespace with it.
#include <linux/in.h>
#include <linux/jhash.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/netns/generic.h>

#include "classifier.h"
#include "extension.h"
#include "packet.h"
#include "relay.h"
#include "upcall.h"

static unsigned int net_id;

struct sr_relay_net *sr_relay_net(const struct net *net) {
    return net_generic(net, net_id);
}

// --- Look-up ---

static u32 bucket_of(const struct sr_relay_key *key) {
    return jhash(key, sizeof(*key), 0) % SR_RELAY_BUCKETS;
}

struct sr_relay_record *sr_relay_find(const struct sr_relay_net *relays, const struct sr_relay_key *key) {
    struct sr_relay_record *record;

    hlist_for_each_entry_rcu(
        record, &relays->buckets[bucket_of(key)], node,
        lockdep_is_held(&relays->mutex)) if (!memcmp(&record->key, key, sizeof(*key))) return record;
    return NULL;
}

// --- Records ---

static void free_record(struct rcu_head *head) {
    kfree(container_of(head, struct sr_relay_record, rcu));
}

void sr_relay_put(struct sr_relay_record *record) {
    u32 place;

    if (!refcount_dec_and_test(&record->references))
        return;
    for (place = 0; place < record->relay.extension_count; place++)
        sr_extension_put(record->extensions[place]);
    sr_account_put(record->account);
    call_rcu(&record->rcu, free_record);
}

// An entry that is no more in the table, or never was: its extensions are named by one less.
static void let_go(struct sr_relay_record *record) {
    u32 place;

    for (place = 0; place < record->relay.extension_count; place++)
        sr_extension_unname(record->extensions[place]);
    sr_relay_put(record);
}

static bool is_ipv4(const u32 address[4]) {
    return !address[0] && !address[1] && address[2] == (__force u32)htonl(0xffff);
}

static bool sources_hold(const struct sr_relay *relay) {
    u32 place, word;

    for (place = 0; place < relay->source_count; place++)
        for (word = 0; word < 4; word++)
            if (relay->sources[place].address[word] & ~relay->sources[place].mask[word])
                return false;
    return true;
}

static bool sinks_hold(const struct sr_relay *relay, bool ipv4) {
    u32 place;

    for (place = 0; place < relay->sink_count; place++) {
        const struct sr_sink *sink = &relay->sinks[place];

        if (is_ipv4(sink->destination) != ipv4 || is_ipv4(sink->source) != ipv4 || !sink->destination_port ||
            sink->flags & ~SR_SINK_LOCAL)
            return false;
    }
    return true;
}

static bool entry_holds(const struct sr_relay_entry *entry) {
    const struct sr_relay *relay = &entry->relay;
    u32 place;

    if (entry->reserved || entry->key.zero || entry->key.protocol != IPPROTO_UDP || !entry->key.port ||
        relay->protocol > SR_PROTOCOL_RTCP || !relay->source_count || relay->source_count > SR_MAX_SOURCES ||
        !relay->sink_count || relay->sink_count > SR_MAX_SINKS ||
        (relay->dscp > 63 && relay->dscp != SR_DSCP_KEEP) || relay->extension_count > SR_MAX_EXTENSIONS ||
        strnlen(relay->stream, SR_NAME_BYTES) == SR_NAME_BYTES)
        return false;
    for (place = 0; place < relay->extension_count; place++)
        if (relay->extensions[place].instance)
            return false;
    return sources_hold(relay) && sinks_hold(relay, is_ipv4(entry->key.address));
}

static int name_extensions(struct sr_relay_record *record) {
    u32 place;

    for (place = 0; place < record->relay.extension_count; place++) {
        struct sr_extension *extension = sr_extension_name(record->relay.extensions[place].slot);

        if (IS_ERR(extension)) {
            while (place--) {
                sr_extension_unname(record->extensions[place]);
                sr_extension_put(record->extensions[place]);
            }
            return PTR_ERR(extension);
        }
        record->extensions[place] = extension;
    }
    return 0;
}

static struct sr_relay_record *make_record(const struct sr_relay_entry *entry, struct net *net) {
    struct sr_relay_record *record = kzalloc(sizeof(*record), GFP_KERNEL);
    int error;

    if (!record)
        return ERR_PTR(-ENOMEM);
    record->key = entry->key;
    record->relay = entry->relay;
    record->net = net;
    refcount_set(&record->references, 1);
    error = name_extensions(record);
    if (!error)
        return record;
    kfree(record);
    return ERR_PTR(error);
}

// --- Accounts, under the namespace's mutex ---

static struct sr_account *account_of(struct sr_relay_net *relays, u32 index) {
    struct sr_account *account;

    list_for_each_entry(account, &relays->accounts, list) if (account->index == index) return account;
    return NULL;
}

// The account of the record's index, made where it is the first of it.
static int join_account(struct sr_relay_net *relays, struct sr_relay_record *record) {
    struct sr_account *account = account_of(relays, record->relay.index);
    int error = 0;

    if (account) {
        refcount_inc(&account->references);
    } else {
        account = sr_account_make(record->relay.index);
        if (!account)
            return -ENOMEM;
        refcount_inc(&account->references);
        list_add(&account->list, &relays->accounts);
    }
    account->entries++;
    record->account = account;
    if (record->relay.protocol != SR_PROTOCOL_UDP)
        error = sr_account_expect_reports(account);
    return error;
}

// The last entry of an index takes the account out of the list; packets that are under way still count in it.
static void leave_account(struct sr_account *account) {
    if (--account->entries)
        return;
    list_del_init(&account->list);
    sr_account_put(account);
}

// --- Changes ---

static void take_out(struct sr_relay_net *relays, struct sr_relay_record *record) {
    hlist_del_rcu(&record->node);
    relays->count--;
    leave_account(record->account);
    let_go(record);
}

// The record goes into the table, or in the place of the one of its key.
static int put_in(struct sr_relay_net *relays, struct sr_relay_record *record,
                  struct sr_relay_record *former) {
    int error;

    if (!former && relays->count >= SR_MODULE_RELAYS)
        return -ENOSPC;
    error = relays->count ? 0 : sr_classifier_begin(record->net);
    if (error)
        return error;
    error = join_account(relays, record);
    if (error) {
        if (record->account)
            leave_account(record->account);
        if (!relays->count)
            sr_classifier_end(record->net);
        return error;
    }
    if (former) {
        hlist_replace_rcu(&former->node, &record->node);
        leave_account(former->account);
        let_go(former);
    } else {
        hlist_add_head_rcu(&record->node, &relays->buckets[bucket_of(&record->key)]);
        relays->count++;
    }
    return 0;
}

// A record that never came into the table.
static void discard(struct sr_relay_record *record) {
    u32 place;

    for (place = 0; place < record->relay.extension_count; place++) {
        sr_extension_unname(record->extensions[place]);
        sr_extension_put(record->extensions[place]);
    }
    if (record->account)
        sr_account_put(record->account);
    kfree(record);
}

int sr_relay_set(void *argument) {
    const struct sr_relay_entry *entry = argument;
    struct net *net = current->nsproxy->net_ns;
    struct sr_relay_net *relays = sr_relay_net(net);
    struct sr_relay_record *record;
    int error;

    if (!entry_holds(entry))
        return -EINVAL;
    record = make_record(entry, net);
    if (IS_ERR(record))
        return PTR_ERR(record);
    mutex_lock(&relays->mutex);
    error = put_in(relays, record, sr_relay_find(relays, &record->key));
    mutex_unlock(&relays->mutex);
    if (error)
        discard(record);
    return error;
}

int sr_relay_remove(void *argument) {
    const struct sr_relay_entry *entry = argument;
    struct net *net = current->nsproxy->net_ns;
    struct sr_relay_net *relays = sr_relay_net(net);
    struct sr_relay_record *record;

    mutex_lock(&relays->mutex);
    record = sr_relay_find(relays, &entry->key);
    if (record) {
        take_out(relays, record);
        if (!relays->count)
            sr_classifier_end(net);
    }
    mutex_unlock(&relays->mutex);
    return record ? 0 : -ENOENT;
}

// --- Reading ---

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
    account = account_of(relays, query->index);
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

    for_each_possible_cpu(cpu) for (place = 0; place < SR_NODE_COUNTER_COUNT; place++) sum.value[place] +=
        READ_ONCE(per_cpu_ptr(relays->datapath, cpu)->value[place]);
    sr_packet_count(&query->places, &query->taken);
    return query->counters && copy_to_user(u64_to_user_ptr(query->counters), &sum, sizeof(sum)) ? -EFAULT : 0;
}

// --- Network namespaces ---

static int __net_init begin_net(struct net *net) {
    struct sr_relay_net *relays = sr_relay_net(net);

    mutex_init(&relays->mutex);
    INIT_LIST_HEAD(&relays->accounts);
    relays->datapath = alloc_percpu(struct sr_node_counters);
    return relays->datapath ? 0 : -ENOMEM;
}

// No descriptor leads here any more, and packets that are under way find `is_gone` before they look at `net`.
static void __net_exit end_net(struct net *net) {
    struct sr_relay_net *relays = sr_relay_net(net);
    struct sr_relay_record *record;
    struct hlist_node *next;
    u32 bucket;

    mutex_lock(&relays->mutex);
    if (relays->count)
        sr_classifier_end(net);
    for (bucket = 0; bucket < SR_RELAY_BUCKETS; bucket++)
        hlist_for_each_entry_safe(record, next, &relays->buckets[bucket], node) {
            WRITE_ONCE(record->is_gone, true);
            take_out(relays, record);
        }
    mutex_unlock(&relays->mutex);
    synchronize_net();
    free_percpu(relays->datapath);
}

static struct pernet_operations net_operations = {
    .init = begin_net,
    .exit = end_net,
    .id = &net_id,
    .size = sizeof(struct sr_relay_net),
};

int sr_relay_start(void) {
    return register_pernet_subsys(&net_operations);
}

void sr_relay_stop(void) {
    unregister_pernet_subsys(&net_operations);
}
