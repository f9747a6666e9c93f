/* SPDX-License-Identifier: GPL-2.0 */
// Packets that are held until their time: the queues of each network namespace, found by number, and what
// they may take in all.
#pragma once

#include <linux/skbuff.h>

// Takes a copy of the packet into a queue of the packet's network namespace, which is
// made where there is none. Errors are those of sr_packet_hold() in kfuncs.c. Any context in which a TC
// program runs.
int sr_hold_take(struct sk_buff *packet, u64 release_ns, u32 number, u32 ifindex, u32 flags);
// Frees packets of a queue, those with the nearest time first, at most `limit`. Answers how many are left.
int sr_hold_drop(struct net *net, u32 number, u32 limit);
int sr_hold_length(struct net *net, u32 number);

// The ioctls.
int sr_hold_read(void *query);
int sr_hold_flush_asked(void *query);

int sr_hold_start(void);
void sr_hold_stop(void);
