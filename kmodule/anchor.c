// SPDX-License-Identifier: GPL-2.0
// Anchors: a process for each processor that sits in an ioctl, at SCHED_FIFO by its own doing, and is woken
// where events wait and no other process may be interrupted: the processor is idle, in a kernel thread, or in
// a process of many threads. On its way back from the ioctl it is interrupted like any other.
#include <linux/sched.h>
#include <linux/wait.h>

#include "sandbox.h"

// Interrupts off, on this processor. Once until the anchor has run: it is asked for at each return to user
// mode of a process that may not be interrupted. True if it was woken.
bool sr_anchor_call(struct sr_processor *processor) {
    if (processor->anchor_called || !waitqueue_active(&processor->anchor_queue))
        return false;
    processor->anchor_called = true;
    processor->account.anchor_calls++;
    wake_up(&processor->anchor_queue);
    return true;
}

static bool is_wanted(const struct sr_processor *processor) {
    return READ_ONCE(processor->anchor_called) || !READ_ONCE(processor->online);
}

// SR_MODULE_UPCALL_ANCHOR.
int sr_anchor_wait(void *argument) {
    struct sr_upcall_anchor *anchor = argument;
    struct sr_processor *processor;
    int error;

    if (current->nr_cpus_allowed != 1)
        return -EINVAL;
    processor = sr_processor_of(raw_smp_processor_id());
    if (waitqueue_active(&processor->anchor_queue))
        return -EBUSY;
    anchor->processor = processor->number;

    local_irq_disable();
    processor->anchor = current;
    processor->anchor_called = sr_events_pending(processor) || sr_events_finished(processor);
    local_irq_enable();
    error = wait_event_interruptible(processor->anchor_queue, is_wanted(processor));
    if (!error && !READ_ONCE(processor->online))
        return -ENODEV;
    local_irq_disable();
    processor->anchor_called = false;
    if (processor->online)
        sr_processor_attend(processor);
    local_irq_enable();
    return error;
}
