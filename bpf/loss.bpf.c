// A lossy wire for the lab, where the kernel has no netem: drops a random share of what a device sends.
// Attached by `streamrouter lab impair --loss` as a TC egress classifier; no part of the datapath of relays.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

// Set before loading; the verifier sees a constant.
const volatile __u32 loss_per_million = 0;

// Read by LossProgram.swift through the map that libbpf makes of this section. A GSO packet counts as one and
// is dropped as one.
volatile __u64 seen = 0;
volatile __u64 dropped = 0;

SEC("tc")
int sr_loss(struct __sk_buff *skb) {
    (void)skb;
    __sync_fetch_and_add(&seen, 1);
    // 2^32 is 4,294.97 millionths of a million: the share is exact to one in four billion.
    if (((__u64)bpf_get_prandom_u32() * 1000000) >> 32 >= loss_per_million)
        return TC_ACT_UNSPEC;
    __sync_fetch_and_add(&dropped, 1);
    return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
