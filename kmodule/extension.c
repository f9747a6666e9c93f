// SPDX-License-Identifier: GPL-2.0
// An extension from its loading to its unloading: number, image in its place, who names it, what became of
// it.
#include <linux/idr.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>

#include "extension.h"
#include "intake.h"
#include "loader.h"
#include "packet.h"
#include "ring.h"
#include "upcall.h"

static_assert(SR_IMAGE_RING - SR_IMAGE_DATA + sizeof(struct sr_transmit_ring) <= SR_PLACE_DATA_BYTES);

struct sr_extension {
    refcount_t references;
    u32 number;
    // Entries of relays that name it; under `mutex`.
    u32 relays;
    // NULL once it is unloaded.
    struct sr_extension_space __rcu *space;
    u32 parameter_bytes;
    u32 state_bytes;
    u8 build[SR_EXTENSION_BUILD_BYTES];
    char name[SR_NAME_BYTES];
    // What became of it, written once, before `status` says that it was.
    u32 status;
    u32 cause;
    u64 address;
    u64 fault;
    atomic64_t verdicts[4];
    // Of its ring; whoever tells what became of a run has it alone.
    u32 taken;
    // Packets that were handed to it and not yet judged.
    atomic_t waiting;
    struct rcu_head rcu;
};

enum { SR_UNLOAD_MS = 1000 };

// Loads, unloads and names are made one at a time.
static DEFINE_MUTEX(mutex);
static DEFINE_IDR(extensions);
static u32 next_number = 1;

static struct sr_extension_space *space_of(struct sr_extension *extension) {
    return rcu_dereference_protected(extension->space, lockdep_is_held(&mutex));
}

void sr_extension_put(struct sr_extension *extension) {
    if (refcount_dec_and_test(&extension->references))
        kfree_rcu(extension, rcu);
}

struct sr_extension *sr_extension_name(u32 number) {
    struct sr_extension *extension;

    mutex_lock(&mutex);
    extension = idr_find(&extensions, number);
    if (extension) {
        refcount_inc(&extension->references);
        extension->relays++;
    }
    mutex_unlock(&mutex);
    return extension ? extension : ERR_PTR(-ENOENT);
}

void sr_extension_unname(struct sr_extension *extension) {
    mutex_lock(&mutex);
    extension->relays--;
    mutex_unlock(&mutex);
}

int sr_extension_post(struct sr_extension *extension, const struct sr_packet *packet) {
    struct sr_upcall_event event = {
        .payload = sr_packet_user(packet),
        .cookie = packet->cookie,
        .length = packet->length,
        .sinks = packet->sinks,
        .dscp = packet->dscp,
        .made = !!packet->made,
    };
    struct sr_extension_space *space;
    int error = -ESHUTDOWN;

    rcu_read_lock();
    space = rcu_dereference(extension->space);
    if (space) {
        atomic_inc(&extension->waiting);
        error = sr_upcall_post(space, &event);
        if (error)
            atomic_dec(&extension->waiting);
    }
    rcu_read_unlock();
    return error;
}

// The verdict that counts.
static u32 take_what_leaves(struct sr_extension *extension, const struct sr_extension_space *space,
                            struct sr_packet *packet, u32 verdict) {
    const struct sr_transmit_ring *ring = space->data + SR_IMAGE_RING - SR_IMAGE_DATA;

    if (verdict != SR_VERDICT_FORWARD && verdict != SR_VERDICT_DROP) {
        sr_ring_empty(ring, &extension->taken);
        return min_t(u32, verdict, SR_VERDICT_TRAP);
    }
    return sr_ring_take(ring, &extension->taken, packet) ? verdict : SR_VERDICT_TRAP;
}

void sr_upcall_done(struct sr_extension_space *space, const struct sr_upcall_event *event, u32 verdict) {
    struct sr_extension *extension = space->owner;
    struct sr_packet *packet = sr_packet_find(event->cookie);

    if (WARN_ON_ONCE(!packet))
        goto end;
    verdict = take_what_leaves(extension, space, packet, verdict);
    atomic64_inc(&extension->verdicts[verdict]);
    sr_packet_judged(packet, verdict);
end:
    // `space` is not given back before this returns, and neither is the extension.
    if (atomic_dec_and_test(&extension->waiting))
        wake_up_var(&extension->waiting);
}

void sr_upcall_aborted(struct sr_extension_space *space, enum sr_abort_cause cause, u64 instruction,
                       u64 fault) {
#define SR_CAUSE_TEXT(id, text) [SR_ABORT_##id] = text,
    static const char *const texts[SR_ABORT_CAUSE_COUNT] = {SR_ABORT_CAUSES(SR_CAUSE_TEXT)};
#undef SR_CAUSE_TEXT
    struct sr_extension *extension = space->owner;

    if (cause <= SR_ABORT_NONE || cause >= SR_ABORT_CAUSE_COUNT)
        cause = SR_ABORT_OTHER;
    extension->cause = cause;
    extension->address = instruction - space->user;
    extension->fault = fault;
    smp_store_release(&extension->status, SR_EXTENSION_ABORTED);
    pr_warn_ratelimited("streamrouter: extension %s (%u) %s at 0x%llx; its relay's packets are dropped\n",
                        extension->name, extension->number, texts[cause], extension->address);
}

// --- Loading ---

static struct sr_extension *make(const struct sr_extension_load *load) {
    struct sr_extension *extension = kzalloc(sizeof(*extension), GFP_KERNEL);

    if (!extension)
        return NULL;
    refcount_set(&extension->references, 1);
    extension->parameter_bytes = load->parameter_bytes;
    extension->state_bytes = load->state_bytes;
    extension->status = SR_EXTENSION_RUNNING;
    memcpy(extension->build, load->build, sizeof(extension->build));
    memcpy(extension->name, load->name, sizeof(extension->name));
    return extension;
}

// A number is never used twice: one that was unloaded is not taken for another that came after it.
static int give_number(struct sr_extension *extension) {
    int number;

    if (next_number == INT_MAX)
        return -ENOSPC;
    number = idr_alloc(&extensions, extension, next_number, 0, GFP_KERNEL);
    if (number < 0)
        return number;
    extension->number = number;
    next_number = number + 1;
    return 0;
}

int sr_extension_load(void *argument) {
    struct sr_extension_load *load = argument;
    struct sr_extension *extension;
    struct sr_extension_space *space;
    u64 entry;
    int error;

    load->number = load->flaw = 0;
    if (!sr_loader_takes(load))
        return -EINVAL;
    extension = make(load);
    if (!extension)
        return -ENOMEM;
    mutex_lock(&mutex);
    space = sr_space_take(extension->name, extension);
    if (IS_ERR(space)) {
        error = PTR_ERR(space);
        goto put;
    }
    error = sr_loader_fill(space, load, &entry);
    if (error)
        goto release;
    RCU_INIT_POINTER(extension->space, space);
    error = give_number(extension);
    if (error)
        goto release;
    sr_space_open(space, entry);
    load->number = extension->number;
    mutex_unlock(&mutex);
    return 0;

release:
    sr_space_release(space);
put:
    mutex_unlock(&mutex);
    sr_extension_put(extension);
    return error;
}

// Under `mutex`: nobody posts to it any more, nothing of it runs, and its place is free. Packets that wait
// for it are not lost where something takes them to it within SR_UNLOAD_MS.
static void unload(struct sr_extension *extension) {
    struct sr_extension_space *space = space_of(extension);

    idr_remove(&extensions, extension->number);
    RCU_INIT_POINTER(extension->space, NULL);
    synchronize_rcu();
    wait_var_event_timeout(&extension->waiting, !atomic_read(&extension->waiting),
                           msecs_to_jiffies(SR_UNLOAD_MS));
    sr_space_close(space);
    sr_space_release(space);
    sr_extension_put(extension);
}

int sr_extension_unload(void *argument) {
    struct sr_extension_number *which = argument;
    struct sr_extension *extension;
    int error = 0;

    if (which->reserved)
        return -EINVAL;
    mutex_lock(&mutex);
    extension = idr_find(&extensions, which->number);
    if (!extension)
        error = -ENOENT;
    else if (extension->relays)
        error = -EBUSY;
    else
        unload(extension);
    mutex_unlock(&mutex);
    return error;
}

// --- Reading ---

static void describe(struct sr_extension *extension, struct sr_extension_entry *entry) {
    struct sr_upcall_counts counts = {};

    memset(entry, 0, sizeof(*entry));
    entry->number = extension->number;
    entry->status = smp_load_acquire(&extension->status);
    if (entry->status == SR_EXTENSION_ABORTED) {
        entry->cause = extension->cause;
        entry->address = extension->address;
        entry->fault = extension->fault;
    }
    sr_space_count(space_of(extension), &counts);
    entry->relays = extension->relays;
    entry->runs = counts.runs;
    entry->overflows = counts.overflows;
    entry->run_ns = counts.run_ns;
    entry->run_max_ns = counts.run_max_ns;
    entry->parameter_bytes = extension->parameter_bytes;
    entry->state_bytes = extension->state_bytes;
    memcpy(entry->build, extension->build, sizeof(entry->build));
    memcpy(entry->name, extension->name, sizeof(entry->name));
}

int sr_extension_list(void *argument) {
    struct sr_module_list *list = argument;
    struct sr_extension_entry *entries, *entry;
    struct sr_extension *extension;
    int number, error = 0;

    entries = kcalloc(SR_MODULE_EXTENSIONS, sizeof(*entries), GFP_KERNEL);
    if (!entries)
        return -ENOMEM;
    entry = entries;
    mutex_lock(&mutex);
    // There are no more of them than places.
    idr_for_each_entry(&extensions, extension, number)
        describe(extension, entry++);
    mutex_unlock(&mutex);
    list->count = entry - entries;
    if (list->count > list->capacity)
        error = -ENOSPC;
    else if (copy_to_user(u64_to_user_ptr(list->entries), entries, list->count * sizeof(*entries)))
        error = -EFAULT;
    kfree(entries);
    return error;
}

// Counters and histogram are what the extension wrote; how often it ran and what it answered is what we saw.
static void take_account(struct sr_extension *extension, struct sr_extension_account *account) {
    struct sr_extension_space *space = space_of(extension);
    struct sr_upcall_counts counts = {};
    u32 verdict;

    memcpy(account, space->data + SR_IMAGE_ACCOUNT - SR_IMAGE_DATA, sizeof(*account));
    sr_space_count(space, &counts);
    account->runs = account->timed = counts.runs;
    account->timed_sum_ns = counts.run_ns;
    account->timed_max_ns = counts.run_max_ns;
    for (verdict = 0; verdict < ARRAY_SIZE(extension->verdicts); verdict++)
        account->verdicts[verdict] = atomic64_read(&extension->verdicts[verdict]);
}

int sr_extension_read(void *argument) {
    struct sr_extension_query *query = argument;
    struct sr_extension_account account;
    struct sr_extension *extension;
    int error = 0;

    mutex_lock(&mutex);
    extension = idr_find(&extensions, query->number);
    if (!extension) {
        error = -ENOENT;
        goto end;
    }
    if (query->length > extension->state_bytes) {
        error = -EINVAL;
        goto end;
    }
    if (query->bytes &&
        copy_to_user(u64_to_user_ptr(query->bytes),
                     space_of(extension)->data + SR_IMAGE_STATE - SR_IMAGE_DATA, query->length))
        error = -EFAULT;
    take_account(extension, &account);
    if (query->account && copy_to_user(u64_to_user_ptr(query->account), &account, sizeof(account)))
        error = -EFAULT;
end:
    mutex_unlock(&mutex);
    return error;
}

int sr_extension_parameters(void *argument) {
    struct sr_extension_query *query = argument;
    u8 bytes[SR_EXTENSION_PARAMETER_BYTES];
    struct sr_extension *extension;
    int error = 0;

    if (query->length > sizeof(bytes) || query->account)
        return -EINVAL;
    if (copy_from_user(bytes, u64_to_user_ptr(query->bytes), query->length))
        return -EFAULT;
    mutex_lock(&mutex);
    extension = idr_find(&extensions, query->number);
    if (!extension)
        error = -ENOENT;
    else if (query->length != extension->parameter_bytes)
        error = -EINVAL;
    else
        memcpy(space_of(extension)->data + SR_IMAGE_PARAMETERS - SR_IMAGE_DATA, bytes, query->length);
    mutex_unlock(&mutex);
    return error;
}

void sr_extension_stop(void) {
    struct sr_extension *extension;
    int number;

    mutex_lock(&mutex);
    idr_for_each_entry(&extensions, extension, number)
        unload(extension);
    idr_destroy(&extensions);
    mutex_unlock(&mutex);
    // Records are freed after a grace period.
    rcu_barrier();
}
