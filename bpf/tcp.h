// TCP in packet mode: the segments of a connection pass through, rewritten, in both directions.
//
//     source C:c ──▶ A:a ingress │ relay │ own S:s ──▶ D:d sink
//     source C:c ◀── A:a         │       │     S:s ◀── D:d
//
// A SYN from an allowed source makes the connection and takes a source port `s`; the sequence numbers stay as
// they are, so the two ends have one connection with each other, with all its options. A segment of no
// connection is left to this node's own stack: nothing listens there, so it answers RST (RFC 9293
// section 3.10.7.1). What goes to an address of this node is handed to lo, as if this node had sent it: its
// answers come back there.
#ifndef SR_TCP_H
#define SR_TCP_H

#include <linux/tcp.h>
#include "account.h"
#include "forward.h"
#include "measure.h"

// Connections by what segments from the source carry.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, SR_DEFAULT_CONNECTIONS);
    __type(key, struct sr_connection_key);
    __type(value, struct sr_connection);
} connections SEC(".maps");

// The key of a connection by what segments from the sink carry.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, SR_DEFAULT_CONNECTIONS);
    __type(key, struct sr_connection_key);
    __type(value, struct sr_connection_key);
} replies SEC(".maps");

// What the node found when it went through the connections, by the relay's index; written by the node alone.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SR_DEFAULT_RELAYS);
    __type(key, __u32);
    __type(value, struct sr_sweep);
} sweeps SEC(".maps");

enum {
    SR_TCP_FIN = 1,
    SR_TCP_SYN = 2,
    SR_TCP_RST = 4,
    SR_TCP_ACK = 16,
    SR_TCP_CHECK = 16,   // offset of the checksum in the header
    SR_MSS_OPTION = 2,   // RFC 9293 section 3.2, kind 2
    SR_TCP_OPTIONS = 40, // bytes of options at most
    // Options as nearly all stacks lay them out: NOP, NOP, timestamps (RFC 7323 appendix A), and in a SYN
    // behind the MSS: SACK permitted, timestamps.
    SR_OPTIONS_STAMP = 0x0101080a,
    SR_OPTIONS_SYN_STAMP = 0x0402080a,
    // An unanswered time stamp is given up for another one.
    SR_STAMP_SECONDS = 60,
    // Return values above: the packet is passed on, for the node counter of this number.
    SR_PASSED = 0x100,
};

// The way through the options of a SYN.
struct sr_option_search {
    __u32 length; // of the options
    __u32 next;   // where the next one begins
    __u32 found;  // one behind where the MSS begins; 0: it is not found
    __u8 options[SR_TCP_OPTIONS];
};

// What is known of the segment at hand.
struct sr_segment {
    struct sr_connection_key key; // as it came
    struct sr_connection_key reply_key;
    struct sr_connection connection; // a new one, until it stands in the map
    __u64 arrival_ns;
    __u32 l3, l4;
    __u32 header; // bytes of the TCP header
    __u32 payload;
    __u32 segments;    // of a GSO packet, else 1
    __u32 wire_length; // bytes of each, from the IP header on
    __u32 sequence;    // host order
    __u32 stamp, echo; // TSval and TSecr, host order, where has_stamp
    __u8 has_stamp;
    __u8 flags; // SR_TCP_...
    __u8 is_ipv6;
    __u8 malformed;
    __u8 tags;
    __u8 transport;             // what the IP header names
    __u32 outer_destination[4]; // of an ICMP error
    struct sr_option_search search;
    struct bpf_fib_lookup route; // what the FIB was asked last, and answered
    __u32 inner_l4;              // where the segment's ports stand that it quotes
};

// Memory for it, too large for the stack.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sr_segment);
} segment_memory SEC(".maps");

static __always_inline int sr_words_equal(const __u32 a[4], const __u32 b[4]) {
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

// Fills `segment` from the linear part. Returns SR_NODE_COUNTER_COUNT where it is TCP, else the counter for
// which it is passed on.
static __always_inline __u32 sr_parse_segment(struct __sk_buff *skb, struct sr_segment *segment) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    struct ethhdr *ethernet = data;
    if ((void *)(ethernet + 1) > end)
        return SR_NODE_PASSED_SHORT;
    __be16 type = ethernet->h_proto;
    __u32 l3 = ETH_HLEN;
    __u8 tags = skb->vlan_present ? 1 : 0;
    if (sr_skip_tags(data, end, &type, &l3, &tags))
        return SR_NODE_PASSED_SHORT;
    struct sr_connection_key *key = &segment->key;
    __u32 l4, ip_end;
    if (type == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = data + l3;
        if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
            return SR_NODE_PASSED_SHORT;
        segment->is_ipv6 = 0;
        segment->l3 = l3;
        segment->l4 = l3 + ip->ihl * 4;
        segment->tags = tags;
        segment->transport = ip->protocol;
        segment->wire_length = bpf_ntohs(ip->tot_len);
        if (ip->protocol != IPPROTO_TCP) {
            segment->outer_destination[0] = segment->outer_destination[1] = 0;
            segment->outer_destination[2] = bpf_htonl(0xffff);
            segment->outer_destination[3] = ip->daddr;
            return SR_NODE_PASSED_NOT_UDP;
        }
        if (bpf_ntohs(ip->frag_off) & SR_IPV4_FRAGMENT_BITS)
            return SR_NODE_PASSED_FRAGMENT;
        key->source[0] = key->source[1] = key->destination[0] = key->destination[1] = 0;
        key->source[2] = key->destination[2] = bpf_htonl(0xffff);
        key->source[3] = ip->saddr;
        key->destination[3] = ip->daddr;
        l4 = l3 + ip->ihl * 4;
        ip_end = l3 + bpf_ntohs(ip->tot_len);
    } else if (type == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip = data + l3;
        if ((void *)(ip + 1) > end || ip->version != 6)
            return SR_NODE_PASSED_SHORT;
        segment->is_ipv6 = 1;
        segment->l3 = l3;
        segment->l4 = l3 + sizeof(*ip);
        segment->tags = tags;
        segment->transport = ip->nexthdr;
        segment->wire_length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
        if (ip->nexthdr != IPPROTO_TCP) {
            __builtin_memcpy(segment->outer_destination, &ip->daddr, 16);
            return SR_NODE_PASSED_NOT_UDP;
        }
        // RFC 4291 section 2.5.5.2 has no place for mapped addresses on a wire; in the tables they mean IPv4.
        const __u32 *to = (const __u32 *)&ip->daddr;
        const __u32 *from = (const __u32 *)&ip->saddr;
        if (!to[0] && !to[1] && to[2] == bpf_htonl(0xffff))
            return SR_NODE_PASSED_UNKNOWN;
        if (!from[0] && !from[1] && from[2] == bpf_htonl(0xffff))
            return SR_NODE_PASSED_UNKNOWN;
        __builtin_memcpy(key->source, from, 16);
        __builtin_memcpy(key->destination, to, 16);
        l4 = l3 + sizeof(*ip);
        ip_end = l4 + bpf_ntohs(ip->payload_len);
    } else {
        return SR_NODE_PASSED_NOT_IP;
    }
    struct tcphdr *tcp = data + l4;
    if ((void *)(tcp + 1) > end)
        return SR_NODE_PASSED_SHORT;
    __u32 header = tcp->doff * 4;
    key->source_port = tcp->source;
    key->destination_port = tcp->dest;
    segment->header = header;
    segment->flags = ((__u8 *)tcp)[13];
    segment->sequence = bpf_ntohl(tcp->seq);
    segment->malformed = header < sizeof(*tcp) || l4 + header > ip_end || ip_end > skb->len;
    segment->payload = ip_end - l4 - header;
    segment->segments = 1;
    segment->wire_length = ip_end - l3;
    __u32 gso_size = skb->gso_size;
    if (gso_size && gso_size < segment->payload && !segment->malformed) {
        segment->segments = (segment->payload + gso_size - 1) / gso_size;
        segment->wire_length = l4 - l3 + header + gso_size;
    }
    segment->has_stamp = 0;
    __be32 *options = (__be32 *)(tcp + 1);
    if (header >= sizeof(*tcp) + 12 && (void *)(options + 3) <= end) {
        if (options[0] == bpf_htonl(SR_OPTIONS_STAMP)) {
            segment->has_stamp = 1;
            segment->stamp = bpf_ntohl(options[1]);
            segment->echo = bpf_ntohl(options[2]);
        } else if (segment->flags & SR_TCP_SYN && header >= sizeof(*tcp) + 16 &&
                   (void *)(options + 4) <= end && options[1] == bpf_htonl(SR_OPTIONS_SYN_STAMP)) {
            segment->has_stamp = 1;
            segment->stamp = bpf_ntohl(options[2]);
            segment->echo = bpf_ntohl(options[3]);
        }
    }
    return SR_NODE_COUNTER_COUNT;
}

// A way that one of the two directions takes.
struct sr_way {
    const __u32 *source;
    const __u32 *destination;
    __u16 source_port;
    __u16 destination_port;
};

// Asks the FIB for the way and keeps what it says; what leads to this node itself is kept as lo. Returns
// BPF_FIB_LKUP_RET_..., or a negative errno.
static __always_inline long sr_find_way(struct __sk_buff *skb, struct sr_segment *segment,
                                        const struct sr_way *way, struct sr_kept_route *kept,
                                        __u32 generation) {
    struct bpf_fib_lookup *route = &segment->route;
    long found = sr_ask_fib(skb, segment->is_ipv6, IPPROTO_TCP, way->source, way->source_port,
                            way->destination, way->destination_port, segment->wire_length, route);
    if (found == BPF_FIB_LKUP_RET_NOT_FWDED) {
        route->ifindex = SR_LOOPBACK_IFINDEX;
        route->mtu_result = 0xffff;
        __builtin_memset(route->dmac, 0, ETH_ALEN);
        __builtin_memset(route->smac, 0, ETH_ALEN);
        found = BPF_FIB_LKUP_RET_SUCCESS;
    }
    if (found == BPF_FIB_LKUP_RET_SUCCESS)
        sr_keep_route(kept, route, segment->arrival_ns, generation);
    return found;
}

static __always_inline int sr_way_holds(const struct sr_kept_route *kept, const struct sr_segment *segment,
                                        __u32 generation) {
    return kept->generation == generation && kept->until_ns - segment->arrival_ns <= SR_ROUTE_VALID_NS &&
           segment->wire_length <= kept->mtu;
}

// Looks at one place of the options: a callback of bpf_loop(), which ends where it returns 1.
static long sr_option_step(__u32 at, __attribute__((unused)) void *nothing) {
    __u32 zero = 0;
    struct sr_segment *segment = bpf_map_lookup_elem(&segment_memory, &zero);
    if (!segment)
        return 1;
    struct sr_option_search *search = &segment->search;
    if (at < search->next)
        return 0;
    // Four bytes from here on, of an MSS, must be there.
    if (at > SR_TCP_OPTIONS - 4 || at + 4 > search->length)
        return 1;
    __u8 kind = search->options[at], length = search->options[at + 1];
    if (kind == 1)
        return 0;
    if (kind == SR_MSS_OPTION && length == 4)
        search->found = at + 1;
    if (kind == 0 || search->found || length < 2)
        return 1;
    search->next = at + length;
    return 0;
}

// Lowers the MSS that a SYN announces to what packets of `mtu` bytes carry (RFC 9293 section 3.7.1). Returns
// whether it did. A global function, so that the verifier looks at it once.
__noinline int sr_clamp_mss(struct __sk_buff *skb, __u32 mtu) {
    __u32 zero = 0;
    struct sr_segment *segment = bpf_map_lookup_elem(&segment_memory, &zero);
    if (!segment)
        return 0;
    __u32 headers =
        (segment->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(struct tcphdr);
    if (mtu <= headers)
        return 0;
    __u32 most = mtu - headers;
    __u32 start = (segment->l4 & 0x7f) + sizeof(struct tcphdr);
    __u64 length = segment->header - sizeof(struct tcphdr);
    // The compiler would check another copy of it than the one that is used.
    asm volatile("" : "+r"(length));
    if (length < 4 || length > SR_TCP_OPTIONS)
        return 0;
    struct sr_option_search *search = &segment->search;
    search->length = length;
    search->next = search->found = 0;
    if (bpf_skb_load_bytes(skb, start, search->options, length))
        return 0;
    bpf_loop(SR_TCP_OPTIONS, sr_option_step, 0, 0);
    if (!search->found || search->found > SR_TCP_OPTIONS)
        return 0;
    __u32 at = search->found - 1;
    __be16 before, after = bpf_htons(most);
    if (bpf_skb_load_bytes(skb, start + at + 2, &before, 2) || bpf_ntohs(before) <= most)
        return 0;
    if (bpf_skb_store_bytes(skb, start + at + 2, &after, 2, 0))
        return 0;
    // At an odd place it straddles two words of the sum, which then has its bytes exchanged.
    if (at & 1) {
        before = before << 8 | before >> 8;
        after = after << 8 | after >> 8;
    }
    bpf_l4_csum_replace(skb, (segment->l4 & 0x7f) + SR_TCP_CHECK, before, after, 2);
    return 1;
}

// What a segment becomes.
struct sr_ends {
    const __u32 *source;
    const __u32 *destination;
    __u16 source_port;
    __u16 destination_port;
    __u32 address_change, port_change; // of a checksum
};

// Addresses, ports, TTL, DSCP and checksums. Returns 0, or the counter of the cause to drop the segment for.
static __always_inline __u32 sr_rewrite_segment(struct __sk_buff *skb, const struct sr_segment *segment,
                                                const struct sr_ends *ends, __u8 dscp) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    __u32 l3 = segment->l3 & 0x1f;
    __u32 l4 = segment->l4 & 0x7f;
    __u64 uncovered_change = 0;
    if (segment->is_ipv6) {
        struct ipv6hdr *ip = data + l3;
        if ((void *)(ip + 1) > end)
            return SR_DROP_MALFORMED;
        if (ip->hop_limit <= 1)
            return SR_DROP_TTL;
        uncovered_change = sr_age_ipv6(ip, 1, dscp);
        __builtin_memcpy(&ip->saddr, ends->source, 16);
        __builtin_memcpy(&ip->daddr, ends->destination, 16);
    } else {
        struct iphdr *ip = data + l3;
        if ((void *)(ip + 1) > end)
            return SR_DROP_MALFORMED;
        if (ip->ttl <= 1)
            return SR_DROP_TTL;
        __u64 change = sr_age_ipv4(ip, 1, dscp, ends->address_change);
        ip->saddr = ends->source[3];
        ip->daddr = ends->destination[3];
        ip->check = ~sr_fold16(change + (__u16)~ip->check);
    }
    struct tcphdr *tcp = data + l4;
    if ((void *)(tcp + 1) > end)
        return SR_DROP_MALFORMED;
    tcp->source = ends->source_port;
    tcp->dest = ends->destination_port;
    __u32 check = l4 + SR_TCP_CHECK;
    if (segment->is_ipv6) {
        // ENOTSUPP where no device made such a checksum: nothing to keep right then.
        bpf_csum_update(skb, sr_fold32(uncovered_change));
        if (bpf_l4_csum_replace(skb, check, 0, ends->address_change, BPF_F_PSEUDO_HDR | BPF_F_IPV6) &&
            bpf_l4_csum_replace(skb, check, 0, ends->address_change, BPF_F_PSEUDO_HDR))
            return SR_DROP_SEND;
    } else if (bpf_l4_csum_replace(skb, check, 0, ends->address_change, BPF_F_PSEUDO_HDR)) {
        return SR_DROP_SEND;
    }
    // The same as 0, which the helper would take for another meaning.
    if (ends->port_change && ends->port_change != 0xffffffff &&
        bpf_l4_csum_replace(skb, check, 0, ends->port_change, 0))
        return SR_DROP_SEND;
    return 0;
}

// The change of a checksum when the addresses and ports of `from` become those of another key.
static __always_inline __u32 sr_address_change(const struct sr_connection_key *from, const __u32 source[4],
                                               const __u32 destination[4]) {
    __u64 sum = 0;
    for (int i = 0; i < 4; i++) {
        sum = sr_sum_change(sum, from->source[i], source[i]);
        sum = sr_sum_change(sum, from->destination[i], destination[i]);
    }
    return sr_fold32(sum);
}

static __always_inline __u32 sr_port_change(const struct sr_connection_key *from, __u16 source,
                                            __u16 destination) {
    __u64 sum = sr_sum_change(0, from->source_port, source);
    return sr_fold32(sr_sum_change(sum, from->destination_port, destination));
}

// Where the search for a source port goes on.
__u32 sr_port_cursor;

// The next source port of the node, in network order; 0: there is none.
static __always_inline __u16 sr_next_port(const struct sr_settings *setting) {
    __u32 count = setting->port_count[0] + setting->port_count[1];
    if (!count)
        return 0;
    // One after the other: what was used last is used again last, when the sink has forgotten it.
    if (!sr_port_cursor)
        sr_port_cursor = bpf_get_prandom_u32();
    __u32 number = __sync_fetch_and_add(&sr_port_cursor, 1) % count;
    __u32 port = number < setting->port_count[0] ? setting->port_first[0] + number
                                                 : setting->port_first[1] + number - setting->port_count[0];
    return bpf_htons(port);
}

// Whether a connection's place may be another's.
static __always_inline int sr_connection_over(const struct sr_connection *connection, __u64 now_ns) {
    return connection->flags & SR_CONNECTION_ENDED || sr_connection_expired(connection, now_ns);
}

// Makes the connection that a SYN asks for. Returns 0, or the counter of the cause to drop the SYN for. A
// global function, so that the verifier looks at its loop once.
__noinline __u32 sr_connect(const struct sr_relay *relay, struct sr_settings *setting) {
    __u32 zero = 0;
    // Not an argument: verifiers before 6.2 take no key from there.
    struct sr_segment *segment = bpf_map_lookup_elem(&segment_memory, &zero);
    if (!segment || !relay || !setting)
        return SR_DROP_SEND;
    struct sr_connection *fresh = &segment->connection;
    __builtin_memset(fresh, 0, sizeof(*fresh));
    __builtin_memcpy(fresh->relay.address, segment->key.destination, 16);
    fresh->relay.port = segment->key.destination_port;
    fresh->relay.protocol = IPPROTO_TCP;
    fresh->index = relay->index;
    fresh->generation = relay->generation;
    fresh->seen_ns = fresh->refreshed_ns = segment->arrival_ns;
    fresh->sink = relay->sinks[0];

    struct sr_connection_key *reply = &segment->reply_key;
    __builtin_memcpy(reply->source, fresh->sink.destination, 16);
    __builtin_memcpy(reply->destination, fresh->sink.source, 16);
    reply->source_port = fresh->sink.destination_port;
    int found = 0;
    for (int i = 0; i < SR_PORT_ATTEMPTS; i++) {
        reply->destination_port = sr_next_port(setting);
        if (!reply->destination_port)
            break;
        if (!bpf_map_update_elem(&replies, reply, &segment->key, BPF_NOEXIST)) {
            found = 1;
            break;
        }
        struct sr_connection_key *holder = bpf_map_lookup_elem(&replies, reply);
        if (!holder)
            continue;
        struct sr_connection *other = bpf_map_lookup_elem(&connections, holder);
        if (other && !sr_connection_over(other, segment->arrival_ns))
            continue;
        if (other)
            bpf_map_delete_elem(&connections, holder);
        if (!bpf_map_update_elem(&replies, reply, &segment->key, BPF_ANY)) {
            found = 1;
            break;
        }
    }
    if (!found)
        return SR_DROP_PORTS;
    fresh->sink.source_port = reply->destination_port;
    const struct sr_sink *sink = &fresh->sink;
    const struct sr_connection_key *key = &segment->key;
    fresh->address_change = sr_address_change(key, sink->source, sink->destination);
    fresh->port_change = sr_port_change(key, sink->source_port, sink->destination_port);
    fresh->reply_address_change = sr_address_change(reply, key->destination, key->source);
    fresh->reply_port_change = sr_port_change(reply, key->destination_port, key->source_port);
    return bpf_map_update_elem(&connections, key, fresh, BPF_ANY) ? SR_DROP_SEND : 0;
}

// What sequence numbers and time stamps of a segment tell. `variation` takes the round trip of what the other
// side answers.
static __always_inline void sr_measure_segments(const struct sr_segment *segment, struct sr_counters *account,
                                                struct sr_flow *flow, struct sr_variation *variation,
                                                struct sr_segments *way, struct sr_segments *other,
                                                __u32 retransmitted) {
    __u32 marks = (segment->flags & SR_TCP_SYN ? 1 : 0) + (segment->flags & SR_TCP_FIN ? 1 : 0);
    __u32 next = segment->sequence + segment->payload + marks;
    if (segment->flags & SR_TCP_SYN) {
        if (way->next == next)
            sr_count(account, retransmitted, 1);
        way->next = next;
    } else if (segment->payload | marks) {
        __s32 beyond = next - way->next;
        if ((__s32)(segment->sequence - way->next) > 0)
            account->value[SR_TCP_GAPS]++;
        // One byte before what is next is how an idle connection is kept alive (RFC 9293 section 3.8.4).
        else if (beyond <= 0 && (segment->payload > 1 || beyond < 0))
            sr_count(account, retransmitted, segment->segments);
        if (beyond > 0)
            way->next = next;
    }
    if (!segment->has_stamp)
        return;
    __u64 now = segment->arrival_ns;
    if (segment->flags & SR_TCP_ACK && other->stamped_ns && (__s32)(segment->echo - other->timestamp) >= 0) {
        __u64 took = now > other->stamped_ns ? now - other->stamped_ns : 0;
        other->stamped_ns = 0;
        // Where another processor holds the account this one round trip is left out.
        if (sr_flow_take(flow)) {
            sr_variation_add(variation, took, now);
            sr_flow_give_back(flow);
        }
    }
    if (segment->payload | marks &&
        (!way->stamped_ns || now - way->stamped_ns > SR_STAMP_SECONDS * SR_NS_PER_SECOND)) {
        way->timestamp = segment->stamp;
        way->stamped_ns = now;
    }
}

// Counts what the flags of a segment do to its connection.
static __always_inline void sr_follow(const struct sr_segment *segment, struct sr_counters *account,
                                      struct sr_connection *connection, int is_reply) {
    __u32 before = connection->flags;
    __u32 after = before;
    const __u32 closed = SR_CONNECTION_FIN | SR_CONNECTION_REPLY_FIN;
    if (is_reply && (segment->flags & (SR_TCP_SYN | SR_TCP_ACK)) == (SR_TCP_SYN | SR_TCP_ACK))
        after |= SR_CONNECTION_ANSWERED;
    if (segment->flags & SR_TCP_FIN)
        after |= is_reply ? SR_CONNECTION_REPLY_FIN : SR_CONNECTION_FIN;
    if (segment->flags & SR_TCP_RST)
        after |= SR_CONNECTION_RESET;
    if (!(before & SR_CONNECTION_ENDED) && (after & SR_CONNECTION_RESET || (after & closed) == closed)) {
        after |= SR_CONNECTION_ENDED;
        account->value[!(after & SR_CONNECTION_RESET)   ? SR_TCP_CLOSED
                       : after & SR_CONNECTION_ANSWERED ? SR_TCP_RESET
                                                        : SR_TCP_REFUSED]++;
    }
    if (after == before)
        return;
    if (after & ~before & SR_CONNECTION_ANSWERED)
        account->value[SR_TCP_ESTABLISHED]++;
    __sync_fetch_and_or(&connection->flags, after);
}

// Sends the segment one way, rewritten. Returns the verdict, or below 0 the negative counter of the cause to
// drop it for.
static __always_inline int sr_forward_segment(struct __sk_buff *skb, struct sr_segment *segment,
                                              const struct sr_ends *ends, struct sr_kept_route *kept,
                                              __u32 generation, __u8 dscp) {
    if (!sr_way_holds(kept, segment, generation)) {
        struct sr_way way = {ends->source, ends->destination, ends->source_port, ends->destination_port};
        long found = sr_find_way(skb, segment, &way, kept, generation);
        if (found == BPF_FIB_LKUP_RET_NO_NEIGH) {
            __u32 cause = sr_rewrite_segment(skb, segment, ends, dscp);
            if (cause)
                return -(int)cause;
            // The kernel asks for the neighbour and holds the segment meanwhile.
            struct bpf_redir_neigh next = {.nh_family = segment->route.family};
            __builtin_memcpy(next.ipv6_nh, segment->route.ipv6_dst, 16);
            int verdict = bpf_redirect_neigh(segment->route.ifindex, &next, sizeof(next), 0);
            return verdict == TC_ACT_REDIRECT ? verdict : -SR_DROP_NEIGHBOUR;
        }
        if (found != BPF_FIB_LKUP_RET_SUCCESS)
            return -(int)sr_route_drop(found);
    }
    __u32 cause = sr_rewrite_segment(skb, segment, ends, dscp);
    if (cause)
        return -(int)cause;
    if (sr_set_link_addresses(skb, kept))
        return -SR_DROP_SEND;
    int verdict = bpf_redirect(kept->interface, kept->interface == SR_LOOPBACK_IFINDEX ? BPF_F_INGRESS : 0);
    return verdict == TC_ACT_REDIRECT ? verdict : -SR_DROP_SEND;
}

// What both directions share once the connection is known. `is_reply`: the segment comes from the sink.
static __always_inline int sr_relay_segment(struct __sk_buff *skb, struct sr_segment *segment,
                                            const struct sr_relay *relay, struct sr_counters *account,
                                            const struct sr_connection_key *key,
                                            struct sr_connection *connection,
                                            const struct sr_settings *setting, int is_reply) {
    __u32 index = connection->index;
    struct sr_flow *flow = bpf_map_lookup_elem(&flows, &index);
    if (!flow)
        return sr_drop(account, SR_DROP_SEND, segment->segments);
    connection->seen_ns = segment->arrival_ns;
    if (sr_accounting) {
        account->last_seen_ns = segment->arrival_ns;
        if (is_reply) {
            sr_measure_segments(segment, account, flow, &flow->variations.ipdv, &connection->reply,
                                &connection->forward, SR_TCP_REPLY_RETRANSMITTED);
        } else {
            account->value[SR_PACKETS_IN] += segment->segments;
            account->value[SR_BYTES_IN] += segment->payload;
            sr_measure_segments(segment, account, flow, &flow->variations.pdv, &connection->forward,
                                &connection->reply, SR_TCP_RETRANSMITTED);
        }
    }
    sr_follow(segment, account, connection, is_reply);

    const struct sr_sink *sink = &connection->sink;
    struct sr_ends forward = {sink->source,           sink->destination,          sink->source_port,
                              sink->destination_port, connection->address_change, connection->port_change};
    struct sr_ends back = {key->destination,
                           key->source,
                           key->destination_port,
                           key->source_port,
                           connection->reply_address_change,
                           connection->reply_port_change};
    struct sr_kept_route *kept = is_reply ? &connection->to_source : &connection->to_sink;
    const struct sr_ends *ends = is_reply ? &back : &forward;
    __u32 generation = relay->generation;
    if (segment->flags & SR_TCP_SYN) {
        // Either direction is bound by both links: what one end announces the other one's segments have to
        // pass them too.
        struct sr_way to_sink = {forward.source, forward.destination, forward.source_port,
                                 forward.destination_port};
        struct sr_way to_source = {back.source, back.destination, back.source_port, back.destination_port};
        sr_find_way(skb, segment, &to_sink, &connection->to_sink, generation);
        sr_find_way(skb, segment, &to_source, &connection->to_source, generation);
        __u32 mtu = connection->to_sink.mtu;
        if (!mtu || (connection->to_source.mtu && connection->to_source.mtu < mtu))
            mtu = connection->to_source.mtu;
        if (mtu && sr_clamp_mss(skb, mtu))
            account->value[SR_TCP_CLAMPED]++;
    }
    if (segment->tags) {
        if (sr_pop_tags(skb, segment->tags))
            return sr_drop(account, SR_DROP_SEND, segment->segments);
        segment->l4 -= segment->l3 - ETH_HLEN;
        segment->l3 = ETH_HLEN;
    }
    int verdict = sr_forward_segment(skb, segment, ends, kept, generation, relay->dscp);
    if (verdict < 0)
        return sr_drop(account, -verdict, segment->segments);
    if (!sr_accounting)
        return verdict;
    account->value[is_reply ? SR_REPLY_PACKETS : SR_PACKETS_OUT] += segment->segments;
    account->value[is_reply ? SR_REPLY_BYTES : SR_BYTES_OUT] += segment->payload;
    __u64 now = sr_now_ns(setting);
    sr_measure_residence(account, now > segment->arrival_ns ? now - segment->arrival_ns : 0,
                         segment->segments);
    return verdict;
}

// A connection is its relay's as long as that one runs, and allows its source.
static __always_inline int sr_connection_allowed(const struct sr_relay *relay,
                                                 struct sr_connection *connection, const __u32 source[4]) {
    if (relay->generation == connection->generation)
        return 1;
    if (!sr_source_allowed(relay, source))
        return 0;
    connection->generation = relay->generation;
    return 1;
}

// A segment of no connection: this node's own stack answers it.
static __always_inline int sr_stray(struct sr_counters *account) {
    account->value[SR_TCP_STRAY]++;
    return TC_ACT_UNSPEC;
}

// A segment to a relay's ingress.
static __always_inline int sr_segment_in(struct __sk_buff *skb, struct sr_segment *segment,
                                         const struct sr_relay *relay, struct sr_settings *setting) {
    __u32 index = relay->index;
    struct sr_counters *account = bpf_map_lookup_elem(&counters, &index);
    if (!account)
        return TC_ACT_SHOT;
    if (!sr_source_allowed(relay, segment->key.source))
        return sr_drop(account, SR_DROP_SOURCE, segment->segments);
    if (segment->malformed)
        return sr_drop(account, SR_DROP_MALFORMED, segment->segments);
    struct sr_connection *connection = bpf_map_lookup_elem(&connections, &segment->key);
    int begins = (segment->flags & (SR_TCP_SYN | SR_TCP_ACK | SR_TCP_RST)) == SR_TCP_SYN;
    if (connection && (connection->index != index || sr_connection_expired(connection, segment->arrival_ns) ||
                       (begins && connection->flags & SR_CONNECTION_ENDED))) {
        // One of a relay that is no more, or one that is over: its place is another's.
        bpf_map_delete_elem(&connections, &segment->key);
        connection = 0;
    }
    if (!connection) {
        if (!begins)
            return sr_stray(account);
        __u32 cause = sr_connect(relay, setting);
        if (cause)
            return sr_drop(account, cause, 1);
        connection = bpf_map_lookup_elem(&connections, &segment->key);
        if (!connection)
            return sr_drop(account, SR_DROP_SEND, 1);
        account->value[SR_TCP_OPENED]++;
    }
    if (!sr_connection_allowed(relay, connection, segment->key.source))
        return sr_drop(account, SR_DROP_SOURCE, segment->segments);
    if (segment->arrival_ns - connection->refreshed_ns > SR_NS_PER_SECOND) {
        // The kernel may have taken the way back for another connection, since only the sink's segments use
        // it; and looking at it keeps it from that.
        connection->refreshed_ns = segment->arrival_ns;
        struct sr_connection_key *reply = &segment->reply_key;
        __builtin_memcpy(reply->source, connection->sink.destination, 16);
        __builtin_memcpy(reply->destination, connection->sink.source, 16);
        reply->source_port = connection->sink.destination_port;
        reply->destination_port = connection->sink.source_port;
        if (!bpf_map_lookup_elem(&replies, reply))
            bpf_map_update_elem(&replies, reply, &segment->key, BPF_NOEXIST);
    }
    return sr_relay_segment(skb, segment, relay, account, &segment->key, connection, setting, 0);
}

// Relays a packet that is none of UDP. Returns a verdict, or SR_PASSED and the number of a node counter. A
// global function, so that the verifier looks at it by itself.
__noinline int sr_tcp(struct __sk_buff *skb, struct sr_settings *setting) {
    __u32 zero = 0;
    struct sr_segment *segment = bpf_map_lookup_elem(&segment_memory, &zero);
    if (!segment || !setting)
        return SR_PASSED + SR_NODE_PASSED_NOT_UDP;
    __u32 pass = sr_parse_segment(skb, segment);
    if (pass == SR_NODE_PASSED_SHORT) {
        __u32 headers = SR_MAX_L4_OFFSET + 60;
        if (bpf_skb_pull_data(skb, skb->len < headers ? skb->len : headers))
            return SR_PASSED + SR_NODE_PASSED_SHORT;
        pass = sr_parse_segment(skb, segment);
    }
    if (pass < SR_NODE_COUNTER_COUNT)
        return SR_PASSED + pass;
    segment->arrival_ns = skb->tstamp;
    if (!segment->arrival_ns)
        segment->arrival_ns = sr_now_ns(setting);

    struct sr_relay_key listener = {.port = segment->key.destination_port, .protocol = IPPROTO_TCP};
    __builtin_memcpy(listener.address, segment->key.destination, 16);
    struct sr_relay *relay = bpf_map_lookup_elem(&relays, &listener);
    if (relay)
        return sr_segment_in(skb, segment, relay, setting);

    struct sr_connection_key *key = bpf_map_lookup_elem(&replies, &segment->key);
    if (!key)
        return SR_PASSED + SR_NODE_PASSED_UNKNOWN;
    struct sr_connection *connection = bpf_map_lookup_elem(&connections, key);
    if (connection)
        relay = bpf_map_lookup_elem(&relays, &connection->relay);
    if (!connection || !relay || relay->index != connection->index) {
        bpf_map_delete_elem(&replies, &segment->key);
        return SR_PASSED + SR_NODE_PASSED_UNKNOWN;
    }
    __u32 index = connection->index;
    struct sr_counters *account = bpf_map_lookup_elem(&counters, &index);
    if (!account)
        return TC_ACT_SHOT;
    if (segment->malformed)
        return sr_drop(account, SR_DROP_MALFORMED, segment->segments);
    if (sr_connection_expired(connection, segment->arrival_ns))
        return sr_stray(account);
    if (!sr_connection_allowed(relay, connection, key->source))
        return sr_drop(account, SR_DROP_SOURCE, segment->segments);
    return sr_relay_segment(skb, segment, relay, account, key, connection, setting, 1);
}

#endif
