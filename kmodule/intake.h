/* SPDX-License-Identifier: GPL-2.0 */
// From an skb of a relay to packets that its extensions get, one after the other.
#pragma once

#include <linux/skbuff.h>

struct sr_arrival;
struct sr_packet;
struct sr_relay_record;

// Takes in all datagrams of an skb, which stays the caller's. In softirq, under RCU.
void sr_intake(struct sr_relay_record *record, struct sk_buff *skb, const struct sr_arrival *arrival);

// An extension has decided about a packet (enum sr_verdict). In process context.
void sr_packet_judged(struct sr_packet *packet, u32 verdict);
