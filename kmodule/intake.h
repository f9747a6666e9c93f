/* SPDX-License-Identifier: GPL-2.0 */
// From an skb of a relay to packets that its extensions get, one after the other.
#pragma once

#include <linux/skbuff.h>

struct sr_arrival;
struct sr_packet;
struct sr_relay_record;

// Takes in all datagrams of an skb, which stays the caller's. In softirq, under RCU.
void sr_intake(struct sr_relay_record *record, struct sk_buff *skb, const struct sr_arrival *arrival);

// Has a datagram leave after the packet, to all of its relay's sinks, with what the packet's headers say.
// Only the first one of a packet, of at most SR_ROW_BYTES; where there is no place for it, it is lost and
// counted.
void sr_packet_make(struct sr_packet *packet, const void *payload, u32 length);

// An extension has decided about a packet (enum sr_verdict). In process context.
void sr_packet_judged(struct sr_packet *packet, u32 verdict);
