// SPDX-License-Identifier: GPL-2.0
// The probe: runs a piece of machine code as an extension a number of times and tells what became of it and
// what it took. Made for tests of the mechanism and for `streamrouter bench cost`.
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "sandbox.h"

// The null extension, `return event->cookie`: mov 12(%rdi), %eax; ret. Who answers so has run.
static const u8 null_code[] = {0x8b, 0x47, 0x0c, 0xc3};
static_assert(offsetof(struct sr_upcall_event, cookie) == 12);

struct probe {
    struct sr_upcall_probe *asked;
    struct sr_extension_space *space;
    struct hrtimer timer;
    wait_queue_head_t ended;
    u32 posted;
    // By one at a time: outcomes of a place are told one after the other.
    u32 done;
    u32 right;
    bool aborted;
    // Time is up: what comes back did not run.
    bool late;
};

static void probe_done(struct sr_extension_space *space, const struct sr_upcall_event *event, u32 verdict) {
    struct probe *probe = space->owner;

    if (probe->aborted || READ_ONCE(probe->late))
        return;
    probe->right += verdict == event->cookie;
    WRITE_ONCE(probe->done, probe->done + 1);
    if (probe->done == probe->asked->upcalls)
        wake_up(&probe->ended);
}

static void probe_aborted(struct sr_extension_space *space, enum sr_abort_cause cause, u64 instruction,
                          u64 fault) {
    struct probe *probe = space->owner;

    probe->asked->cause = cause;
    probe->asked->instruction = instruction - space->user;
    probe->asked->fault = fault;
    WRITE_ONCE(probe->aborted, true);
    wake_up(&probe->ended);
}

static const struct sr_place_calls probe_calls = {.done = probe_done, .aborted = probe_aborted};

// In softirq, as packets come.
static enum hrtimer_restart post(struct hrtimer *timer) {
    struct probe *probe = container_of(timer, struct probe, timer);
    struct sr_upcall_event event = {.payload = probe->asked->payload, .cookie = probe->posted};
    int error = sr_upcall_post(probe->space, &event);

    if (!error && ++probe->posted == probe->asked->upcalls)
        return HRTIMER_NORESTART;
    if (error == -ESHUTDOWN)
        return HRTIMER_NORESTART;
    hrtimer_forward_now(timer, ns_to_ktime(probe->asked->interval_us * NSEC_PER_USEC));
    return HRTIMER_RESTART;
}

static int load(struct sr_extension_space *space, const struct sr_upcall_probe *asked) {
    if (!asked->code_bytes) {
        memcpy(space->code, null_code, sizeof(null_code));
        return 0;
    }
    return copy_from_user(space->code, u64_to_user_ptr(asked->code), asked->code_bytes) ? -EFAULT : 0;
}

static void measure(struct probe *probe) {
    struct sr_place *place = sr_place_of(probe->space);
    struct sr_upcall_probe *asked = probe->asked;

    asked->done = probe->done;
    asked->right = probe->right;
    asked->posted = probe->posted;
    asked->wait_min_ns = place->wait_min_ns;
    asked->wait_max_ns = place->wait_max_ns;
    asked->wait_sum_ns = place->wait_sum_ns;
    asked->cycles_min = place->cycles_min;
    asked->cycles_sum = place->cycles_sum;
    asked->run_ns = place->counts.run_ns;
    asked->run_max_ns = place->counts.run_max_ns;
}

static bool has_ended(const struct probe *probe) {
    return READ_ONCE(probe->done) == probe->asked->upcalls || READ_ONCE(probe->aborted);
}

// SR_MODULE_UPCALL_PROBE.
int sr_probe_run(void *argument) {
    struct sr_upcall_probe *asked = argument;
    struct probe probe = {.asked = asked};
    long left;
    int error;

    if (asked->code_bytes > SR_IMAGE_CODE || !asked->upcalls || asked->upcalls > S32_MAX || asked->reserved ||
        !asked->interval_us || asked->interval_us > USEC_PER_SEC)
        return -EINVAL;
    probe.space = sr_space_take("probe", &probe);
    if (IS_ERR(probe.space))
        return PTR_ERR(probe.space);
    error = load(probe.space, asked);
    if (error)
        goto release;
    sr_place_of(probe.space)->calls = &probe_calls;
    asked->cause = SR_ABORT_NONE;
    init_waitqueue_head(&probe.ended);
    hrtimer_init_on_stack(&probe.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_SOFT);
    probe.timer.function = post;
    sr_space_open(probe.space, probe.space->user);

    hrtimer_start(&probe.timer, ns_to_ktime(asked->interval_us * NSEC_PER_USEC),
                  HRTIMER_MODE_REL_PINNED_SOFT);
    left =
        wait_event_interruptible_timeout(probe.ended, has_ended(&probe), msecs_to_jiffies(asked->timeout_ms));
    hrtimer_cancel(&probe.timer);
    destroy_hrtimer_on_stack(&probe.timer);
    WRITE_ONCE(probe.late, true);
    sr_space_close(probe.space);
    measure(&probe);
    error = left > 0 || probe.aborted ? 0 : left < 0 ? left : -ETIME;
release:
    sr_space_release(probe.space);
    return error;
}
