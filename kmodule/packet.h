/* SPDX-License-Identifier: GPL-2.0 */
// Packets on their way through extensions: places in the area that extensions see, and what we know of each
// packet, which they do not see.
#pragma once

#include <linux/types.h>

#include "sr_extension_upcall.h"

struct sr_relay_record;

// Everything about a packet that an extension cannot change.
struct sr_packet {
    struct sr_relay_record *relay; // referenced
    struct sr_packet *made;        // leaves after it, or NULL; lives by its reference
    u64 arrival_ns;
    u32 sinks; // bit i: sink i gets a copy
    u32 cookie;
    u32 length; // of the payload
    u8 step;    // which of the relay's extensions has it
    u8 is_ipv6;
    u8 time_to_live;
    u8 traffic_class;
    u8 dscp;          // of all copies, or SR_DSCP_KEEP
    u8 keep_fragment; // IPv4: may be fragmented on its way
    u8 has_checksum;
};

int sr_packet_start(void);
void sr_packet_stop(void);

// A place for a payload of that length, or NULL where none is left. Any context but hard interrupts.
struct sr_packet *sr_packet_take(u32 length);
void sr_packet_give_back(struct sr_packet *packet);
// NULL where no packet bears this number.
struct sr_packet *sr_packet_find(u32 cookie);

// What the extension sees of a packet, as we see it, and where it sees it. The payload stands behind it.
struct sr_upcall_packet *sr_packet_shown(const struct sr_packet *packet);
u64 sr_packet_user(const struct sr_packet *packet);
static inline void *sr_packet_payload(const struct sr_packet *packet) {
    return sr_packet_shown(packet) + 1;
}

void sr_packet_count(u32 *places, u32 *taken);
