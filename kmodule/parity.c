// SPDX-License-Identifier: GPL-2.0
// XOR over packets, for forward error correction (RFC 5109, RFC 8627).
//
// The row belongs to the program: part of a map's value, such as the state of an extension, which is held by
// one processor at a time. Each packet of a row is added; one that is shorter counts as if zeros followed, as
// both RFCs have it. What is in the row after all of them is the parity; what is in it after all but one and
// the parity is the one that was lost. The fields of a packet's header that both RFCs add up apart are few
// bytes, which a program adds itself.
#include <crypto/algapi.h>
#include <linux/minmax.h>

#include "parity.h"
#include "streamrouter_module.h"

// Of packets whose bytes lie in several pieces so many are brought together at a time.
enum { PIECE_BYTES = 256 };

int sr_xor_bytes(u8 *row, u32 row_bytes, const u8 *bytes, u32 count) {
    if (!count || count > row_bytes || count > SR_XOR_BYTES)
        return -EMSGSIZE;
    crypto_xor(row, bytes, count);
    return 0;
}

int sr_xor_packet(const struct sk_buff *packet, u32 offset, u32 length, u8 *row, u32 row_bytes) {
    u8 piece[PIECE_BYTES];
    const u8 *bytes;
    u32 done, count;

    if (!length || length > row_bytes || length > SR_XOR_BYTES || offset > packet->len ||
        length > packet->len - offset)
        return -EMSGSIZE;
    if (offset + length <= skb_headlen(packet))
        return sr_xor_bytes(row, row_bytes, packet->data + offset, length);
    for (done = 0; done < length; done += count) {
        count = min_t(u32, length - done, PIECE_BYTES);
        bytes = skb_header_pointer(packet, offset + done, count, piece);
        // The lengths were compared above, so only a packet whose pieces contradict its length comes here.
        if (!bytes)
            return -EFAULT;
        crypto_xor(row + done, bytes, count);
    }
    return 0;
}
