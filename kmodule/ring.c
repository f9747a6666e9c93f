// SPDX-License-Identifier: GPL-2.0
// What stands in the ring is the extension's word: each field is read once and held to what it may be. The
// extension does not run meanwhile, but what it left may be anything.
#include <linux/compiler.h>
#include <linux/minmax.h>

#include "intake.h"
#include "packet.h"
#include "ring.h"

static void take(const struct sr_transmit_entry *entry, struct sr_packet *packet) {
    switch (READ_ONCE(entry->kind)) {
    case SR_TRANSMIT_PACKET:
        packet->sinks &= READ_ONCE(entry->sinks);
        packet->dscp = min_t(u32, READ_ONCE(entry->dscp), SR_DSCP_KEEP);
        break;
    case SR_TRANSMIT_MADE:
        sr_packet_make(packet, entry->made.bytes, READ_ONCE(entry->length));
        break;
    }
}

bool sr_ring_take(const struct sr_transmit_ring *ring, u32 *taken, struct sr_packet *packet) {
    u32 produced = READ_ONCE(ring->produced);

    if (produced - *taken > SR_TRANSMIT_ENTRIES) {
        *taken = produced;
        return false;
    }
    for (; *taken != produced; ++*taken)
        take(&ring->entries[*taken % SR_TRANSMIT_ENTRIES], packet);
    return true;
}

void sr_ring_empty(const struct sr_transmit_ring *ring, u32 *taken) {
    *taken = READ_ONCE(ring->produced);
}
