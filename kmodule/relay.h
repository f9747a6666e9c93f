/* SPDX-License-Identifier: GPL-2.0 */
// Relays of engine upcall: see streamrouter_module.h.
#pragma once

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <net/net_namespace.h>

#include "relay_account.h"
#include "streamrouter_module.h"

struct sr_extension;

enum { SR_RELAY_BUCKETS = 1024 };

// One entry, unchanging but for `is_gone`.
struct sr_relay_record {
    refcount_t references;
    struct hlist_node node;
    // Where packets of it leave. It holds no reference: once the namespace ends `is_gone` is set, and a grace
    // period waited for.
    struct net *net;
    bool is_gone;
    struct sr_relay_key key;
    struct sr_relay relay;
    struct sr_account *account;
    struct sr_extension *extensions[SR_MAX_EXTENSIONS];
    struct rcu_head rcu;
};

// What a network namespace has of them.
struct sr_relay_net {
    // Changes are made one at a time; look-ups go by RCU.
    struct mutex mutex;
    struct hlist_head buckets[SR_RELAY_BUCKETS];
    struct list_head accounts;
    u32 count;
    struct sr_node_counters __percpu *datapath;
};

int sr_relay_start(void);
void sr_relay_stop(void);

struct sr_relay_net *sr_relay_net(const struct net *net);
// Under RCU; NULL where the key names none.
struct sr_relay_record *sr_relay_find(const struct sr_relay_net *relays, const struct sr_relay_key *key);
// False where its last reference is gone already.
static inline bool sr_relay_get(struct sr_relay_record *record) {
    return refcount_inc_not_zero(&record->references);
}
void sr_relay_put(struct sr_relay_record *record);

// relay_entry.c
bool sr_relay_entry_holds(const struct sr_relay_entry *entry);

// Under the namespace's mutex: the account of an index, or NULL.
struct sr_account *sr_relay_account(struct sr_relay_net *relays, u32 index);

// ioctls.
int sr_relay_set(void *argument);
int sr_relay_remove(void *argument);
int sr_relay_list(void *argument);
int sr_relay_read(void *argument);
int sr_datapath_read(void *argument);
