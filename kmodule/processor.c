// SPDX-License-Identifier: GPL-2.0
// Processors: what each has of its own, their coming and going, and how one is made to look for events at its
// next return to user mode.
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "sandbox.h"

// With page-table isolation there are two tables one behind the other, in a block that is aligned to its
// size.
enum { SHADOW_ORDER = 1 };

static struct sr_processor *processors;
static int hotplug_state;

struct sr_processor *sr_processor_here(void) {
    return &processors[raw_smp_processor_id()];
}

struct sr_processor *sr_processor_of(int number) {
    return &processors[number];
}

struct sr_processor *sr_processor_online(void) {
    int number;

    for_each_online_cpu(number) {
        if (processors[number].online)
            return &processors[number];
    }
    return sr_processor_here();
}

// Interrupts off, on this processor. The flag goes from process to process with the processor until it is
// taken down.
void sr_processor_attend(struct sr_processor *processor) {
    set_thread_flag(TIF_USER_RETURN_NOTIFY);
    sr_watchdog_start(processor);
    if (current->flags & PF_KTHREAD)
        sr_anchor_call(processor);
}

static void attend_here(void *processor) {
    sr_processor_attend(processor);
}

// For another processor.
void sr_processor_attend_from(struct sr_processor *processor) {
    // One that is under way already does as well.
    smp_call_function_single_async(processor->number, &processor->call);
}

// The flag stays if another notifier (KVM) is registered here.
void sr_processor_disarm(struct sr_processor *processor) {
    if (processor->notified->first == &processor->notifier.link && !processor->notifier.link.next)
        clear_thread_flag(TIF_USER_RETURN_NOTIFY);
}

// An interrupt, that is all: on its way back the kernel does what is due.
static void kicked(struct irq_work *work) {
}

static int give_memory(struct sr_processor *processor) {
    if (processor->pool)
        return 0;
    processor->shadow = (u64 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, SHADOW_ORDER);
    processor->fpu = sr_crossing_fpu_area();
    if (!processor->shadow || !processor->fpu)
        return -ENOMEM;
    return sr_visit_pool(processor);
}

// By the processor's own hotplug thread, so no user of the kernel's list of notifiers, who may not be
// preempted, is in the middle of something.
static int come(unsigned int number) {
    struct sr_processor *processor = &processors[number];
    int error = give_memory(processor);

    if (error)
        return error;
    local_irq_disable();
    processor->notifier.on_user_return = sr_visit_on_return;
    user_return_notifier_register(&processor->notifier);
    // It was put first: what leads to it is the list's head.
    processor->notified = container_of(processor->notifier.link.pprev, struct hlist_head, first);
    processor->online = true;
    local_irq_enable();
    return 0;
}

static int go(unsigned int number) {
    struct sr_processor *processor = &processors[number], *other = NULL;
    int candidate;

    for_each_online_cpu(candidate) {
        if (candidate != number && processors[candidate].online)
            other = &processors[candidate];
    }
    sr_events_move(processor, other);
    local_irq_disable();
    user_return_notifier_unregister(&processor->notifier);
    local_irq_enable();
    sr_watchdog_stop(processor);
    irq_work_sync(&processor->kick);
    if (other)
        sr_processor_attend_from(other);
    wake_up_all(&processor->anchor_queue);
    return 0;
}

static void prepare(struct sr_processor *processor, int number) {
    processor->number = number;
    INIT_LIST_HEAD(&processor->ready);
    INIT_LIST_HEAD(&processor->finished);
    init_irq_work(&processor->kick, kicked);
    INIT_CSD(&processor->call, attend_here, processor);
    init_waitqueue_head(&processor->anchor_queue);
    sr_watchdog_prepare(processor);
}

static void nothing(void *unused) {
}

// Processes that were visited have a task work to do that is code of this module: those that wait for a
// processor get one, in whatever time the scheduler takes.
static void wait_for_visits(void) {
    int number;

    for (number = 0; number < nr_cpu_ids; number++) {
        while (!sr_visit_pool_end(&processors[number]))
            msleep(1);
    }
    // Who gave a visit back may have been preempted behind that, still in this module.
    synchronize_rcu_tasks();
}

int sr_processor_prepare(void) {
    int number;

    processors = vzalloc(array_size(nr_cpu_ids, sizeof(*processors)));
    if (!processors)
        return -ENOMEM;
    for (number = 0; number < nr_cpu_ids; number++)
        prepare(&processors[number], number);
    return 0;
}

// Nobody looks at processors any more.
void sr_processor_free(void) {
    int number;

    for (number = 0; number < nr_cpu_ids; number++) {
        free_pages((unsigned long)processors[number].shadow, SHADOW_ORDER);
        sr_crossing_fpu_area_end(processors[number].fpu);
        kfree(processors[number].pool);
    }
    vfree(processors);
    processors = NULL;
}

int sr_processor_start(void) {
    preempt_notifier_inc();
    hotplug_state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "streamrouter:upcall", come, go);
    if (hotplug_state >= 0)
        return 0;
    preempt_notifier_dec();
    return hotplug_state;
}

// After this nothing is visited, and no process has a visit to give back.
void sr_processor_stop(void) {
    int number;

    cpuhp_remove_state(hotplug_state);
    // Calls that were on their way have arrived after this one.
    for_each_online_cpu(number)
        smp_call_function_single(number, nothing, NULL, true);
    wait_for_visits();
    preempt_notifier_dec();
}

// SR_MODULE_UPCALL_ACCOUNT.
int sr_processor_account(void *argument) {
    struct sr_upcall_account *sum = argument;
    u64 *total = argument;
    int number, field;

    static_assert(sizeof(*sum) % sizeof(u64) == 0);
    memset(sum, 0, sizeof(*sum));
    for (number = 0; number < nr_cpu_ids; number++) {
        const u64 *own = (const u64 *)&processors[number].account;

        for (field = 0; field < sizeof(*sum) / sizeof(u64); field++)
            total[field] += READ_ONCE(own[field]);
    }
    return 0;
}
