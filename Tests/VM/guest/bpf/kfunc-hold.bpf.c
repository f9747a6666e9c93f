// Programs that hold packets, and one that notes when they come.
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "kfunc-hold.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hold_settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hold_tally);
} tally SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, HOLD_STAMPS);
    __type(key, __u32);
    __type(value, struct hold_stamp);
} stamps SEC(".maps");

// The payload of a test packet.
static struct hold_payload *payload_of(struct __sk_buff *context) {
    void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
    struct ethhdr *link = data;
    struct iphdr *ip = (void *)(link + 1);
    struct udphdr *udp = (void *)(ip + 1);
    struct hold_payload *payload = (void *)(udp + 1);

    if ((void *)(payload + 1) > end || link->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != 17 ||
        udp->dest != bpf_htons(HOLD_PORT))
        return NULL;
    return payload;
}

static int count(struct hold_tally *sum, int error) {
    if (!error) {
        __sync_fetch_and_add(&sum->held, 1);
        return TC_ACT_STOLEN;
    }
    __sync_fetch_and_add(&sum->refused, 1);
    sum->last_error = error;
    return TC_ACT_SHOT;
}

// Holds test packets until the time that they bear.
SEC("tc")
int hold_until(struct __sk_buff *context) {
    __u32 zero = 0;
    struct hold_settings *set = bpf_map_lookup_elem(&settings, &zero);
    struct hold_tally *sum = bpf_map_lookup_elem(&tally, &zero);
    struct hold_payload *payload = payload_of(context);

    if (!set || !sum || !payload)
        return TC_ACT_OK;
    if (set->straight)
        return bpf_redirect(set->ifindex, 0);
    return count(sum, sr_packet_hold(context, payload->release_ns, set->queue, set->ifindex, set->flags));
}

// Holds whatever comes for a while.
SEC("tc")
int hold_any(struct __sk_buff *context) {
    __u32 zero = 0, random = bpf_get_prandom_u32();
    struct hold_settings *set = bpf_map_lookup_elem(&settings, &zero);
    struct hold_tally *sum = bpf_map_lookup_elem(&tally, &zero);
    __u64 release_ns;

    if (!set || !sum || !set->queues || !set->spread_ns)
        return TC_ACT_OK;
    release_ns = bpf_ktime_get_ns() + set->delay_ns + random % set->spread_ns;
    return count(sum, sr_packet_hold(context, release_ns, set->queue + random % set->queues, set->ifindex,
                                     set->flags));
}

// Changes its packet after it was held, which must not change what was held.
SEC("tc")
int hold_and_write(struct __sk_buff *context) {
    __u8 *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
    __u32 zero = 0;
    struct hold_settings *set = bpf_map_lookup_elem(&settings, &zero);

    if (!set || data + 64 > end)
        return TC_ACT_OK;
    int error =
        sr_packet_hold(context, bpf_ktime_get_ns() + set->delay_ns, set->queue, set->ifindex, set->flags);
    data[63] ^= 0xff;
    return error ? TC_ACT_OK : data[63];
}

SEC("tc")
int drop_held(struct __sk_buff *context) {
    __u32 zero = 0;
    struct hold_settings *set = bpf_map_lookup_elem(&settings, &zero);
    struct hold_tally *sum = bpf_map_lookup_elem(&tally, &zero);

    if (!set || !sum)
        return TC_ACT_OK;
    sum->last_error = sr_packet_drop_held(context, set->queue);
    sum->held = sr_packet_count_held(context, set->queue);
    return TC_ACT_OK;
}

// Notes test packets as they come, and lets them go on.
SEC("tc")
int stamp(struct __sk_buff *context) {
    __u32 zero = 0, index;
    struct hold_tally *sum = bpf_map_lookup_elem(&tally, &zero);
    struct hold_payload *payload = payload_of(context);
    struct hold_stamp *note;

    if (!sum || !payload)
        return TC_ACT_OK;
    index = __sync_fetch_and_add(&sum->stamps, 1);
    note = bpf_map_lookup_elem(&stamps, &index);
    if (note) {
        note->now_ns = bpf_ktime_get_ns();
        note->release_ns = payload->release_ns;
        note->number = payload->number;
    }
    return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
