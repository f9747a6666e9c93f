// SPDX-License-Identifier: GPL-2.0
// Places of two sizes in the area of packets: most datagrams fit a small one, jumbo frames need a large one.
// They are a stack each, so that a place is warm in the caches when it is taken again.
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "packet.h"
#include "upcall.h"

enum {
    SR_SMALL_BYTES = 2048,
    SR_LARGE_BYTES = 16384,
    SR_SMALL_PLACES = (3 << 20) / SR_SMALL_BYTES,
    SR_LARGE_PLACES = (1 << 20) / SR_LARGE_BYTES,
    SR_PLACES = SR_SMALL_PLACES + SR_LARGE_PLACES,
};
static_assert(SR_SMALL_PLACES * SR_SMALL_BYTES + SR_LARGE_PLACES * SR_LARGE_BYTES == SR_AREA_PACKET_BYTES);
static_assert(SR_PACKET_BYTES + sizeof(struct sr_upcall_packet) <= SR_LARGE_BYTES);

struct sr_stack {
    u32 count;
    u32 free[SR_SMALL_PLACES];
};

static DEFINE_SPINLOCK(lock);
static struct sr_stack *small, *large;
static struct sr_packet *packets;
static DECLARE_BITMAP(taken, SR_PLACES);

static bool is_small(u32 cookie) {
    return cookie < SR_SMALL_PLACES;
}

// Where a place begins in the area.
static u32 offset_of(u32 cookie) {
    return is_small(cookie) ? cookie * SR_SMALL_BYTES
                            : SR_SMALL_PLACES * SR_SMALL_BYTES + (cookie - SR_SMALL_PLACES) * SR_LARGE_BYTES;
}

struct sr_packet *sr_packet_take(u32 length) {
    struct sr_stack *stack = length + sizeof(struct sr_upcall_packet) <= SR_SMALL_BYTES ? small : large;
    struct sr_packet *packet = NULL;

    if (length > SR_PACKET_BYTES)
        return NULL;
    spin_lock_bh(&lock);
    if (stack->count) {
        packet = &packets[stack->free[--stack->count]];
        __set_bit(packet->cookie, taken);
    }
    spin_unlock_bh(&lock);
    return packet;
}

void sr_packet_give_back(struct sr_packet *packet) {
    struct sr_stack *stack = is_small(packet->cookie) ? small : large;

    spin_lock_bh(&lock);
    // Given back twice it would be two packets' place.
    if (!WARN_ON_ONCE(!test_bit(packet->cookie, taken))) {
        __clear_bit(packet->cookie, taken);
        stack->free[stack->count++] = packet->cookie;
    }
    spin_unlock_bh(&lock);
}

struct sr_packet *sr_packet_find(u32 cookie) {
    return cookie < SR_PLACES && test_bit(cookie, taken) ? &packets[cookie] : NULL;
}

struct sr_upcall_packet *sr_packet_shown(const struct sr_packet *packet) {
    return sr_area_packets() + offset_of(packet->cookie);
}

u64 sr_packet_user(const struct sr_packet *packet) {
    return sr_area_packets_user() + offset_of(packet->cookie);
}

void sr_packet_count(u32 *places, u32 *taken_now) {
    *places = SR_PLACES;
    spin_lock_bh(&lock);
    *taken_now = SR_PLACES - small->count - large->count;
    spin_unlock_bh(&lock);
}

int sr_packet_start(void) {
    u32 cookie;

    packets = kvcalloc(SR_PLACES, sizeof(*packets), GFP_KERNEL);
    small = kvzalloc(sizeof(*small), GFP_KERNEL);
    large = kvzalloc(sizeof(*large), GFP_KERNEL);
    if (!packets || !small || !large) {
        sr_packet_stop();
        return -ENOMEM;
    }
    bitmap_zero(taken, SR_PLACES);
    for (cookie = SR_PLACES; cookie--;) {
        struct sr_stack *stack = is_small(cookie) ? small : large;

        packets[cookie].cookie = cookie;
        stack->free[stack->count++] = cookie;
    }
    return 0;
}

void sr_packet_stop(void) {
    kvfree(packets);
    kvfree(small);
    kvfree(large);
    packets = NULL;
    small = large = NULL;
}
