/* SPDX-License-Identifier: GPL-2.0 */
// SipHash-2-4 over bytes of a packet, for hop authentication.
#pragma once

#include <linux/skbuff.h>
#include "streamrouter_module.h"

int sr_hash_bytes(const void *bytes, u32 count, const struct sr_hash_key *key, u64 *hash);
int sr_hash_packet(const struct sk_buff *packet, u32 offset, u32 length, const struct sr_hash_key *key,
                   u64 *hash);

int sr_hash_start(void);
void sr_hash_stop(void);
