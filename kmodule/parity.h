/* SPDX-License-Identifier: GPL-2.0 */
// XOR over packets, for forward error correction (RFC 5109, RFC 8627).
#pragma once

#include <linux/skbuff.h>

int sr_xor_bytes(u8 *row, u32 row_bytes, const u8 *bytes, u32 count);
int sr_xor_packet(const struct sk_buff *packet, u32 offset, u32 length, u8 *row, u32 row_bytes);
