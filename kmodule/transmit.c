// SPDX-License-Identifier: GPL-2.0
// Builds a datagram for each sink and hands it to the kernel's IP, which never waits: what a queue does not
// take is dropped, and counted here.
//
// The payload is where an extension may write it at any moment. It is read once, into the datagram, and the
// checksum is made of what was read.
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/dst.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/udp.h>

#include "packet.h"
#include "relay.h"
#include "transmit.h"

// What all copies of a packet have in common.
struct sr_copy {
    const struct sr_packet *packet;
    struct net *net;
    u8 traffic_class;
};

static u8 hop_limit(const struct sr_copy *copy, const struct sr_sink *sink) {
    return copy->packet->time_to_live - (sink->flags & SR_SINK_LOCAL ? 0 : 1);
}

// A datagram with its UDP header, but for the checksum, and room for what comes before. `sum` is that of the
// payload.
static struct sk_buff *make_datagram(const struct sr_packet *packet, const struct sr_sink *sink,
                                     struct dst_entry *dst, u32 ip_bytes, __wsum *sum) {
    u32 room = LL_RESERVED_SPACE(dst->dev) + dst->header_len + ip_bytes;
    struct sk_buff *skb = alloc_skb(room + sizeof(struct udphdr) + packet->length, GFP_ATOMIC);
    struct udphdr *udp;

    if (!skb)
        return NULL;
    skb_reserve(skb, room);
    udp = skb_put(skb, sizeof(*udp));
    skb_reset_transport_header(skb);
    udp->source = (__force __be16)sink->source_port;
    udp->dest = (__force __be16)sink->destination_port;
    udp->len = htons(sizeof(*udp) + packet->length);
    udp->check = 0;
    *sum = csum_partial_copy_nocheck(sr_packet_payload(packet), skb_put(skb, packet->length), packet->length);
    *sum = csum_partial(udp, sizeof(*udp), *sum);
    skb_dst_set(skb, dst);
    skb->dev = dst->dev;
    return skb;
}

// What the kernel answered to a datagram: 0, or the counter of the cause why this sink got nothing.
static u32 cause_of(int error) {
    return net_xmit_eval(error) ? SR_DROP_SEND : 0;
}

static u32 send_ipv4(const struct sr_copy *copy, const struct sr_sink *sink) {
    const struct sr_packet *packet = copy->packet;
    struct flowi4 flow = {
        .flowi4_proto = IPPROTO_UDP,
        .flowi4_tos = RT_TOS(copy->traffic_class),
        .daddr = (__force __be32)sink->destination[3],
        .saddr = (__force __be32)sink->source[3],
        .fl4_dport = (__force __be16)sink->destination_port,
        .fl4_sport = (__force __be16)sink->source_port,
    };
    struct rtable *route = ip_route_output_key(copy->net, &flow);
    u32 bytes = sizeof(struct iphdr) + sizeof(struct udphdr) + packet->length;
    struct sk_buff *skb;
    struct udphdr *udp;
    struct iphdr *ip;
    __wsum sum;

    if (IS_ERR(route))
        return SR_DROP_ROUTE;
    if (bytes > dst_mtu(&route->dst)) {
        ip_rt_put(route);
        return SR_DROP_MTU;
    }
    skb = make_datagram(packet, sink, &route->dst, sizeof(*ip), &sum);
    if (!skb) {
        ip_rt_put(route);
        return SR_DROP_SEND;
    }
    udp = udp_hdr(skb);
    if (packet->has_checksum)
        udp->check =
            csum_tcpudp_magic(flow.saddr, flow.daddr, ntohs(udp->len), IPPROTO_UDP, sum) ?: CSUM_MANGLED_0;
    ip = skb_push(skb, sizeof(*ip));
    skb_reset_network_header(skb);
    *ip = (struct iphdr){
        .version = 4,
        .ihl = sizeof(*ip) / 4,
        .tos = copy->traffic_class,
        .frag_off = packet->keep_fragment ? 0 : htons(IP_DF),
        .ttl = hop_limit(copy, sink),
        .protocol = IPPROTO_UDP,
        .saddr = flow.saddr,
        .daddr = flow.daddr,
    };
    __ip_select_ident(copy->net, ip, 1);
    skb->protocol = htons(ETH_P_IP);
    // Writes length and checksum of the header.
    return cause_of(ip_local_out(copy->net, NULL, skb));
}

static u32 send_ipv6(const struct sr_copy *copy, const struct sr_sink *sink) {
    const struct sr_packet *packet = copy->packet;
    struct flowi6 flow = {
        .flowi6_proto = IPPROTO_UDP,
        .flowlabel = ip6_make_flowinfo(copy->traffic_class, 0),
        .fl6_dport = (__force __be16)sink->destination_port,
        .fl6_sport = (__force __be16)sink->source_port,
    };
    u32 bytes = sizeof(struct ipv6hdr) + sizeof(struct udphdr) + packet->length;
    struct dst_entry *dst;
    struct sk_buff *skb;
    struct ipv6hdr *ip;
    struct udphdr *udp;
    __wsum sum;

    memcpy(&flow.daddr, sink->destination, sizeof(flow.daddr));
    memcpy(&flow.saddr, sink->source, sizeof(flow.saddr));
    dst = ip6_route_output(copy->net, NULL, &flow);
    if (dst->error) {
        dst_release(dst);
        return SR_DROP_ROUTE;
    }
    if (bytes > dst_mtu(dst)) {
        dst_release(dst);
        return SR_DROP_MTU;
    }
    skb = make_datagram(packet, sink, dst, sizeof(*ip), &sum);
    if (!skb) {
        dst_release(dst);
        return SR_DROP_SEND;
    }
    udp = udp_hdr(skb);
    udp->check =
        csum_ipv6_magic(&flow.saddr, &flow.daddr, ntohs(udp->len), IPPROTO_UDP, sum) ?: CSUM_MANGLED_0;
    ip = skb_push(skb, sizeof(*ip));
    skb_reset_network_header(skb);
    ip6_flow_hdr(ip, copy->traffic_class, 0);
    ip->payload_len = udp->len;
    ip->nexthdr = IPPROTO_UDP;
    ip->hop_limit = hop_limit(copy, sink);
    ip->saddr = flow.saddr;
    ip->daddr = flow.daddr;
    skb->protocol = htons(ETH_P_IPV6);
    return cause_of(ip6_local_out(copy->net, NULL, skb));
}

static u32 send(const struct sr_copy *copy, const struct sr_sink *sink) {
    if (copy->packet->time_to_live <= 1 && !(sink->flags & SR_SINK_LOCAL))
        return SR_DROP_TTL;
    return copy->packet->is_ipv6 ? send_ipv6(copy, sink) : send_ipv4(copy, sink);
}

static void send_to_all(const struct sr_copy *copy) {
    const struct sr_relay_record *record = copy->packet->relay;
    u32 place, cause, sent = 0;

    for (place = 0; place < record->relay.sink_count; place++) {
        if (!(copy->packet->sinks >> place & 1))
            continue;
        cause = send(copy, &record->relay.sinks[place]);
        if (cause)
            sr_account_count(record->account, cause, 1);
        else
            sent++;
    }
    sr_account_count(record->account, SR_PACKETS_OUT, sent);
    sr_account_count(record->account, SR_BYTES_OUT, (u64)sent * copy->packet->length);
    if (sent)
        sr_account_residence(record->account, copy->packet->arrival_ns);
}

// The code point that an extension or the relay wants; congestion bits (RFC 3168) stay as they came.
static u8 class_of(const struct sr_packet *packet) {
    if (packet->dscp > 63)
        return packet->traffic_class;
    return packet->dscp << 2 | (packet->traffic_class & INET_ECN_MASK);
}

void sr_transmit(const struct sr_packet *packet) {
    const struct sr_relay_record *record = packet->relay;
    struct sr_copy copy = {
        .packet = packet,
        .net = record->net,
        .traffic_class = class_of(packet),
    };

    if (!packet->sinks) {
        sr_account_count(record->account, SR_DROP_EXTENSION, 1);
        return;
    }
    rcu_read_lock();
    if (READ_ONCE(record->is_gone))
        sr_account_count(record->account, SR_DROP_ROUTE, 1);
    else
        send_to_all(&copy);
    rcu_read_unlock();
}
