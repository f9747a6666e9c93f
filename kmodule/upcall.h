/* SPDX-License-Identifier: GPL-2.0 */
// The seam of part upcall: below it the mechanism, which runs code in ring 3 at return to user mode (area.c,
// events.c, crossing.c); above it extensions and their packets (loader.c, intake.c, relay.c).
//
// Two areas of two superpages each, which ring 3 sees only while an extension runs. The first one: code,
// which it cannot write, and SR_IMAGE_DATA behind it data, which it cannot execute; a place for an extension
// is a part of either at the same offset, so that code finds its data relative to itself. The second one:
// packets.
#pragma once

#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/types.h>

#include "sr_extension_upcall.h"

enum sr_area_limits {
    SR_AREA_PACKET_BYTES = 4 << 20,
    // Of an extension's data: behind it the place belongs to the mechanism (stack, guard gap).
    SR_PLACE_DATA_BYTES = 80 << 10,
    // Events of one extension that wait.
    SR_UPCALL_QUEUE = 256,
};

// What an entry gets is struct sr_upcall_event: `int entry(struct sr_upcall_event *)`, which answers with an
// enum sr_verdict.

// A place for an extension.
struct sr_extension_space {
    u32 number; // of the place, below SR_MODULE_EXTENSIONS
    void *code; // SR_IMAGE_CODE bytes, as the kernel writes them
    void *data; // SR_PLACE_DATA_BYTES
    u64 user;   // where ring 3 sees the code; the data stand SR_IMAGE_DATA behind that
    void *owner;
    char name[SR_NAME_BYTES];
};

// What was counted, for sr_extension_entry.
struct sr_upcall_counts {
    u64 runs;
    u64 overflows;
    u64 run_ns;
    u64 run_max_ns;
};

// --- Offered by the mechanism ---

#ifdef SR_WITHOUT_UPCALL
static inline int sr_upcall_start(void) {
    pr_err("streamrouter: this module was built without its part upcall, which is for x86-64 kernels with "
           "CONFIG_USER_RETURN_NOTIFIER\n");
    return -EOPNOTSUPP;
}
static inline void sr_upcall_stop(void) {
}
#else
int sr_upcall_start(void);
void sr_upcall_stop(void);
#endif

// Ioctls: SR_MODULE_UPCALL_ACCOUNT, _ANCHOR, _PROBE.
int sr_processor_account(void *argument);
int sr_anchor_wait(void *argument);
int sr_probe_run(void *argument);

// Packets, as the kernel and as ring 3 sees them.
void *sr_area_packets(void);
u64 sr_area_packets_user(void);

// Takes a free place, all zeros; ERR_PTR(-ENOSPC). May sleep.
struct sr_extension_space *sr_space_take(const char *name, void *owner);
// From here on events run at `entry`, an address in ring 3.
void sr_space_open(struct sr_extension_space *space, u64 entry);
// No run begins any more; comes back once none is under way, and every event that waited was given back by
// sr_upcall_done() with SR_VERDICT_NONE. May sleep.
void sr_space_close(struct sr_extension_space *space);
void sr_space_release(struct sr_extension_space *space);
void sr_space_count(struct sr_extension_space *space, struct sr_upcall_counts *counts);

// Queues an event. In softirq or process context. -ENOSPC: no place (counted); -ESHUTDOWN: closed or aborted.
// Events of one extension run one after the other, on whichever processor.
int sr_upcall_post(struct sr_extension_space *space, const struct sr_upcall_event *event);

// --- Called by the mechanism, in process context with interrupts on ---

// Once for each event that was posted, in the order of the runs of an extension. After sr_upcall_aborted()
// with SR_VERDICT_TRAP for the event that ran and for those that waited.
void sr_upcall_done(struct sr_extension_space *space, const struct sr_upcall_event *event, u32 verdict);
// `instruction` and `fault` are addresses in ring 3.
void sr_upcall_aborted(struct sr_extension_space *space, enum sr_abort_cause cause, u64 instruction,
                       u64 fault);
