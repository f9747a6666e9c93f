/* SPDX-License-Identifier: GPL-2.0 */
// Packets that are held until their time: see struct sr_hold_counts.
#pragma once

#include <linux/skbuff.h>

// Takes a copy of the packet (its bytes are shared) and hands it to the device at `release_ns`; for the
// errors see kfuncs.c. Any context in which a TC program runs.
int sr_hold_take(struct sk_buff *packet, u64 release_ns, u32 queue, u32 ifindex, u32 flags);
// Frees packets of the queue of this namespace, those with the nearest time first, at most `limit`. Answers
// how many are left.
int sr_hold_drop(struct net *net, u32 queue, u32 limit);

// The ioctls.
int sr_hold_read(void *query);
int sr_hold_flush_asked(void *query);

int sr_hold_start(void);
void sr_hold_stop(void);
