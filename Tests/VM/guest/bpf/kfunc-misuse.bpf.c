// Programs that the verifier must refuse, each with one fault, and `sound`, which is like them and has none.
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "streamrouter_module.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u8[64]);
} rows SEC(".maps");

static void *row_of(void) {
    __u32 zero = 0;

    return bpf_map_lookup_elem(&rows, &zero);
}

SEC("tc")
int sound(struct __sk_buff *context) {
    struct sr_hash_key key = {};
    void *row = row_of();
    __u64 hash = 0;

    if (!row)
        return TC_ACT_OK;
    sr_packet_xor(context, 0, 14, row, 64);
    sr_packet_hash(context, 0, 14, &key, &hash);
    return sr_packet_hold(context, 0, 0, context->ifindex, 0) ? TC_ACT_OK : TC_ACT_STOLEN;
}

// As extensions are built: a function of its own, which the verifier looks at apart.
__attribute__((noinline)) int part(struct __sk_buff *context) {
    struct sr_hash_key key = {};
    __u64 hash = 0;

    if (sr_packet_hash(context, 0, 14, &key, &hash))
        return TC_ACT_OK;
    return sr_packet_hold(context, hash & 1, 0, context->ifindex, 0);
}

SEC("tc")
int sound_in_parts(struct __sk_buff *context) {
    return part(context);
}

SEC("tc")
int key_too_short(struct __sk_buff *context) {
    __u64 half_a_key = 0, hash = 0;

    sr_packet_hash(context, 0, 14, (void *)&half_a_key, &hash);
    return hash ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc")
int row_too_short(struct __sk_buff *context) {
    void *row = row_of();

    return row ? sr_packet_xor(context, 0, 14, row, 65) : TC_ACT_OK;
}

// These three pass NULL, or what may be it and is. Where a verifier lets them through, the function must
// notice.
SEC("tc")
int row_unchecked(struct __sk_buff *context) {
    __u32 beyond = 1;

    return sr_packet_xor(context, 0, 14, bpf_map_lookup_elem(&rows, &beyond), 64);
}

SEC("tc")
int key_unchecked(struct __sk_buff *context) {
    __u32 beyond = 1;
    __u64 hash = 0;

    return sr_packet_hash(context, 0, 14, bpf_map_lookup_elem(&rows, &beyond), &hash);
}

SEC("tc")
int no_key(struct __sk_buff *context) {
    __u64 hash = 0;

    return sr_packet_hash(context, 0, 14, NULL, &hash);
}

SEC("tc")
int size_unbounded(struct __sk_buff *context) {
    void *row = row_of();

    return row ? sr_packet_xor(context, 0, 14, row, context->len) : TC_ACT_OK;
}

SEC("tc")
int frame_unchecked(struct __sk_buff *context) {
    struct sr_hash_key key = {};
    __u64 hash = 0;

    return sr_bytes_hash((void *)(long)context->data, 64, &key, &hash);
}

SEC("tc")
int no_packet(struct __sk_buff *context) {
    void *row = row_of();

    return row ? sr_packet_hold(row, 0, 0, 1, 0) : TC_ACT_OK;
}

SEC("tc")
int number_as_packet(struct __sk_buff *context) {
    return sr_packet_hold((void *)(long)context->hash, 0, 0, 1, 0);
}

SEC("tc")
int pointer_as_time(struct __sk_buff *context) {
    return sr_packet_hold(context, (__u64)(long)context, 0, 1, 0);
}

// No packet of the stack's is there yet.
SEC("xdp")
int hold_in_xdp(struct xdp_md *context) {
    return sr_packet_hold((void *)context, 0, 0, 1, 0) ? XDP_PASS : XDP_DROP;
}

// A kind of program for which no function is registered.
SEC("socket")
int socket_filter(struct __sk_buff *context) {
    struct sr_hash_key key = {};
    __u64 hash = 0;

    sr_bytes_hash(&key, sizeof(key), &key, &hash);
    return hash & 1;
}

char LICENSE[] SEC("license") = "GPL";
