#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "streamrouter_abi.h"
SEC("tc") int sr_relay_ingress(struct __sk_buff *skb) {
    return skb->len ? -1 : -1;
}
char LICENSE[] SEC("license") = "GPL";
