/* SPDX-License-Identifier: GPL-2.0 */
// Which of a network namespace's packets are a relay's: asked by netfilter before anything else looks at
// them.
#pragma once

#include <linux/skbuff.h>
#include <linux/types.h>

#include "streamrouter_module.h"

// A datagram as its headers say, or several, where the kernel has put some of one source together (GRO).
struct sr_arrival {
    struct sr_relay_key key;
    u32 source[4];
    u16 source_port;
    u32 ip_bytes; // of the header, with what stands between it and UDP
    u32 payload_offset;
    u32 payload_length;
    u32 segment_length; // of each datagram but the last
    bool is_ipv6;
    bool is_first_fragment;
    bool is_malformed;
    bool keep_fragment;
    bool has_checksum;
    u8 time_to_live;
    u8 traffic_class;
};

// In the namespace's own packets, from its first relay to its last.
int sr_classifier_begin(struct net *net);
void sr_classifier_end(struct net *net);
