// SPDX-License-Identifier: GPL-2.0
// Reads headers, trusts none of them, changes nothing. By the time netfilter asks, the kernel's own IP has
// refused packets whose IP header is cut short, has a wrong checksum or a length beyond the packet.
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "classifier.h"
#include "intake.h"
#include "relay.h"

// What a reading comes to where the packet may be a relay's.
enum { SR_MAY_BE_OURS = SR_NODE_COUNTER_COUNT };

static void map_ipv4(u32 address[4], __be32 ipv4) {
    address[0] = address[1] = 0;
    address[2] = (__force u32)htonl(0xffff);
    address[3] = (__force u32)ipv4;
}

static u32 read_ipv4(const struct sk_buff *skb, struct sr_arrival *arrival, u32 *end) {
    const struct iphdr *ip = ip_hdr(skb);

    if (ip->protocol != IPPROTO_UDP)
        return SR_NODE_PASSED_NOT_UDP;
    if (ip->frag_off & htons(IP_OFFSET))
        return SR_NODE_PASSED_FRAGMENT;
    arrival->is_first_fragment = ip->frag_off & htons(IP_MF);
    arrival->keep_fragment = !(ip->frag_off & htons(IP_DF));
    arrival->time_to_live = ip->ttl;
    arrival->traffic_class = ip->tos;
    map_ipv4(arrival->source, ip->saddr);
    map_ipv4(arrival->key.address, ip->daddr);
    arrival->ip_bytes = ip->ihl * 4;
    *end = ntohs(ip->tot_len);
    return SR_MAY_BE_OURS;
}

static u32 read_ipv6(const struct sk_buff *skb, struct sr_arrival *arrival, u32 *end) {
    const struct ipv6hdr *ip = ipv6_hdr(skb);
    u8 next = ip->nexthdr;

    arrival->ip_bytes = sizeof(*ip);
    if (next == IPPROTO_FRAGMENT) {
        struct frag_hdr space;
        const struct frag_hdr *fragment =
            skb_header_pointer(skb, skb_network_offset(skb) + sizeof(*ip), sizeof(space), &space);

        if (!fragment)
            return SR_NODE_PASSED_SHORT;
        if (fragment->frag_off & htons(IP6_OFFSET))
            return SR_NODE_PASSED_FRAGMENT;
        arrival->is_first_fragment = true;
        arrival->ip_bytes += sizeof(*fragment);
        next = fragment->nexthdr;
    }
    if (next != IPPROTO_UDP)
        return SR_NODE_PASSED_NOT_UDP;
    // RFC 4291 section 2.5.5.2 has no place for mapped addresses on a wire; in the table they mean IPv4.
    if (ipv6_addr_v4mapped(&ip->daddr))
        return SR_NODE_PASSED_UNKNOWN;
    arrival->is_ipv6 = true;
    arrival->time_to_live = ip->hop_limit;
    arrival->traffic_class = ipv6_get_dsfield(ip);
    memcpy(arrival->source, &ip->saddr, sizeof(arrival->source));
    memcpy(arrival->key.address, &ip->daddr, sizeof(arrival->key.address));
    *end = sizeof(*ip) + ntohs(ip->payload_len);
    return SR_MAY_BE_OURS;
}

// Returns SR_MAY_BE_OURS, or the node counter that says why the packet is passed on.
static u32 read_headers(const struct sk_buff *skb, bool is_ipv6, struct sr_arrival *arrival) {
    const struct udphdr *udp;
    struct udphdr space;
    u32 udp_offset, length, end, pass;

    pass = is_ipv6 ? read_ipv6(skb, arrival, &end) : read_ipv4(skb, arrival, &end);
    if (pass != SR_MAY_BE_OURS)
        return pass;
    udp_offset = skb_network_offset(skb) + arrival->ip_bytes;
    udp = skb_header_pointer(skb, udp_offset, sizeof(space), &space);
    if (!udp)
        return SR_NODE_PASSED_SHORT;
    arrival->key.port = (__force u16)udp->dest;
    arrival->key.protocol = IPPROTO_UDP;
    arrival->source_port = (__force u16)udp->source;
    arrival->has_checksum = udp->check || skb->ip_summed == CHECKSUM_PARTIAL;
    arrival->payload_offset = udp_offset + sizeof(*udp);
    length = ntohs(udp->len);
    // A train's own length may be beyond what the field holds; then it says nothing.
    if (skb_is_gso(skb) && length < skb->len - udp_offset)
        length = skb->len - udp_offset;
    if (length < sizeof(*udp) || udp_offset + length > skb->len ||
        (!skb_is_gso(skb) && arrival->ip_bytes + length > end) || (is_ipv6 && !arrival->has_checksum)) {
        arrival->is_malformed = true;
        return SR_MAY_BE_OURS;
    }
    arrival->payload_length = length - sizeof(*udp);
    arrival->segment_length = arrival->payload_length;
    if (skb_is_gso(skb) && skb_shinfo(skb)->gso_size && skb_shinfo(skb)->gso_size < arrival->payload_length)
        arrival->segment_length = skb_shinfo(skb)->gso_size;
    return SR_MAY_BE_OURS;
}

// The payload goes out with a checksum of ours: one that was wrong before must not become right by that.
static bool checksum_holds(struct sk_buff *skb, const struct sr_arrival *arrival) {
    u32 offset = skb_network_offset(skb) + arrival->ip_bytes;

    if (!arrival->has_checksum || skb_is_gso(skb))
        return true;
    return !(arrival->is_ipv6 ? nf_ip6_checksum(skb, NF_INET_PRE_ROUTING, offset, IPPROTO_UDP)
                              : nf_ip_checksum(skb, NF_INET_PRE_ROUTING, offset, IPPROTO_UDP));
}

static unsigned int classify(void *private, struct sk_buff *skb, const struct nf_hook_state *state) {
    struct sr_relay_net *relays = sr_relay_net(state->net);
    struct sr_node_counters *datapath = this_cpu_ptr(relays->datapath);
    struct sr_arrival arrival = {};
    struct sr_relay_record *record;
    u32 pass;

    datapath->value[SR_NODE_SEEN]++;
    pass = read_headers(skb, state->pf == NFPROTO_IPV6, &arrival);
    record = pass == SR_MAY_BE_OURS ? sr_relay_find(relays, &arrival.key) : NULL;
    if (!record) {
        datapath->value[pass == SR_MAY_BE_OURS ? SR_NODE_PASSED_UNKNOWN : pass]++;
        return NF_ACCEPT;
    }
    datapath->value[SR_NODE_RELAYED]++;
    if (!arrival.is_malformed && !arrival.is_first_fragment && !checksum_holds(skb, &arrival))
        arrival.is_malformed = true;
    sr_intake(record, skb, &arrival);
    consume_skb(skb);
    return NF_STOLEN;
}

// Before all else: before datagrams are put together of fragments, and before rules that other tools made.
static const struct nf_hook_ops hooks[] = {
    {.hook = classify, .pf = NFPROTO_IPV4, .hooknum = NF_INET_PRE_ROUTING, .priority = NF_IP_PRI_FIRST},
    {.hook = classify, .pf = NFPROTO_IPV6, .hooknum = NF_INET_PRE_ROUTING, .priority = NF_IP6_PRI_FIRST},
};

int sr_classifier_begin(struct net *net) {
    return nf_register_net_hooks(net, hooks, ARRAY_SIZE(hooks));
}

void sr_classifier_end(struct net *net) {
    nf_unregister_net_hooks(net, hooks, ARRAY_SIZE(hooks));
}
