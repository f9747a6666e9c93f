/* SPDX-License-Identifier: GPL-2.0 */
// What an extension's run has leave: the ring in its own memory (sr_extension_upcall.h).
#pragma once

#include "sr_extension_upcall.h"

struct sr_packet;

// After a run on `packet`. `taken` says how much of the ring was ever taken out. False where the ring cannot
// be right: nothing was taken.
bool sr_ring_take(const struct sr_transmit_ring *ring, u32 *taken, struct sr_packet *packet);
// After a run that counts for nothing.
void sr_ring_empty(const struct sr_transmit_ring *ring, u32 *taken);
