// SPDX-License-Identifier: GPL-2.0
// The way of a packet: allowed, whole, accounted for, copied to where extensions see it, through the chain,
// on to the sinks. Every way out of here but the last has a counter.
#include <linux/ktime.h>

#include "classifier.h"
#include "extension.h"
#include "intake.h"
#include "packet.h"
#include "relay.h"
#include "transmit.h"

static bool source_allowed(const struct sr_relay *relay, const u32 source[4]) {
    u32 place;

    for (place = 0; place < relay->source_count; place++) {
        const struct sr_prefix *prefix = &relay->sources[place];

        if (!(((source[0] & prefix->mask[0]) ^ prefix->address[0]) |
              ((source[1] & prefix->mask[1]) ^ prefix->address[1]) |
              ((source[2] & prefix->mask[2]) ^ prefix->address[2]) |
              ((source[3] & prefix->mask[3]) ^ prefix->address[3])))
            return true;
    }
    return false;
}

// The packet is over, whatever became of it; what was made of it leaves.
static void end_packet(struct sr_packet *packet) {
    struct sr_relay_record *record = packet->relay;

    if (packet->made) {
        sr_transmit(packet->made);
        sr_packet_give_back(packet->made);
    }
    sr_packet_give_back(packet);
    sr_relay_put(record);
}

static void drop(struct sr_packet *packet, enum sr_counter cause) {
    sr_account_count(packet->relay->account, cause, 1);
    end_packet(packet);
}

// On to the next extension of the chain, or to the sinks after the last.
static void advance(struct sr_packet *packet) {
    const struct sr_relay_record *record = packet->relay;

    if (packet->step == record->relay.extension_count) {
        sr_transmit(packet);
        end_packet(packet);
        return;
    }
    switch (sr_extension_post(record->extensions[packet->step], packet)) {
    case 0:
        break;
    case -ENOSPC:
        drop(packet, SR_DROP_QUEUE);
        break;
    default:
        drop(packet, SR_DROP_EXTENSION_FAULT);
    }
}

static u32 all_sinks(const struct sr_relay *relay) {
    return (1u << relay->sink_count) - 1;
}

void sr_packet_make(struct sr_packet *packet, const void *payload, u32 length) {
    struct sr_relay_record *record = packet->relay;
    struct sr_packet *made;
    u32 cookie;

    if (packet->made || !length || length > SR_ROW_BYTES)
        return;
    made = sr_packet_take(length);
    if (!made) {
        sr_account_count(record->account, SR_DROP_SEND, 1);
        return;
    }
    cookie = made->cookie;
    *made = *packet;
    made->cookie = cookie;
    made->length = length;
    made->sinks = all_sinks(&record->relay);
    made->dscp = record->relay.dscp;
    made->has_checksum = true;
    memcpy(sr_packet_payload(made), payload, length);
    packet->made = made;
    sr_account_count(record->account, SR_PACKETS_MADE, 1);
}

void sr_packet_judged(struct sr_packet *packet, u32 verdict) {
    switch (verdict) {
    case SR_VERDICT_FORWARD:
        packet->step++;
        advance(packet);
        break;
    case SR_VERDICT_DROP:
        drop(packet, SR_DROP_EXTENSION);
        break;
    default:
        drop(packet, SR_DROP_EXTENSION_FAULT);
    }
}

// Writes what extensions see.
static int show(struct sr_packet *packet, const struct sk_buff *skb, const struct sr_arrival *arrival,
                u32 offset) {
    const struct sr_relay *relay = &packet->relay->relay;
    struct sr_upcall_packet *shown = sr_packet_shown(packet);
    u32 headers = min_t(u32, arrival->ip_bytes, sizeof(shown->datagram.ip));

    shown->call = (struct sr_call){
        .arrival_ns = packet->arrival_ns,
        .udp_offset = arrival->ip_bytes,
        .payload_length = packet->length,
        .hop = relay->hop,
        .protocol = relay->protocol,
        .sink_count = relay->sink_count,
        .is_ipv6 = arrival->is_ipv6,
        .source_port = arrival->source_port,
        .stream = relay->index,
    };
    memset(&shown->datagram, 0, sizeof(shown->datagram));
    if (skb_copy_bits(skb, skb_network_offset(skb), shown->datagram.ip, headers))
        return -EFAULT;
    return skb_copy_bits(skb, offset, shown + 1, packet->length);
}

static struct sr_packet *begin_packet(struct sr_relay_record *record, const struct sr_arrival *arrival,
                                      u32 length, u64 arrival_ns) {
    struct sr_packet *packet;

    if (!sr_relay_get(record))
        return NULL;
    packet = sr_packet_take(length);
    if (!packet) {
        sr_relay_put(record);
        return NULL;
    }
    packet->relay = record;
    packet->made = NULL;
    packet->sinks = all_sinks(&record->relay);
    packet->dscp = record->relay.dscp;
    packet->arrival_ns = arrival_ns;
    packet->length = length;
    packet->step = 0;
    packet->is_ipv6 = arrival->is_ipv6;
    packet->time_to_live = arrival->time_to_live;
    packet->traffic_class = arrival->traffic_class;
    packet->keep_fragment = arrival->keep_fragment;
    packet->has_checksum = arrival->has_checksum;
    return packet;
}

static void take_in(struct sr_relay_record *record, const struct sk_buff *skb,
                    const struct sr_arrival *arrival, u32 offset, u32 length, u64 arrival_ns) {
    u8 space[SR_REPORT_BYTES];
    const void *header = skb_header_pointer(skb, offset, min_t(u32, length, sizeof(space)), space);
    struct sr_packet *packet;
    u32 cause = SR_DROP_MALFORMED;

    if (header)
        cause = sr_account_arrival(record->account, &record->relay, header, length, arrival_ns);
    if (cause) {
        sr_account_count(record->account, cause, 1);
        return;
    }
    packet = begin_packet(record, arrival, length, arrival_ns);
    if (!packet) {
        sr_account_count(record->account, length > SR_PACKET_BYTES ? SR_DROP_SEND : SR_DROP_QUEUE, 1);
        return;
    }
    if (show(packet, skb, arrival, offset))
        drop(packet, SR_DROP_SEND);
    else
        advance(packet);
}

void sr_intake(struct sr_relay_record *record, struct sk_buff *skb, const struct sr_arrival *arrival) {
    u32 datagrams =
        arrival->segment_length ? DIV_ROUND_UP(arrival->payload_length, arrival->segment_length) : 1;
    // A time at which a sender on this machine wanted it to leave is none of arrival.
    ktime_t stamp = skb_tstamp(skb);
    u64 arrival_ns = stamp ? ktime_to_ns(stamp) : ktime_get_real_ns();
    u32 offset = arrival->payload_offset, left = arrival->payload_length, index;
    enum sr_counter cause = SR_COUNTER_COUNT;

    if (!source_allowed(&record->relay, arrival->source))
        cause = SR_DROP_SOURCE;
    else if (arrival->is_malformed)
        cause = SR_DROP_MALFORMED;
    else if (arrival->is_first_fragment)
        cause = SR_DROP_FRAGMENT;
    if (cause != SR_COUNTER_COUNT) {
        sr_account_count(record->account, cause, datagrams);
        return;
    }
    for (index = 0; index < datagrams && index < SR_MAX_SEGMENTS; index++) {
        u32 length = min(left, arrival->segment_length);

        take_in(record, skb, arrival, offset, length, arrival_ns);
        offset += length;
        left -= length;
    }
    if (index < datagrams)
        sr_account_count(record->account, SR_DROP_TRAIN, datagrams - index);
}
