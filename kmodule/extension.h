/* SPDX-License-Identifier: GPL-2.0 */
// Extensions that were loaded: see streamrouter_module.h.
#pragma once

#include <linux/types.h>

struct sr_extension;
struct sr_packet;

// After all relays are gone.
void sr_extension_stop(void);

// The extension of a number with a reference, which keeps its record. Counted as named by a relay until
// sr_extension_unname(). ERR_PTR(-ENOENT).
struct sr_extension *sr_extension_name(u32 number);
void sr_extension_unname(struct sr_extension *extension);
void sr_extension_put(struct sr_extension *extension);

// Hands it a packet; its verdict comes by sr_packet_judged(). -ENOSPC: its queue is full; -ESHUTDOWN: it runs
// no more. In softirq or process context.
int sr_extension_post(struct sr_extension *extension, const struct sr_packet *packet);

// ioctls.
int sr_extension_load(void *argument);
int sr_extension_unload(void *argument);
int sr_extension_list(void *argument);
int sr_extension_read(void *argument);
int sr_extension_parameters(void *argument);
