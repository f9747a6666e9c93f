// SPDX-License-Identifier: GPL-2.0
// Datagrams that a program makes, such as the parity of others: with the headers of the packet that it is
// looking at, so that they go where that one goes.
//
// They come in at the packet's device, into the processor's queue of received packets, and so after the
// packet itself. Whoever relays the packet relays them too, and knows them by their mark. They hold nothing
// of the module's.
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>

#include "emit.h"
#include "streamrouter_module.h"

// Lengths and checksums over what stands in the datagram now.
static int set_right_ipv4(struct iphdr *ip, struct udphdr *udp, u32 bytes) {
    u32 header = ip->ihl * 4;

    if (header < sizeof(*ip) || (u8 *)ip + header != (u8 *)udp || ip->protocol != IPPROTO_UDP)
        return -EPROTONOSUPPORT;
    ip->tot_len = htons(header + bytes);
    ip->frag_off &= htons(IP_DF);
    ip_send_check(ip);
    udp->check = csum_tcpudp_magic(ip->saddr, ip->daddr, bytes, IPPROTO_UDP, csum_partial(udp, bytes, 0));
    return 0;
}

static int set_right_ipv6(struct ipv6hdr *ip, struct udphdr *udp, u32 bytes) {
    if ((u8 *)(ip + 1) != (u8 *)udp || ip->nexthdr != IPPROTO_UDP)
        return -EPROTONOSUPPORT;
    ip->payload_len = htons(bytes);
    udp->check = csum_ipv6_magic(&ip->saddr, &ip->daddr, bytes, IPPROTO_UDP, csum_partial(udp, bytes, 0));
    return 0;
}

static int set_right(struct sk_buff *made, u32 network, u32 headers, u32 length) {
    u8 *ip = made->data + network;
    struct udphdr *udp = (struct udphdr *)(made->data + headers) - 1;
    u32 bytes = sizeof(*udp) + length;
    int error;

    udp->len = htons(bytes);
    udp->check = 0;
    switch (*ip >> 4) {
    case 4:
        error = set_right_ipv4((struct iphdr *)ip, udp, bytes);
        break;
    case 6:
        error = set_right_ipv6((struct ipv6hdr *)ip, udp, bytes);
        break;
    default:
        return -EPROTONOSUPPORT;
    }
    if (!udp->check)
        udp->check = CSUM_MANGLED_0;
    return error;
}

int sr_emit(const struct sk_buff *packet, u32 headers, const void *payload, u32 length) {
    int network = skb_network_offset(packet);
    struct sk_buff *made;
    int error;

    if (!length || length > SR_EMIT_BYTES || headers > SR_EMIT_HEADERS)
        return -EMSGSIZE;
    // What a program at a device with a link layer sees begins with the link's header.
    if (!dev_is_mac_header_xmit(packet->dev) || network < ETH_HLEN ||
        headers < network + sizeof(struct iphdr) + sizeof(struct udphdr))
        return -EPROTONOSUPPORT;
    made = netdev_alloc_skb_ip_align(packet->dev, headers + length);
    if (!made)
        return -ENOMEM;
    error = skb_copy_bits(packet, 0, skb_put(made, headers), headers);
    if (error) {
        kfree_skb(made);
        return -EMSGSIZE;
    }
    skb_put_data(made, payload, length);
    error = set_right(made, network, headers, length);
    if (error) {
        kfree_skb(made);
        return error;
    }
    made->protocol = eth_type_trans(made, packet->dev);
    __vlan_hwaccel_copy_tag(made, packet);
    made->mark = SR_EMIT_MARK;
    return netif_rx(made) == NET_RX_SUCCESS ? 0 : -ENOBUFS;
}
