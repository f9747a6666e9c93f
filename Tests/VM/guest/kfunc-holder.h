// What tests of held packets share: a program that holds what it is given, and whether all packets are
// accounted for.
#pragma once

#include "kfunc.h"

#include "kfunc-hold.h"

static const char object_path[] = "kfunc-hold.bpf.o";
static const uint8_t packet[200] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0};

struct holder {
    struct bpf_object *object;
    int settings, tally, hold_any;
};

static inline struct holder holder_load(void) {
    struct holder holder = {.object = object_load(object_path, NULL, NULL, 0)};
    need(holder.object, "load %s", object_path);
    holder.settings = map_of(holder.object, "settings");
    holder.tally = map_of(holder.object, "tally");
    holder.hold_any = program_of(holder.object, "hold_any");
    return holder;
}

static inline struct hold_tally tally_of(const struct holder *holder) {
    struct hold_tally tally;
    map_read(holder->tally, &tally);
    return tally;
}

// Runs a program that holds `times` packets as told. Answers what it counted meanwhile.
static inline struct hold_tally hold(const struct holder *holder, struct hold_settings set, uint32_t times) {
    struct hold_tally zero = {0};
    if (!set.queues)
        set.queues = 1;
    if (!set.spread_ns)
        set.spread_ns = 1;
    map_write(holder->settings, &set);
    map_write(holder->tally, &zero);
    program_run(holder->hold_any, packet, sizeof packet, times);
    return tally_of(holder);
}

static inline struct sr_hold_counts all(void) {
    return hold_counts(SR_HOLD_QUEUES);
}

static inline bool adds_up(const struct sr_hold_counts *counts) {
    return counts->held == counts->released + counts->dropped_device + counts->dropped_flush +
                               counts->dropped_unload + counts->dropped_transmit + counts->in_queue;
}

static inline struct sr_hold_counts wait_until_empty(void) {
    struct sr_hold_counts counts;
    uint64_t end = now_ns() + 20000000000ull;
    while ((counts = all()).in_queue && now_ns() < end)
        usleep(2000);
    return counts;
}

// Objects that come and go by themselves: other packets of the guest.
// KFENCE takes some of the objects (its pool has 255) where they are not counted.
enum { KFENCE_OBJECTS = 256 };

static inline bool same_packets(long before, long after) {
    return labs(after - before) <= 32;
}

// Packets let go of their memory a little after they were freed.
static inline long packets_back_to(long before) {
    uint64_t end = now_ns() + 3000000000ull;
    long now;
    while (!same_packets(before, now = packets_in_kernel()) && now_ns() < end)
        usleep(20000);
    return now;
}
