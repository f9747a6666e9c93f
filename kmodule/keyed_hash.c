// SPDX-License-Identifier: GPL-2.0
// SipHash-2-4 over bytes of a packet, 64 bits, for hop authentication. The key is the program's: none is
// kept.
#include <linux/bottom_half.h>
#include <linux/percpu.h>
#include <linux/siphash.h>

#include "keyed_hash.h"

// Packets whose bytes lie in several pieces are brought together here. One for each processor: a program runs
// to its end on one, and what could come between it and its end are other programs in softirq, which are kept
// out.
static u8 __percpu *scratch;

int sr_hash_bytes(const void *bytes, u32 count, const struct sr_hash_key *key, u64 *hash) {
    // The words of a key are little-endian, as the definition of SipHash reads its 16 bytes.
    siphash_key_t words = {
        {le64_to_cpup((const __le64 *)key->bytes), le64_to_cpup((const __le64 *)key->bytes + 1)}};

    if (!count || count > SR_HASH_BYTES)
        return -EMSGSIZE;
    *hash = siphash(bytes, count, &words);
    return 0;
}

int sr_hash_packet(const struct sk_buff *packet, u32 offset, u32 length, const struct sr_hash_key *key,
                   u64 *hash) {
    int error;

    if (!length || length > SR_HASH_BYTES || offset > packet->len || length > packet->len - offset)
        return -EMSGSIZE;
    if (offset + length <= skb_headlen(packet))
        return sr_hash_bytes(packet->data + offset, length, key, hash);
    local_bh_disable();
    error = skb_copy_bits(packet, offset, this_cpu_ptr(scratch), length);
    if (!error)
        error = sr_hash_bytes(this_cpu_ptr(scratch), length, key, hash);
    local_bh_enable();
    return error;
}

int sr_hash_start(void) {
    scratch = __alloc_percpu(SR_HASH_BYTES, 8);
    return scratch ? 0 : -ENOMEM;
}

void sr_hash_stop(void) {
    free_percpu(scratch);
}
