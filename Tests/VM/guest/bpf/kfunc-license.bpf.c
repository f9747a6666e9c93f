// A program that is not under the GPL.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "streamrouter_module.h"

SEC("tc")
int sound_elsewhere(struct __sk_buff *context) {
    return sr_packet_count_held(context, 0) ? TC_ACT_OK : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Proprietary";
