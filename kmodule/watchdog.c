// SPDX-License-Identifier: GPL-2.0
// A timer of each processor that runs while something waits or runs there. Its interrupt brings an extension
// that does not come to an end back to the hook where its time is looked at, on processors without a tick as
// well; and it calls the anchor where no process came by in time.
#include <linux/moduleparam.h>
#include <linux/ktime.h>

#include "sandbox.h"

unsigned int sr_limit_us = 10000;
module_param_named(upcall_limit_us, sr_limit_us, uint, 0644);
MODULE_PARM_DESC(upcall_limit_us, "How long an extension may run for one event, in us (default: 10000)");

static enum hrtimer_restart pulse(struct hrtimer *timer) {
    struct sr_processor *processor = container_of(timer, struct sr_processor, pulse);

    if (!processor->active && !sr_events_pending(processor) && !sr_events_finished(processor)) {
        processor->pulsing = false;
        return HRTIMER_NORESTART;
    }
    sr_processor_attend(processor);
    hrtimer_forward_now(timer, ns_to_ktime(SR_PULSE_NS));
    return HRTIMER_RESTART;
}

// Interrupts off, on this processor.
void sr_watchdog_start(struct sr_processor *processor) {
    if (processor->pulsing || !processor->online)
        return;
    processor->pulsing = true;
    hrtimer_start(&processor->pulse, ns_to_ktime(SR_PULSE_NS), HRTIMER_MODE_REL_PINNED_HARD);
}

void sr_watchdog_prepare(struct sr_processor *processor) {
    hrtimer_init(&processor->pulse, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    processor->pulse.function = pulse;
}

void sr_watchdog_stop(struct sr_processor *processor) {
    hrtimer_cancel(&processor->pulse);
    processor->pulsing = false;
}

// Time is what passed, so it has to be seen running as well: a virtual processor that was not given any for a
// while finds its extension where it was.
bool sr_watchdog_expired(struct sr_visit *visit) {
    struct sr_run *run = &visit->place->run;
    u64 now = ktime_get_mono_fast_ns(), spent = run->spent_ns + now - visit->begun_ns;

    if (!run->looks || now - run->looked_ns >= SR_PULSE_NS / 2) {
        run->looked_ns = now;
        run->looks++;
    }
    return run->looks >= SR_LOOKS && spent > (u64)READ_ONCE(sr_limit_us) * NSEC_PER_USEC;
}
