// From relay to wire: rewrites a packet for a sink and hands it to the device that the kernel's FIB names.
#ifndef SR_FORWARD_H
#define SR_FORWARD_H

#include <linux/pkt_cls.h>
#include "functions.h"
#include "maps.h"
#include "parse.h"
#include "streamrouter_module.h"

// Address families, spelled out since <sys/socket.h> is no header for BPF.
enum { SR_AF_INET = 2, SR_AF_INET6 = 10 };
// The loopback device has index 1 in every network namespace. Routes are looked up as if the packet came from
// there, that is, from this node: `iif lo` rules apply to it, as to every packet that the node itself sends.
// The helper wants forwarding enabled on the device it comes from; on lo that opens nothing, where on a real
// device it would make the node a router for everybody.
enum { SR_LOOPBACK_IFINDEX = 1 };
#ifndef BPF_F_IPV6
// Kernel 6.16: the address change leaves skb->csum alone, for IPv6 has no header checksum to outbalance it.
#define BPF_F_IPV6 (1ULL << 7)
#endif

// The change of a one's-complement sum when `from` becomes `to` (RFC 1624), accumulated unfolded.
static __always_inline __u64 sr_sum_change(__u64 sum, __u32 from, __u32 to) {
    return sum + (__u32)~from + to;
}

static __always_inline __u32 sr_fold32(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    return (__u32)((sum & 0xffffffff) + (sum >> 32));
}

static __always_inline __u16 sr_fold16(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)((sum & 0xffff) + (sum >> 16));
}

// Brings the UDP checksum of an IPv4 packet in line with other addresses and ports. A partial one covers the
// addresses only. 0, or a negative errno.
static __always_inline long sr_sums_change(struct __sk_buff *skb, __u32 l4, __u32 address_change,
                                           __u32 port_change) {
    __u32 check = l4 + __builtin_offsetof(struct udphdr, check);
    long result = bpf_l4_csum_replace(skb, check, 0, address_change, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
    if (!result && port_change != 0 && port_change != 0xffffffff)
        result = bpf_l4_csum_replace(skb, check, 0, port_change, BPF_F_MARK_MANGLED_0);
    return result;
}

// Takes `hops` off the TTL and writes the code point. Returns `sum` with what that changes of the header's
// sum.
static __always_inline __u64 sr_age_ipv4(struct iphdr *ip, __u32 hops, __u8 dscp, __u64 sum) {
    __u16 *head = (__u16 *)ip; // version, header length and type of service
    __u16 *ttl_and_protocol = (__u16 *)&ip->ttl;
    if (hops) {
        __u16 before = *ttl_and_protocol;
        ip->ttl--;
        sum = sr_sum_change(sum, before, *ttl_and_protocol);
    }
    if (dscp != SR_DSCP_KEEP) {
        __u16 before = *head;
        ip->tos = dscp << 2 | (ip->tos & 3);
        sum = sr_sum_change(sum, before, *head);
    }
    return sum;
}

// The same for IPv6. No checksum in the packet covers these two words, but one that a device made over all of
// it does: returns the change of that.
static __always_inline __u64 sr_age_ipv6(struct ipv6hdr *ip, __u32 hops, __u8 dscp) {
    __u32 *words = (__u32 *)ip;
    __u32 class_before = words[0], hop_limit_before = words[1];
    if (hops)
        ip->hop_limit--;
    if (dscp != SR_DSCP_KEEP) {
        // The traffic class straddles the first two bytes; its lower two bits are ECN (RFC 3168).
        ip->priority = dscp >> 2;
        ip->flow_lbl[0] = (ip->flow_lbl[0] & 0x3f) | (dscp & 3) << 6;
    }
    __u64 change = sr_sum_change(0, class_before, words[0]);
    return sr_sum_change(change, hop_limit_before, words[1]);
}

// Ports, addresses, TTL, DSCP and checksums for one sink, from whatever the headers hold now: after a copy
// went to another sink that is the other sink's. A zero UDP checksum stays zero (RFC 768). The helper knows,
// as we cannot, whether the checksum is still partial, to be finished by a device: then it covers the
// addresses only. Returns 0, or the counter of the cause to drop the packet for.
static __always_inline __u32 sr_rewrite(struct __sk_buff *skb, const struct sr_packet *packet,
                                        const struct sr_sink *sink, __u32 hops) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    __u32 l3 = packet->call.headers_offset & 0x1f;
    __u32 l4 = packet->call.udp_offset & 0x7f;
    int local = sink->flags & SR_SINK_LOCAL;
    __u64 address_change = 0, uncovered_change = 0;

    if (packet->call.is_ipv6) {
        struct ipv6hdr *ip = data + l3;
        if ((void *)(ip + 1) > end)
            return SR_DROP_MALFORMED;
        if (hops && ip->hop_limit <= 1)
            return SR_DROP_TTL;
        uncovered_change = sr_age_ipv6(ip, hops, packet->call.dscp);
        __u32 *source = (__u32 *)&ip->saddr;
        __u32 *destination = (__u32 *)&ip->daddr;
        for (int i = 0; i < 4; i++) {
            address_change = sr_sum_change(address_change, destination[i], sink->destination[i]);
            destination[i] = sink->destination[i];
            __u32 from = local ? packet->source[i] : sink->source[i];
            address_change = sr_sum_change(address_change, source[i], from);
            source[i] = from;
        }
    } else {
        struct iphdr *ip = data + l3;
        if ((void *)(ip + 1) > end)
            return SR_DROP_MALFORMED;
        // Before anything is written: the next sink must find the headers whole.
        if (hops && ip->ttl <= 1)
            return SR_DROP_TTL;
        address_change = sr_sum_change(address_change, ip->daddr, sink->destination[3]);
        ip->daddr = sink->destination[3];
        __u32 from = local ? packet->source[3] : sink->source[3];
        address_change = sr_sum_change(address_change, ip->saddr, from);
        ip->saddr = from;
        __u64 header_change = sr_age_ipv4(ip, hops, packet->call.dscp, address_change);
        ip->check = ~sr_fold16(header_change + (__u16)~ip->check);
    }

    struct udphdr *udp = data + l4;
    if ((void *)(udp + 1) > end)
        return SR_DROP_MALFORMED;
    __u64 port_change = sr_sum_change(0, udp->dest, sink->destination_port);
    udp->dest = sink->destination_port;
    __u16 from = local ? packet->call.source_port : sink->source_port;
    port_change = sr_sum_change(port_change, udp->source, from);
    udp->source = from;
    __u32 check = l4 + __builtin_offsetof(struct udphdr, check);
    __u64 flags = BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0;
    __u32 change = sr_fold32(address_change);
    if (packet->call.is_ipv6) {
        // ENOTSUPP where no device made such a checksum: nothing to keep right then.
        bpf_csum_update(skb, sr_fold32(uncovered_change));
        if (bpf_l4_csum_replace(skb, check, 0, change, flags | BPF_F_IPV6) &&
            bpf_l4_csum_replace(skb, check, 0, change, flags))
            return SR_DROP_SEND;
    } else if (bpf_l4_csum_replace(skb, check, 0, change, flags)) {
        return SR_DROP_SEND;
    }
    change = sr_fold32(port_change);
    if (change != 0 && change != 0xffffffff &&
        bpf_l4_csum_replace(skb, check, 0, change, BPF_F_MARK_MANGLED_0))
        return SR_DROP_SEND;
    return 0;
}

// VLAN tags belong to the device that the packet came in on, not to the one it leaves by.
static __always_inline int sr_pop_tags(struct __sk_buff *skb, __u32 tags) {
    for (__u32 i = 0; i <= SR_MAX_TAGS; i++) {
        if (i >= tags)
            break;
        if (bpf_skb_vlan_pop(skb))
            return -1;
    }
    return 0;
}

// Asks the FIB for the way of a packet that this node sends. Returns BPF_FIB_LKUP_RET_..., or a negative
// errno; `route` is what it said.
static __always_inline long sr_ask_fib(struct __sk_buff *skb, int is_ipv6, __u8 transport,
                                       const __u32 source[4], __u16 source_port, const __u32 destination[4],
                                       __u16 destination_port, __u32 length, struct bpf_fib_lookup *route) {
    __builtin_memset(route, 0, sizeof(*route));
    route->l4_protocol = transport;
    route->sport = source_port;
    route->dport = destination_port;
    // The length of what goes on the wire: of one packet of a GSO packet.
    route->tot_len = length;
    route->ifindex = SR_LOOPBACK_IFINDEX;
    if (is_ipv6) {
        route->family = SR_AF_INET6;
        __builtin_memcpy(route->ipv6_src, source, 16);
        __builtin_memcpy(route->ipv6_dst, destination, 16);
    } else {
        route->family = SR_AF_INET;
        route->ipv4_src = source[3];
        route->ipv4_dst = destination[3];
    }
    return bpf_fib_lookup(skb, route, sizeof(*route), 0);
}

// The kernel's route to a sink. Returns BPF_FIB_LKUP_RET_..., or a negative errno.
static __always_inline long sr_route(struct __sk_buff *skb, const struct sr_packet *packet,
                                     const struct sr_sink *sink, struct bpf_fib_lookup *route) {
    return sr_ask_fib(skb, packet->call.is_ipv6, IPPROTO_UDP, sink->source, sink->source_port,
                      sink->destination, sink->destination_port, packet->wire_length, route);
}

static __always_inline __u32 sr_route_drop(long result) {
    switch (result) {
    case BPF_FIB_LKUP_RET_FRAG_NEEDED:
        return SR_DROP_MTU;
    case BPF_FIB_LKUP_RET_NO_NEIGH:
        return SR_DROP_NEIGHBOUR;
    }
    return SR_DROP_ROUTE;
}

static __always_inline int sr_set_link_addresses(struct __sk_buff *skb, const struct sr_kept_route *route) {
    void *data = (void *)(long)skb->data;
    struct ethhdr *ethernet = data;
    if ((void *)(ethernet + 1) > (void *)(long)skb->data_end)
        return -1;
    __builtin_memcpy(ethernet->h_dest, route->destination, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, route->source, ETH_ALEN);
    return 0;
}

static __always_inline void sr_keep_route(struct sr_kept_route *kept, const struct bpf_fib_lookup *route,
                                          __u64 arrival_ns, __u32 generation) {
    kept->until_ns = arrival_ns + SR_ROUTE_VALID_NS;
    kept->generation = generation;
    kept->interface = route->ifindex;
    kept->mtu = route->mtu_result; // where tot_len stood
    __builtin_memcpy(kept->destination, route->dmac, ETH_ALEN);
    __builtin_memcpy(kept->source, route->smac, ETH_ALEN);
}

// A kept route that still holds for this packet. A clock that was set back ends it too.
static __always_inline int sr_route_holds(const struct sr_kept_route *kept, const struct sr_packet *packet,
                                          const struct sr_relay *relay) {
    return kept->generation == relay->generation &&
           kept->until_ns - packet->call.arrival_ns <= SR_ROUTE_VALID_NS && packet->wire_length <= kept->mtu;
}

// Sends the packet itself to a next hop whose link-layer address is not known: the kernel asks and holds it
// meanwhile.
static __always_inline __u32 sr_send_unresolved(struct __sk_buff *skb, struct sr_packet *packet,
                                                const struct sr_sink *sink,
                                                const struct bpf_fib_lookup *route) {
    __u32 cause = sr_rewrite(skb, packet, sink, packet->hops);
    if (cause)
        return cause;
    packet->hops = 0;
    struct bpf_redir_neigh next = {.nh_family = route->family};
    __builtin_memcpy(next.ipv6_nh, route->ipv6_dst, 16);
    packet->verdict = bpf_redirect_neigh(route->ifindex, &next, sizeof(next), 0);
    return packet->verdict == TC_ACT_REDIRECT ? 0 : SR_DROP_NEIGHBOUR;
}

// Has the packet, which sr_send() made ready for a sink, leave at its time. Of queues there are fewer than
// relays: those that share one share its limits, and each packet's time is its own.
static __always_inline __u32 sr_send_later(struct __sk_buff *skb, struct sr_packet *packet, __u32 queue,
                                           int last) {
    if (sr_function_hold(skb, packet->call.release_ns, queue % SR_HOLD_QUEUES, packet->interface,
                         packet->hold_flags | SR_HOLD_REALTIME))
        return SR_DROP_HOLD;
    // What is held is a copy.
    if (last)
        packet->verdict = TC_ACT_STOLEN;
    return 0;
}

// Sends the packet to one sink: a copy where others follow, else the packet itself, whose verdict is left in
// `packet`. One that is to leave at a time is only made ready (sr_send_later). Returns 0, or the counter of
// the cause why this sink got nothing.
// A global function, so that the verifier looks at it once and not once for each of sixteen sinks.
__noinline __u32 sr_send(struct __sk_buff *skb, struct sr_packet *packet, const struct sr_relay *relay,
                         __u32 sink_index) {
    if (!packet || !relay || sink_index >= SR_MAX_SINKS)
        return SR_DROP_SEND;
    const struct sr_sink *sink = &relay->sinks[sink_index];
    int last = sink_index == packet->last_sink;
    __u32 cause;
    if (sink->flags & SR_SINK_LOCAL) {
        cause = sr_rewrite(skb, packet, sink, 0);
        if (cause)
            return cause;
        packet->interface = skb->ifindex;
        packet->hold_flags = SR_HOLD_UP;
        if (packet->call.release_ns)
            return 0;
        if (!last)
            return bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS) ? SR_DROP_SEND : 0;
        packet->verdict = TC_ACT_UNSPEC;
        return 0;
    }

    __u32 index = relay->index;
    struct sr_routes *kept_routes = bpf_map_lookup_elem(&routes, &index);
    if (!kept_routes)
        return SR_DROP_SEND;
    struct sr_kept_route *kept = &kept_routes->sink[sink_index];
    if (!sr_route_holds(kept, packet, relay)) {
        struct bpf_fib_lookup route;
        long found = sr_route(skb, packet, sink, &route);
        if (found == BPF_FIB_LKUP_RET_NO_NEIGH && last)
            return sr_send_unresolved(skb, packet, sink, &route);
        // A copy cannot wait for the neighbour to answer.
        if (found != BPF_FIB_LKUP_RET_SUCCESS)
            return sr_route_drop(found);
        sr_keep_route(kept, &route, packet->call.arrival_ns, relay->generation);
    }
    cause = sr_rewrite(skb, packet, sink, packet->hops);
    if (cause)
        return cause;
    packet->hops = 0;
    if (sr_set_link_addresses(skb, kept))
        return SR_DROP_SEND;
    packet->interface = kept->interface;
    packet->hold_flags = 0;
    if (packet->call.release_ns)
        return 0;
    if (!last)
        return bpf_clone_redirect(skb, kept->interface, 0) ? SR_DROP_SEND : 0;
    packet->verdict = bpf_redirect(kept->interface, 0);
    return packet->verdict == TC_ACT_REDIRECT ? 0 : SR_DROP_SEND;
}

#endif
