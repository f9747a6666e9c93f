/* SPDX-License-Identifier: GPL-2.0 */
// Brings an extension into its place.
#pragma once

#include "streamrouter_module.h"

struct sr_extension_space;

// Whether sizes and name are within their limits.
bool sr_loader_takes(const struct sr_extension_load *load);
// Puts image, parameters and first state into a place, which is all zeros. 0 and where it is entered, or a
// negative errno; -ENOEXEC: `flaw` says why. May sleep.
int sr_loader_fill(struct sr_extension_space *space, struct sr_extension_load *load, u64 *entry);
