// Programs that call the kernel functions that compute: what they are asked, and what they answer, stands in
// a map.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "kfunc-values.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct values);
} values SEC(".maps");

static struct values *asked(void) {
    __u32 zero = 0;

    return bpf_map_lookup_elem(&values, &zero);
}

SEC("tc")
int hash_packet(struct __sk_buff *context) {
    struct values *ask = asked();

    if (!ask)
        return TC_ACT_OK;
    ask->error = sr_packet_hash(context, ask->offset, ask->length, &ask->key, &ask->hash);
    ask->packet_bytes = context->len;
    ask->linear_bytes = context->data_end - context->data;
    ask->runs++;
    return TC_ACT_OK;
}

SEC("tc")
int xor_packet(struct __sk_buff *context) {
    struct values *ask = asked();

    if (!ask)
        return TC_ACT_OK;
    ask->error = sr_packet_xor(context, ask->offset, ask->length, ask->row, sizeof(ask->row));
    ask->packet_bytes = context->len;
    ask->linear_bytes = context->data_end - context->data;
    ask->runs++;
    return TC_ACT_OK;
}

// The same on memory, in TC: 64 bytes of a map's value and of the stack.
SEC("tc")
int bytes_in_tc(struct __sk_buff *context) {
    struct values *ask = asked();
    __u8 stack[64] = {};

    if (!ask)
        return TC_ACT_OK;
    ask->error = sr_bytes_xor(stack, sizeof(stack), ask->row, sizeof(stack));
    if (!ask->error)
        ask->error = sr_bytes_hash(stack, sizeof(stack), &ask->key, &ask->hash);
    ask->runs++;
    return TC_ACT_OK;
}

// And in XDP, on the frame itself.
SEC("xdp")
int bytes_in_xdp(struct xdp_md *context) {
    struct values *ask = asked();
    void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;

    if (!ask || data + 64 > end)
        return XDP_PASS;
    ask->error = sr_bytes_hash(data, 64, &ask->key, &ask->hash);
    if (!ask->error)
        ask->error = sr_bytes_xor(ask->row, sizeof(ask->row), data, 64);
    ask->runs++;
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
