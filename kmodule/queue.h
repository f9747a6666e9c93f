/* SPDX-License-Identifier: GPL-2.0 */
// One queue of packets in the order of their time, and the timer that releases them.
#pragma once

#include <linux/hrtimer.h>
#include <linux/rbtree.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <net/net_namespace.h>

#include "streamrouter_module.h"

struct sr_queue {
    // Taken with softirq off: programs, the timer and ioctls meet here.
    spinlock_t lock;
    // By time; those of the same time as they came.
    struct rb_root_cached packets;
    // Releases the first packet. Runs while there is one, on the processor where a packet became the first.
    struct hrtimer timer;
    // Where devices are looked up. Ends after its queues.
    struct net *net;
    struct sr_hold_counts counts;
};

// Why packets leave a queue without having been sent.
enum sr_queue_end { SR_QUEUE_DEVICE, SR_QUEUE_FLUSH, SR_QUEUE_UNLOAD };

struct sr_queue *sr_queue_make(struct net *net, gfp_t how);
// Frees the queue and what it holds. Nobody may use it any more.
void sr_queue_free(struct sr_queue *queue);

int sr_queue_take(struct sr_queue *queue, struct sk_buff *packet, u64 release_ns, u32 ifindex, u32 flags);
// Frees packets, at most `limit`; with an ifindex other than 0 only those for that device.
void sr_queue_drop(struct sr_queue *queue, enum sr_queue_end why, u32 ifindex, u32 limit);
// Adds the queue's counts to a sum.
void sr_queue_count(struct sr_queue *queue, struct sr_hold_counts *sum);
