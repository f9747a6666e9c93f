// SPDX-License-Identifier: GPL-2.0
// The table of relays of each network namespace: look-up by RCU, change of an entry in one step, and the end
// of what belongs to a namespace with it.
#include <linux/jhash.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
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

    hlist_for_each_entry_rcu(record, &relays->buckets[bucket_of(key)], node, lockdep_is_held(&relays->mutex))
        if (!memcmp(&record->key, key, sizeof(*key)))
            return record;
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

struct sr_account *sr_relay_account(struct sr_relay_net *relays, u32 index) {
    struct sr_account *account;

    list_for_each_entry(account, &relays->accounts, list)
        if (account->index == index)
            return account;
    return NULL;
}

// The account of the record's index, made where it is the first of it.
static int join_account(struct sr_relay_net *relays, struct sr_relay_record *record) {
    struct sr_account *account = sr_relay_account(relays, record->relay.index);
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
        // Who found the former one meanwhile has taken hold of it, and handed its packet to the extensions:
        // whoever unloads them from here on finds it waiting there.
        synchronize_rcu_expedited();
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

    if (!sr_relay_entry_holds(entry))
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
