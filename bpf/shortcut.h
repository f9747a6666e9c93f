// The short way through the datapath, for most packets of most streams: IPv4, one sink on another machine, no
// extension. What the long way found out about a source socket and a relay is kept for a moment, and packets
// that look the same are sent by it: no table of relays, no source check, no route, and sums that are made
// already.
//
// Whatever is out of the ordinary with a packet goes the long way, and nothing is changed or counted before
// that is decided. Here a packet is lost only where the kernel refuses to send it.
#ifndef SR_SHORTCUT_H
#define SR_SHORTCUT_H

#include "forward.h"
#include "measure.h"

enum {
    SR_SHORTCUT_L4 = ETH_HLEN + sizeof(struct iphdr),
    SR_SHORTCUT_PAYLOAD = SR_SHORTCUT_L4 + sizeof(struct udphdr),
    // First byte of an IPv4 header without options.
    SR_IPV4_PLAIN = 0x45,
    // The one's-complement change of the header's sum by a TTL that is one less.
    SR_TTL_CHANGE = (__u16)~bpf_htons(1 << 8),
};

#define sr_likely(condition) __builtin_expect(!!(condition), 1)
#define sr_unlikely(condition) __builtin_expect(!!(condition), 0)

// Both ports of a UDP header, as one word of it.
static __always_inline __u32 sr_ports(__be16 source, __be16 destination) {
    return bpf_htons(1) == 1 ? (__u32)source << 16 | destination : (__u32)destination << 16 | source;
}

static __always_inline __u32 sr_shortcut_slot(__u32 from, __u32 to, __u32 ports) {
    __u64 mixed = ((__u64)from << 32 | ports) * 0x9e3779b97f4a7c15ull + to;
    return (__u32)(mixed * 0xd6e8feb86659fd93ull >> 32) & (SR_SHORTCUT_SLOTS - 1);
}

// Sends a packet by the shortcut of its kind. Returns the verdict, or -1: nothing has happened, the packet
// goes the long way.
static __always_inline int sr_take_shortcut(struct __sk_buff *skb, const struct sr_settings *setting,
                                            int accounting) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    struct ethhdr *ethernet = data;
    struct iphdr *ip = data + ETH_HLEN;
    struct udphdr *udp = data + SR_SHORTCUT_L4;
    if ((void *)(udp + 1) > end)
        return -1;
    if (ethernet->h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)ip != SR_IPV4_PLAIN ||
        ip->protocol != IPPROTO_UDP || ip->frag_off & bpf_htons(SR_IPV4_FRAGMENT_BITS) || ip->ttl <= 1 ||
        skb->vlan_present || skb->gso_size)
        return -1;
    __u32 from = ip->saddr, to = ip->daddr;
    __u32 ports = *(__u32 *)udp;
    __u32 slot = sr_shortcut_slot(from, to, ports);
    struct sr_shortcut *way = bpf_map_lookup_elem(&shortcuts, &slot);
    if (!way || way->from != from || way->to != to || way->ports != ports ||
        way->edition != *(volatile __u32 *)&setting->edition)
        return -1;
    __u32 frame = skb->len;
    __u32 length = bpf_ntohs(ip->tot_len);
    __u32 udp_length = bpf_ntohs(udp->len);
    if (udp_length < sizeof(*udp) || ETH_HLEN + length > frame || sizeof(*ip) + udp_length > length ||
        frame - ETH_HLEN > way->mtu || !sr_ipv4_checksum_holds((__u32 *)ip, end, sizeof(*ip) / 4))
        return -1;
    __u64 arrival_ns = skb->tstamp;
    if (!arrival_ns)
        arrival_ns = sr_now_ns(setting);
    if (way->until_ns - arrival_ns > SR_ROUTE_VALID_NS)
        return -1;
    struct sr_rtp_arrival arrival = {.arrival_ns = arrival_ns};
    int is_rtp = way->protocol == SR_PROTOCOL_RTP;
    if (is_rtp) {
        struct sr_rtp_header header, *linear = data + SR_SHORTCUT_PAYLOAD;
        if (udp_length < sizeof(*udp) + sizeof(header))
            return -1;
        // What a sender cut from a train has only its headers in the linear part.
        if ((void *)(linear + 1) <= end)
            header = *linear;
        else if (bpf_skb_load_bytes(skb, SR_SHORTCUT_PAYLOAD, &header, sizeof(header)))
            return -1;
        if (sr_classify(&header, udp_length - sizeof(*udp), SR_PROTOCOL_RTP) != SR_MEDIA_RTP)
            return -1;
        arrival.ssrc = header.ssrc;
        arrival.timestamp = bpf_ntohl(header.timestamp);
        arrival.sequence = bpf_ntohs(header.sequence);
        arrival.clock_rate = way->clock_rate ? way->clock_rate : sr_clock_rate(header.payload_type & 0x7f);
    }
    __u32 index = way->index;
    struct sr_counters *account = bpf_map_lookup_elem(&counters, &index);
    struct sr_flow *flow = bpf_map_lookup_elem(&flows, &index);
    if (!account || !flow)
        return -1;

    // From here on the packet is sent.
    __u64 header_change = (__u64)way->address_change + SR_TTL_CHANGE + (__u16)~ip->check;
    if (way->dscp != SR_DSCP_KEEP) {
        __u16 *head = (__u16 *)ip;
        __u16 before = *head;
        ip->tos = way->dscp << 2 | (ip->tos & 3);
        header_change = sr_sum_change(header_change, before, *head);
    }
    ip->ttl--;
    ip->check = ~sr_fold16(header_change);
    ip->saddr = way->source;
    ip->daddr = way->destination;
    *(__u32 *)udp = way->new_ports;
    __builtin_memcpy(ethernet->h_dest, way->link_addresses, 2 * ETH_ALEN);
    __u16 covered = udp->check;

    if (accounting) {
        if (sr_likely(sr_flow_take(flow))) {
            if (is_rtp)
                sr_count_rtp(account, sr_measure_source(flow, &arrival));
            else
                sr_measure_udp(flow, arrival_ns);
            sr_flow_give_back(flow);
        } else {
            account->value[SR_UNMEASURED]++;
        }
        account->last_seen_ns = arrival_ns;
        account->value[SR_PACKETS_IN]++;
        account->value[SR_BYTES_IN] += udp_length - sizeof(*udp);
    }

    // A zero sum stays zero (RFC 768). Of others the helper knows, as we cannot, whether they are still
    // partial.
    int sent =
        !covered || sr_likely(!sr_sums_change(skb, SR_SHORTCUT_L4, way->address_change, way->port_change));
    int verdict = sent ? bpf_redirect(way->interface, 0) : TC_ACT_SHOT;
    if (!accounting)
        return verdict;
    if (sr_unlikely(verdict != TC_ACT_REDIRECT)) {
        account->value[SR_DROP_SEND]++;
        return TC_ACT_SHOT;
    }
    account->value[SR_PACKETS_OUT]++;
    account->value[SR_BYTES_OUT] += udp_length - sizeof(*udp);
    __u64 now = sr_now_ns(setting);
    sr_measure_residence(account, now > arrival_ns ? now - arrival_ns : 0, 1);
    return verdict;
}

// Keeps what is known of packets such as this one, which just went the long way to its only sink. A global
// function, so that the verifier looks at it by itself.
__noinline int sr_keep_shortcut(const struct sr_packet *packet, const struct sr_relay *sent_by) {
    // Here, and not where it is called: the verifier would follow all that comes after it once more for each.
    if (!packet || !sent_by || sent_by->sink_count != 1 || sent_by->extension_count || packet->call.is_ipv6 ||
        packet->verdict != TC_ACT_REDIRECT)
        return 0;
    __u32 zero = 0;
    struct sr_settings *setting = bpf_map_lookup_elem(&settings, &zero);
    if (!setting)
        return 0;
    __u32 from = packet->source[3], to = packet->key.address[3];
    __u32 ports = sr_ports(packet->call.source_port, packet->key.port);
    __u32 slot = sr_shortcut_slot(from, to, ports);
    struct sr_shortcut *way = bpf_map_lookup_elem(&shortcuts, &slot);
    if (!way)
        return 0;
    // Two streams that share a place do not take it from each other all the time.
    if (way->edition == setting->edition && way->until_ns - packet->call.arrival_ns <= SR_ROUTE_VALID_NS)
        return 0;
    // Before the relay is read, and an atomic with a full barrier: an edition never stands beside a relay
    // that is older than it.
    __u32 edition = __sync_fetch_and_add(&setting->edition, 0);
    struct sr_relay_key key = packet->key;
    struct sr_relay *relay = bpf_map_lookup_elem(&relays, &key);
    // RTCP is rare and never short: the node reads it.
    if (!relay || relay->generation != packet->generation || relay->protocol == SR_PROTOCOL_RTCP)
        return 0;
    __u32 index = relay->index;
    struct sr_routes *kept_routes = bpf_map_lookup_elem(&routes, &index);
    if (!kept_routes)
        return 0;
    const struct sr_kept_route *route = &kept_routes->sink[0];
    if (!sr_route_holds(route, packet, relay))
        return 0;
    const struct sr_sink *sink = &relay->sinks[0];
    way->until_ns = route->until_ns;
    way->edition = edition;
    way->from = from;
    way->to = to;
    way->ports = ports;
    way->index = index;
    way->clock_rate = relay->clock_rate;
    way->mtu = route->mtu;
    way->interface = route->interface;
    way->source = sink->source[3];
    way->destination = sink->destination[3];
    way->new_ports = sr_ports(sink->source_port, sink->destination_port);
    way->address_change =
        sr_fold32(sr_sum_change(sr_sum_change(0, to, sink->destination[3]), from, sink->source[3]));
    way->port_change = sr_fold32(sr_sum_change(sr_sum_change(0, packet->key.port, sink->destination_port),
                                               packet->call.source_port, sink->source_port));
    __builtin_memcpy(way->link_addresses, route->destination, 2 * ETH_ALEN);
    way->protocol = relay->protocol;
    way->dscp = relay->dscp;
    return 1;
}

#endif
