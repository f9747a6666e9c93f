// ICMP errors about connections in packet mode: what a router, or the other end's kernel, says about a
// segment that this node sent goes on to the end whose segment it was, in that end's own addresses and ports
// (RFC 5508 section 4.2, RFC 4443 section 3). Both ends judge it by the sequence number that it quotes, which
// no hop changes.
#ifndef SR_ICMP_H
#define SR_ICMP_H

#include "tcp.h"

enum {
    SR_ICMP_HEADER = 8, // type, code, checksum, and a word that depends on the type
    SR_ICMP_CHECK = 2,  // offset of the checksum
    SR_IPV4_CHECK = 10,
    SR_IPV4_SOURCE = 12,
    SR_IPV6_SOURCE = 8,
    // RFC 792, spelled out since <linux/icmp.h> is no header for BPF.
    SR_ICMP_UNREACHABLE = 3,
    SR_ICMP_TIME_EXCEEDED = 11,
    SR_ICMP_PARAMETER = 12,
    SR_ICMPV6_UNREACHABLE = 1, // RFC 4443 section 3.1
    SR_ICMPV6_PARAMETER = 4,   // section 3.4: the last of the errors about single packets
};

// Reads the segment that an error quotes into `segment->key`, as it was sent, and its reverse into
// `segment->reply_key`. Returns where its IP header stands, or 0 where it is no error about a segment.
static __always_inline __u32 sr_quoted(struct __sk_buff *skb, struct sr_segment *segment) {
    __u32 l4 = segment->l4 & 0x7f;
    __u8 type;
    if (bpf_skb_load_bytes(skb, l4, &type, 1))
        return 0;
    __u32 inner = l4 + SR_ICMP_HEADER;
    __u32 inner_l4;
    struct sr_connection_key *key = &segment->key;
    if (segment->is_ipv6) {
        struct ipv6hdr ip;
        if (segment->transport != IPPROTO_ICMPV6 || type < SR_ICMPV6_UNREACHABLE ||
            type > SR_ICMPV6_PARAMETER)
            return 0;
        if (bpf_skb_load_bytes(skb, inner, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_TCP)
            return 0;
        __builtin_memcpy(key->source, &ip.saddr, 16);
        __builtin_memcpy(key->destination, &ip.daddr, 16);
        inner_l4 = inner + sizeof(ip);
    } else {
        struct iphdr ip;
        if (segment->transport != IPPROTO_ICMP ||
            (type != SR_ICMP_UNREACHABLE && type != SR_ICMP_TIME_EXCEEDED && type != SR_ICMP_PARAMETER))
            return 0;
        if (bpf_skb_load_bytes(skb, inner, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
            ip.protocol != IPPROTO_TCP || bpf_ntohs(ip.frag_off) & SR_IPV4_OFFSET_BITS)
            return 0;
        key->source[0] = key->source[1] = key->destination[0] = key->destination[1] = 0;
        key->source[2] = key->destination[2] = bpf_htonl(0xffff);
        key->source[3] = ip.saddr;
        key->destination[3] = ip.daddr;
        inner_l4 = inner + ip.ihl * 4;
    }
    if (bpf_skb_load_bytes(skb, inner_l4, &key->source_port, 4))
        return 0;
    // The error goes to whom the packet came from.
    if (!sr_words_equal(segment->outer_destination, key->source))
        return 0;
    segment->inner_l4 = inner_l4;
    struct sr_connection_key *reply = &segment->reply_key;
    __builtin_memcpy(reply->source, key->destination, 16);
    __builtin_memcpy(reply->destination, key->source, 16);
    reply->source_port = key->destination_port;
    reply->destination_port = key->source_port;
    return inner;
}

// Writes the quoted segment as the end knows it that sent it, and the checksums that cover it. Returns 0, or
// a negative errno.
static __always_inline int sr_requote(struct __sk_buff *skb, const struct sr_segment *segment, __u32 inner,
                                      const struct sr_ends *ends) {
    const struct sr_connection_key *key = &segment->key;
    __u64 addresses = 0;
    for (int i = 0; i < 4; i++) {
        addresses = sr_sum_change(addresses, key->source[i], ends->source[i]);
        addresses = sr_sum_change(addresses, key->destination[i], ends->destination[i]);
    }
    __u64 change = addresses;
    long failed = 0;
    if (segment->is_ipv6) {
        failed |= bpf_skb_store_bytes(skb, inner + SR_IPV6_SOURCE, ends->source, 16, 0);
        failed |= bpf_skb_store_bytes(skb, inner + SR_IPV6_SOURCE + 16, ends->destination, 16, 0);
    } else {
        __u16 check;
        failed |= bpf_skb_load_bytes(skb, inner + SR_IPV4_CHECK, &check, 2);
        __u16 after = ~sr_fold16(addresses + (__u16)~check);
        failed |= bpf_skb_store_bytes(skb, inner + SR_IPV4_CHECK, &after, 2, 0);
        failed |= bpf_skb_store_bytes(skb, inner + SR_IPV4_SOURCE, &ends->source[3], 4, 0);
        failed |= bpf_skb_store_bytes(skb, inner + SR_IPV4_SOURCE + 4, &ends->destination[3], 4, 0);
        change = sr_sum_change(change, check, after);
    }
    __u16 ports[2] = {ends->source_port, ends->destination_port};
    failed |= bpf_skb_store_bytes(skb, segment->inner_l4 & 0xff, ports, 4, 0);
    change = sr_sum_change(change, key->source_port, ends->source_port);
    change = sr_sum_change(change, key->destination_port, ends->destination_port);
    __u32 folded = sr_fold32(change);
    if (folded && folded != 0xffffffff)
        failed |= bpf_l4_csum_replace(skb, (segment->l4 & 0x7f) + SR_ICMP_CHECK, 0, folded, 0);
    return failed ? -1 : 0;
}

// Addresses the error itself. Returns 0, or the counter of the cause to drop it for.
static __always_inline __u32 sr_readdress(struct __sk_buff *skb, const struct sr_segment *segment,
                                          const __u32 source[4], const __u32 destination[4]) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    __u32 l3 = segment->l3 & 0x1f;
    __u64 change = 0;
    if (segment->is_ipv6) {
        struct ipv6hdr *ip = data + l3;
        if ((void *)(ip + 1) > end)
            return SR_DROP_MALFORMED;
        if (ip->hop_limit <= 1)
            return SR_DROP_TTL;
        __u64 uncovered_change = sr_age_ipv6(ip, 1, SR_DSCP_KEEP);
        __u32 *from = (__u32 *)&ip->saddr;
        __u32 *to = (__u32 *)&ip->daddr;
        for (int i = 0; i < 4; i++) {
            change = sr_sum_change(change, from[i], source[i]);
            change = sr_sum_change(change, to[i], destination[i]);
            from[i] = source[i];
            to[i] = destination[i];
        }
        // ICMPv6 has the addresses in its checksum (RFC 4443 section 2.3).
        __u32 check = (segment->l4 & 0x7f) + SR_ICMP_CHECK;
        __u32 folded = sr_fold32(change);
        // ENOTSUPP where no device made such a checksum: nothing to keep right then.
        bpf_csum_update(skb, sr_fold32(uncovered_change));
        if (bpf_l4_csum_replace(skb, check, 0, folded, BPF_F_PSEUDO_HDR | BPF_F_IPV6) &&
            bpf_l4_csum_replace(skb, check, 0, folded, BPF_F_PSEUDO_HDR))
            return SR_DROP_SEND;
        return 0;
    }
    struct iphdr *ip = data + l3;
    if ((void *)(ip + 1) > end)
        return SR_DROP_MALFORMED;
    if (ip->ttl <= 1)
        return SR_DROP_TTL;
    change = sr_sum_change(change, ip->saddr, source[3]);
    change = sr_sum_change(change, ip->daddr, destination[3]);
    change = sr_age_ipv4(ip, 1, SR_DSCP_KEEP, change);
    ip->saddr = source[3];
    ip->daddr = destination[3];
    ip->check = ~sr_fold16(change + (__u16)~ip->check);
    return 0;
}

// Passes an ICMP error on that sr_tcp() found to be no TCP. Returns as that does. A global function, so that
// the verifier looks at it by itself.
__noinline int sr_icmp_error(struct __sk_buff *skb, struct sr_settings *setting) {
    __u32 zero = 0;
    struct sr_segment *segment = bpf_map_lookup_elem(&segment_memory, &zero);
    if (!segment || !setting)
        return SR_PASSED + SR_NODE_PASSED_NOT_UDP;
    __u32 inner = sr_quoted(skb, segment);
    if (!inner)
        return SR_PASSED + SR_NODE_PASSED_NOT_UDP;
    const struct sr_connection_key *key = bpf_map_lookup_elem(&replies, &segment->reply_key);
    int about_sink = key != 0;
    if (!key)
        key = &segment->reply_key;
    struct sr_connection *connection = bpf_map_lookup_elem(&connections, key);
    if (!connection)
        return SR_PASSED + SR_NODE_PASSED_NOT_UDP;
    struct sr_relay *relay = bpf_map_lookup_elem(&relays, &connection->relay);
    __u32 index = connection->index;
    struct sr_counters *account = bpf_map_lookup_elem(&counters, &index);
    if (!account || !relay || relay->index != index)
        return SR_PASSED + SR_NODE_PASSED_NOT_UDP;
    if (segment->tags)
        return sr_drop(account, SR_DROP_MALFORMED, 1);

    const struct sr_sink *sink = &connection->sink;
    struct sr_ends ends;
    if (about_sink) {
        // What the source had sent.
        ends.source = key->source;
        ends.source_port = key->source_port;
        ends.destination = key->destination;
        ends.destination_port = key->destination_port;
        if (!(connection->flags & (SR_CONNECTION_ANSWERED | SR_CONNECTION_ENDED))) {
            account->value[SR_TCP_REFUSED]++;
            __sync_fetch_and_or(&connection->flags, SR_CONNECTION_ENDED);
        }
    } else {
        // What the sink had sent.
        ends.source = sink->destination;
        ends.source_port = sink->destination_port;
        ends.destination = sink->source;
        ends.destination_port = sink->source_port;
    }
    if (sr_requote(skb, segment, inner, &ends))
        return sr_drop(account, SR_DROP_MALFORMED, 1);
    // From this node, to whom the segment came from.
    __u32 cause = sr_readdress(skb, segment, ends.destination, ends.source);
    if (cause)
        return sr_drop(account, cause, 1);
    struct sr_way way = {ends.destination, ends.source, 0, 0};
    struct sr_kept_route *kept = &segment->connection.to_sink;
    segment->arrival_ns = sr_now_ns(setting);
    long found = sr_find_way(skb, segment, &way, kept, 0);
    if (found != BPF_FIB_LKUP_RET_SUCCESS)
        return sr_drop(account, sr_route_drop(found), 1);
    if (sr_set_link_addresses(skb, kept))
        return sr_drop(account, SR_DROP_SEND, 1);
    account->value[SR_ICMP_TRANSLATED]++;
    return bpf_redirect(kept->interface, kept->interface == SR_LOOPBACK_IFINDEX ? BPF_F_INGRESS : 0);
}

#endif
