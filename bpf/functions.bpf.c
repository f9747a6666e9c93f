// What stands behind functions.h where the kernel module is loaded: calls of its functions.
//
// The verifier looks at each of these by itself, so what it must know of an argument is its type.
#include "functions.h"
#include "streamrouter_module.h"

int sr_function_hold(struct __sk_buff *skb, __u64 release_ns, __u32 queue, __u32 interface, __u32 flags) {
    return sr_packet_hold(skb, release_ns, queue, interface, flags);
}

int sr_function_emit(struct __sk_buff *skb, __u32 headers, struct sr_row *row, __u32 length) {
    if (!row)
        return -1;
    return sr_packet_emit(skb, headers, length, row, sizeof(*row));
}

int sr_function_parity(struct __sk_buff *skb, __u32 offset, __u32 length, struct sr_row *row, __u32 at) {
    if (!row)
        return -1;
    // Also for the verifier, which knows the row's size from its type.
    return sr_packet_xor(skb, offset, length, row->bytes + (at & (SR_ROW_HEAD_BYTES - 1)),
                         SR_ROW_BYTES - SR_ROW_HEAD_BYTES);
}

int sr_function_hash(struct __sk_buff *skb, __u32 offset, __u32 length, struct sr_key *key, __u64 *hash) {
    if (!key || !hash)
        return -1;
    return sr_packet_hash(skb, offset, length, (const struct sr_hash_key *)key, hash);
}
