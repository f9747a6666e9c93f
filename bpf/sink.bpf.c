// Where benchmarks end: counts UDP datagrams at TC ingress and drops them, so that what is behind costs every
// engine the same and little.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u64 datagrams;

SEC("tc")
int sr_sink(struct __sk_buff *skb) {
    void *data = (void *)(long)skb->data;
    struct iphdr *ip = data + ETH_HLEN;
    if ((void *)(ip + 1) > (void *)(long)skb->data_end || skb->protocol != bpf_htons(ETH_P_IP) ||
        ip->protocol != IPPROTO_UDP)
        return TC_ACT_UNSPEC;
    __sync_fetch_and_add(&datagrams, skb->gso_segs ? skb->gso_segs : 1);
    return TC_ACT_SHOT;
}
