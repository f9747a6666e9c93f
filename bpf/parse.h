// From frame to (source, destination, payload): reads headers, trusts none of them, changes nothing.
#ifndef SR_PARSE_H
#define SR_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

enum {
    SR_MAX_TAGS = 2, // VLAN tags in the frame, 802.1ad around 802.1Q
    // The longest headers that are read: Ethernet, tags, IPv4 with options, UDP. Also a bound that the
    // verifier can see in every offset.
    SR_MAX_L3_OFFSET = ETH_HLEN + 4 * SR_MAX_TAGS,
    SR_MAX_L4_OFFSET = SR_MAX_L3_OFFSET + 60,
    SR_HEADERS_BYTES = SR_MAX_L4_OFFSET + 8,
    // What a frame of a relay cannot be shorter than.
    SR_MIN_FRAME_BYTES = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr),
    SR_IPV4_FRAGMENT_BITS = 0x3fff, // more fragments, and the offset
    SR_IPV4_OFFSET_BITS = 0x1fff,
    SR_IPV6_OFFSET_BITS = 0xfff8,
};

struct sr_vlan_tag {
    __be16 tci;
    __be16 protocol;
};

// RFC 8200 section 4.5.
struct sr_ipv6_fragment {
    __u8 next_header;
    __u8 reserved;
    __be16 offset;
    __be32 identification;
};

struct sr_packet {
    struct sr_call call; // what extensions are told too: times, offsets, lengths; and what they answer
    struct sr_relay_key key;
    __u32 source[4];      // network order
    __u32 segment_length; // payload bytes of each datagram of a GSO packet, else all of them
    __u32 segments;       // datagrams, at least 1
    __u32 wire_length;    // bytes of each datagram from the IP header on, with what stands behind it
    __u8 tags;            // VLAN tags, the one that the device took off included
    __u8 first_fragment;  // the datagram goes on in other packets
    __u8 malformed;       // addressed like a datagram, but its lengths or checksum contradict each other
    __u32 segment_offset; // of the datagram being measured, from the start of the frame
    __u32 left;           // payload bytes from there on
    int verdict;          // what the program returns once every sink was served
    __u32 hops;           // 1 until the TTL was decremented
    __u32 unmeasured;     // another processor holds the flow
    __u32 last_sink;      // the highest bit of call.sinks
    __u32 generation;     // of the relay that was looked up
    __u32 interface;      // that it was made ready for, where it leaves later, and how
    __u32 hold_flags;
};

static __always_inline __u64 sr_now_ns(const struct sr_settings *setting) {
    return bpf_ktime_get_tai_ns() - setting->tai_minus_realtime_ns;
}

// The IPv4 header checksum over `words` 32-bit words is right (RFC 1071).
static __always_inline int sr_ipv4_checksum_holds(const __u32 *header, const void *end, __u32 words) {
    __u64 sum = 0;
    for (__u32 i = 0; i < 15; i++) {
        if (i >= words)
            break;
        if ((const void *)(header + i + 1) > end)
            return 0;
        sum += header[i];
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff;
}

// Steps over the VLAN tags behind an Ethernet header: `type` is then what the last one says, `l3` where that
// begins. Returns 0, or -1 where they are cut short.
static __always_inline int sr_skip_tags(void *data, void *end, __be16 *type, __u32 *l3, __u8 *tags) {
    for (int i = 0; i < SR_MAX_TAGS; i++) {
        if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
            break;
        struct sr_vlan_tag *tag = data + *l3;
        if ((void *)(tag + 1) > end)
            return -1;
        *type = tag->protocol;
        *l3 += sizeof(*tag);
        ++*tags;
    }
    return 0;
}

// Fills `packet` from what lies in the linear part. Returns SR_NODE_COUNTER_COUNT where the packet may be a
// relay's, else the node counter that says why it is passed on.
static __always_inline __u32 sr_parse_linear(struct __sk_buff *skb, struct sr_packet *packet) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    __u32 frame = skb->len;

    if (frame < SR_MIN_FRAME_BYTES)
        return SR_NODE_PASSED_SHORT;

    struct ethhdr *ethernet = data;
    if ((void *)(ethernet + 1) > end)
        return SR_NODE_PASSED_SHORT;
    __be16 type = ethernet->h_proto;
    __u32 l3 = ETH_HLEN;
    packet->tags = skb->vlan_present ? 1 : 0;
    if (sr_skip_tags(data, end, &type, &l3, &packet->tags))
        return SR_NODE_PASSED_SHORT;

    __u32 l4, ip_end;
    packet->first_fragment = 0;
    packet->malformed = 0;
    if (type == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = data + l3;
        if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
            return SR_NODE_PASSED_SHORT;
        if (ip->protocol != IPPROTO_UDP)
            return SR_NODE_PASSED_NOT_UDP;
        __u16 fragment = bpf_ntohs(ip->frag_off);
        if (fragment & SR_IPV4_OFFSET_BITS)
            return SR_NODE_PASSED_FRAGMENT;
        packet->first_fragment = (fragment & SR_IPV4_FRAGMENT_BITS) != 0;
        packet->call.is_ipv6 = 0;
        packet->source[0] = packet->source[1] = 0;
        packet->source[2] = bpf_htonl(0xffff);
        packet->source[3] = ip->saddr;
        packet->key.address[0] = packet->key.address[1] = 0;
        packet->key.address[2] = bpf_htonl(0xffff);
        packet->key.address[3] = ip->daddr;
        l4 = l3 + ip->ihl * 4;
        ip_end = l3 + bpf_ntohs(ip->tot_len);
        if (!sr_ipv4_checksum_holds((__u32 *)ip, end, ip->ihl))
            packet->malformed = 1;
    } else if (type == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip = data + l3;
        if ((void *)(ip + 1) > end || ip->version != 6)
            return SR_NODE_PASSED_SHORT;
        __u8 next = ip->nexthdr;
        l4 = l3 + sizeof(*ip);
        ip_end = l4 + bpf_ntohs(ip->payload_len);
        if (next == IPPROTO_FRAGMENT) {
            struct sr_ipv6_fragment *fragment = (void *)(ip + 1);
            if ((void *)(fragment + 1) > end)
                return SR_NODE_PASSED_SHORT;
            if (bpf_ntohs(fragment->offset) & SR_IPV6_OFFSET_BITS)
                return SR_NODE_PASSED_FRAGMENT;
            packet->first_fragment = 1;
            next = fragment->next_header;
            l4 += sizeof(*fragment);
        }
        if (next != IPPROTO_UDP)
            return SR_NODE_PASSED_NOT_UDP;
        // RFC 4291 section 2.5.5.2 has no place for mapped addresses on a wire; in the table they mean IPv4.
        const __u32 *to = (const __u32 *)&ip->daddr;
        if (!to[0] && !to[1] && to[2] == bpf_htonl(0xffff))
            return SR_NODE_PASSED_UNKNOWN;
        packet->call.is_ipv6 = 1;
        __builtin_memcpy(packet->source, &ip->saddr, 16);
        __builtin_memcpy(packet->key.address, &ip->daddr, 16);
    } else {
        return SR_NODE_PASSED_NOT_IP;
    }

    struct udphdr *udp = data + l4;
    if ((void *)(udp + 1) > end)
        return SR_NODE_PASSED_SHORT;
    __u32 udp_length = bpf_ntohs(udp->len);
    packet->call.source_port = udp->source;
    packet->key.port = udp->dest;
    packet->key.protocol = IPPROTO_UDP;
    packet->key.zero = 0;
    packet->call.headers_offset = l3;
    packet->call.udp_offset = l4;
    packet->call.payload_length = udp_length - sizeof(*udp);
    if (udp_length < sizeof(*udp) || ip_end > frame || l4 + udp_length > ip_end)
        packet->malformed = 1;

    packet->segment_length = packet->call.payload_length;
    packet->segments = 1;
    packet->wire_length = frame - l3;
    __u32 gso_size = skb->gso_size;
    if (gso_size && !packet->malformed && gso_size < packet->call.payload_length) {
        packet->segment_length = gso_size;
        packet->segments = (packet->call.payload_length + gso_size - 1) / gso_size;
        packet->wire_length = l4 - l3 + sizeof(*udp) + gso_size;
    }
    return SR_NODE_COUNTER_COUNT;
}

// As above, wherever the headers lie. Most packets have just their headers in the linear part, so more is
// asked for only when they turn out to end behind it: pulling costs an allocation.
static __always_inline __u32 sr_parse(struct __sk_buff *skb, struct sr_packet *packet) {
    __u32 pass = SR_NODE_PASSED_SHORT;
    for (int attempt = 0; attempt < 2; attempt++) {
        pass = sr_parse_linear(skb, packet);
        __u32 linear = (__u32)(skb->data_end - skb->data);
        if (pass != SR_NODE_PASSED_SHORT || linear >= skb->len || linear >= SR_HEADERS_BYTES || attempt)
            break;
        if (bpf_skb_pull_data(skb, skb->len < SR_HEADERS_BYTES ? skb->len : SR_HEADERS_BYTES))
            break;
    }
    return pass;
}

// Whether a relay accepts packets from there.
static __always_inline int sr_source_allowed(const struct sr_relay *relay, const __u32 source[4]) {
    for (__u32 i = 0; i < SR_MAX_SOURCES; i++) {
        if (i >= relay->source_count)
            break;
        const struct sr_prefix *prefix = &relay->sources[i];
        if (!(((source[0] & prefix->mask[0]) ^ prefix->address[0]) |
              ((source[1] & prefix->mask[1]) ^ prefix->address[1]) |
              ((source[2] & prefix->mask[2]) ^ prefix->address[2]) |
              ((source[3] & prefix->mask[3]) ^ prefix->address[3])))
            return 1;
    }
    return 0;
}

#endif
