// SPDX-License-Identifier: GPL-2.0
// Places of extensions: taken, opened for events, closed, released.
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "sandbox.h"

static struct sr_place *places;
static DEFINE_MUTEX(taking);

static const struct sr_place_calls relay_calls = {.done = sr_upcall_done, .aborted = sr_upcall_aborted};

struct sr_place *sr_place_of(struct sr_extension_space *space) {
    return container_of(space, struct sr_place, space);
}

static struct sr_place *free_place(void) {
    u32 number;

    for (number = 0; number < SR_MODULE_EXTENSIONS; number++) {
        if (!places[number].taken)
            return &places[number];
    }
    return NULL;
}

struct sr_extension_space *sr_space_take(const char *name, void *owner) {
    struct sr_place *place;

    mutex_lock(&taking);
    place = free_place();
    if (place)
        place->taken = true;
    mutex_unlock(&taking);
    if (!place)
        return ERR_PTR(-ENOSPC);

    place->space.owner = owner;
    strscpy(place->space.name, name, sizeof(place->space.name));
    place->calls = &relay_calls;
    place->entry = 0;
    place->closing = false;
    place->run.suspended = false;
    place->run.cause = SR_ABORT_NONE;
    memset(&place->counts, 0, sizeof(place->counts));
    place->wait_sum_ns = place->wait_max_ns = place->cycles_sum = 0;
    place->wait_min_ns = place->cycles_min = U64_MAX;
    memset(place->space.code, 0, SR_IMAGE_CODE);
    memset(place->space.data, 0, SR_PLACE_STACK_END);
    sr_events_reset(place);
    return &place->space;
}

void sr_space_open(struct sr_extension_space *space, u64 entry) {
    struct sr_place *place = sr_place_of(space);

    raw_spin_lock_irq(&sr_events_lock);
    place->entry = entry;
    place->state = SR_PLACE_IDLE;
    raw_spin_unlock_irq(&sr_events_lock);
}

// One try to end what is under way. True: it has ended, `event` says whether a run was cut off.
static bool try_close(struct sr_place *place, bool *cut) {
    bool tell = false, closed = false;

    raw_spin_lock_irq(&sr_events_lock);
    place->closing = true;
    switch (place->state) {
    case SR_PLACE_RUNNING:
    case SR_PLACE_TELLING:
        break;
    case SR_PLACE_FINISHED:
        // Whoever ran it may not come to tell for long, if the processor is busy.
        list_del_init(&place->link);
        place->state = SR_PLACE_TELLING;
        tell = true;
        break;
    case SR_PLACE_READY:
        list_del_init(&place->link);
        fallthrough;
    default:
        *cut = place->run.suspended;
        place->run.suspended = false;
        place->state = SR_PLACE_CLOSED;
        closed = true;
    }
    raw_spin_unlock_irq(&sr_events_lock);
    if (tell)
        sr_events_tell_place(place);
    return closed;
}

// Waits by looking: a visit ends where nobody may be woken, and at the latest by the time limit of a run.
void sr_space_close(struct sr_extension_space *space) {
    struct sr_place *place = sr_place_of(space);
    bool cut = false;

    while (!try_close(place, &cut))
        schedule_timeout_uninterruptible(1);
    if (cut)
        place->calls->done(space, &place->run.event, SR_VERDICT_NONE);
    sr_events_give_back(place, SR_VERDICT_NONE);
}

void sr_space_release(struct sr_extension_space *space) {
    struct sr_place *place = sr_place_of(space);

    mutex_lock(&taking);
    place->taken = false;
    mutex_unlock(&taking);
}

void sr_space_count(struct sr_extension_space *space, struct sr_upcall_counts *counts) {
    raw_spin_lock_irq(&sr_events_lock);
    *counts = sr_place_of(space)->counts;
    raw_spin_unlock_irq(&sr_events_lock);
}

int sr_space_start(void) {
    u32 number;
    int error = 0;

    places = vzalloc(array_size(SR_MODULE_EXTENSIONS, sizeof(*places)));
    if (!places)
        return -ENOMEM;
    for (number = 0; number < SR_MODULE_EXTENSIONS && !error; number++) {
        places[number].space.number = number;
        places[number].run.fpu = sr_crossing_fpu_area();
        error = places[number].run.fpu ? sr_area_view(&places[number]) : -ENOMEM;
    }
    if (error)
        sr_space_stop();
    return error;
}

void sr_space_stop(void) {
    u32 number;

    for (number = 0; number < SR_MODULE_EXTENSIONS; number++) {
        sr_area_view_end(&places[number]);
        sr_crossing_fpu_area_end(places[number].run.fpu);
    }
    vfree(places);
}
