/* SPDX-License-Identifier: GPL-2.0 */
// Datagrams that a program makes.
#pragma once

#include <linux/skbuff.h>

int sr_emit(const struct sk_buff *packet, u32 headers, const void *payload, u32 length);
