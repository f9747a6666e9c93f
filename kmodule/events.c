// SPDX-License-Identifier: GPL-2.0
// Events of extensions: queued by priority, bounded, and given to the processor that they were posted on.
//
// One lock for all: it is held for tens of instructions, and a run takes it three times. It is taken in
// softirq and below the scheduler's own locks (a process that is scheduled out suspends a run), so nobody is
// ever woken under it.
#include <linux/bug.h>
#include <linux/ktime.h>

#include "sandbox.h"

DEFINE_RAW_SPINLOCK(sr_events_lock);

void sr_events_reset(struct sr_place *place) {
    int index;

    INIT_LIST_HEAD(&place->link);
    INIT_LIST_HEAD(&place->waiting);
    INIT_LIST_HEAD(&place->spare);
    for (index = 0; index < SR_UPCALL_QUEUE; index++)
        list_add_tail(&place->entries[index].link, &place->spare);
}

static void insert(struct sr_place *place, struct sr_waiting *entry) {
    struct sr_waiting *other;

    list_for_each_entry_reverse(other, &place->waiting, link) {
        if (other->event.priority >= entry->event.priority) {
            list_add(&entry->link, &other->link);
            return;
        }
    }
    list_add(&entry->link, &place->waiting);
}

static int post_locked(struct sr_place *place, const struct sr_upcall_event *event,
                       struct sr_processor *processor, bool *became_ready) {
    struct sr_waiting *entry;

    if (place->closing || place->state == SR_PLACE_CLOSED || place->state == SR_PLACE_ABORTED)
        return -ESHUTDOWN;
    entry = list_first_entry_or_null(&place->spare, struct sr_waiting, link);
    if (!entry) {
        place->counts.overflows++;
        return -ENOSPC;
    }
    list_del(&entry->link);
    entry->event = *event;
    entry->posted_ns = ktime_get_mono_fast_ns();
    insert(place, entry);
    if (place->state == SR_PLACE_IDLE) {
        place->state = SR_PLACE_READY;
        list_add_tail(&place->link, &processor->ready);
        *became_ready = true;
    }
    return 0;
}

int sr_upcall_post(struct sr_extension_space *space, const struct sr_upcall_event *event) {
    struct sr_processor *here, *processor;
    bool became_ready = false;
    unsigned long flags;
    int error;

    local_irq_save(flags);
    here = sr_processor_here();
    raw_spin_lock(&sr_events_lock);
    // A processor that goes offline still handles softirqs for a while.
    processor = here->online ? here : sr_processor_online();
    error = post_locked(sr_place_of(space), event, processor, &became_ready);
    raw_spin_unlock(&sr_events_lock);
    if (became_ready && processor == here)
        sr_processor_attend(processor);
    else if (became_ready)
        sr_processor_attend_from(processor);
    local_irq_restore(flags);
    return error;
}

bool sr_events_pending(struct sr_processor *processor) {
    return !list_empty(&processor->ready);
}

bool sr_events_finished(struct sr_processor *processor) {
    return !list_empty(&processor->finished);
}

static u32 priority_of(const struct sr_place *place) {
    if (place->run.suspended)
        return place->run.event.priority;
    return list_first_entry(&place->waiting, struct sr_waiting, link)->event.priority;
}

// The place that runs next, with its event in run.event.
struct sr_place *sr_events_next(struct sr_processor *processor) {
    struct sr_place *place, *best = NULL;
    struct sr_waiting *entry;

    raw_spin_lock(&sr_events_lock);
    list_for_each_entry(place, &processor->ready, link) {
        if (!best || priority_of(place) > priority_of(best))
            best = place;
    }
    if (best) {
        list_del_init(&best->link);
        best->state = SR_PLACE_RUNNING;
        if (!best->run.suspended) {
            entry = list_first_entry(&best->waiting, struct sr_waiting, link);
            best->run.event = entry->event;
            best->run.posted_ns = entry->posted_ns;
            list_move(&entry->link, &best->spare);
        }
    }
    raw_spin_unlock(&sr_events_lock);
    return best;
}

// The run, or the event that did not come to run, comes first when this processor has its next occasion.
void sr_events_suspend(struct sr_processor *processor, struct sr_place *place) {
    raw_spin_lock(&sr_events_lock);
    place->state = SR_PLACE_READY;
    list_add(&place->link, &processor->ready);
    raw_spin_unlock(&sr_events_lock);
}

void sr_events_finish(struct sr_processor *processor, struct sr_place *place) {
    struct sr_run *run = &place->run;
    u64 waited = run->begun_ns - run->posted_ns;

    raw_spin_lock(&sr_events_lock);
    place->state = SR_PLACE_FINISHED;
    list_add_tail(&place->link, &processor->finished);
    place->counts.runs++;
    place->counts.run_ns += run->spent_ns;
    place->counts.run_max_ns = max(place->counts.run_max_ns, run->spent_ns);
    place->wait_min_ns = min(place->wait_min_ns, waited);
    place->wait_max_ns = max(place->wait_max_ns, waited);
    place->wait_sum_ns += waited;
    place->cycles_min = min(place->cycles_min, run->cycles);
    place->cycles_sum += run->cycles;
    raw_spin_unlock(&sr_events_lock);
}

// Gives back what waits. In process context, and nobody posts any more.
void sr_events_give_back(struct sr_place *place, u32 verdict) {
    struct sr_upcall_event event;
    struct sr_waiting *entry;

    for (;;) {
        raw_spin_lock_irq(&sr_events_lock);
        entry = list_first_entry_or_null(&place->waiting, struct sr_waiting, link);
        if (entry) {
            event = entry->event;
            list_move(&entry->link, &place->spare);
        }
        raw_spin_unlock_irq(&sr_events_lock);
        if (!entry)
            return;
        place->calls->done(&place->space, &event, verdict);
    }
}

static void tell_abort(struct sr_place *place) {
    struct sr_run *run = &place->run;

    place->calls->aborted(&place->space, run->cause, run->instruction, run->fault);
    place->calls->done(&place->space, &run->event, SR_VERDICT_TRAP);
    sr_events_give_back(place, SR_VERDICT_TRAP);
}

// Tells the outcome of a place that the caller took out of a list of finished ones (state TELLING).
void sr_events_tell_place(struct sr_place *place) {
    struct sr_processor *processor = NULL;
    unsigned long flags;

    if (place->run.cause)
        tell_abort(place);
    else
        place->calls->done(&place->space, &place->run.event, place->run.verdict);

    local_irq_save(flags);
    raw_spin_lock(&sr_events_lock);
    if (place->run.cause) {
        place->state = SR_PLACE_ABORTED;
    } else if (list_empty(&place->waiting)) {
        place->state = SR_PLACE_IDLE;
    } else {
        place->state = SR_PLACE_READY;
        processor = sr_processor_here();
        if (!processor->online)
            processor = sr_processor_online();
        list_add_tail(&place->link, &processor->ready);
    }
    raw_spin_unlock(&sr_events_lock);
    if (processor && processor == sr_processor_here())
        sr_processor_attend(processor);
    else if (processor)
        sr_processor_attend_from(processor);
    local_irq_restore(flags);
}

// Tells all outcomes that wait at a processor. In process context with interrupts on.
void sr_events_tell(struct sr_processor *processor) {
    struct sr_place *place;

    for (;;) {
        raw_spin_lock_irq(&sr_events_lock);
        place = list_first_entry_or_null(&processor->finished, struct sr_place, link);
        if (place) {
            list_del_init(&place->link);
            place->state = SR_PLACE_TELLING;
        }
        raw_spin_unlock_irq(&sr_events_lock);
        if (!place)
            return;
        sr_events_tell_place(place);
    }
}

// What waited at a processor that goes away.
void sr_events_move(struct sr_processor *from, struct sr_processor *to) {
    raw_spin_lock_irq(&sr_events_lock);
    from->online = false;
    if (to) {
        list_splice_tail_init(&from->ready, &to->ready);
        list_splice_tail_init(&from->finished, &to->finished);
    }
    raw_spin_unlock_irq(&sr_events_lock);
}
