// SPDX-License-Identifier: GPL-2.0
// Visits: where an extension begins, and every way in which it ends.
//
//   begins   at the last hook before ring 3 (user return notifier)
//   ends     through the gate or by an exception (fault.c);
//            when the kernel is about to do something in the process' name: its task work runs first;
//            when the process is scheduled out (preempt notifier);
//            at the same hook, when it is about to return to ring 3 and its time is over
//
// After the end the process has a task work to do, in which outcomes are told. Should it be scheduled out
// before, the next process on this processor does it: nobody waits for the scheduler.
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/ktime.h>
#include <linux/version.h>
#include <asm/tsc.h>
#include <asm/trapnr.h>

#include "sandbox.h"

// The process does its task work before it returns to user mode; one that is there already, soon.
static void work_soon(void) {
    set_thread_flag(TIF_NOTIFY_RESUME);
}

// What is common to all ends. Interrupts off, current is visited here.
static void end(struct sr_visit *visit, bool suspend) {
    struct sr_processor *processor = visit->processor;
    struct sr_run *run = &visit->place->run;

    sr_crossing_close(processor, visit, suspend);
    // Also from within a notifier, which preempt_notifier_unregister() does not allow: the entry keeps its
    // next one, by which the kernel goes on.
    __hlist_del(&visit->notifier.link);
    visit->within = false;
    processor->active = NULL;
    run->spent_ns += ktime_get_mono_fast_ns() - visit->begun_ns;
    run->cycles += rdtsc_ordered() - visit->begun_cycles;
    work_soon();
}

static void suspend(struct sr_visit *visit) {
    end(visit, true);
    visit->processor->account.suspended++;
    sr_events_suspend(visit->processor, visit->place);
}

void sr_visit_finish(struct sr_visit *visit, u32 verdict) {
    visit->place->run.verdict = verdict;
    end(visit, false);
    visit->processor->account.finished++;
    sr_events_finish(visit->processor, visit->place);
}

static void note_abort(struct sr_run *run, enum sr_abort_cause cause, u64 instruction, u64 fault) {
    run->cause = cause;
    run->instruction = instruction;
    run->fault = fault;
}

static void end_aborted(struct sr_visit *visit) {
    end(visit, false);
    visit->processor->account.aborted++;
    sr_events_finish(visit->processor, visit->place);
}

void sr_visit_abort(struct sr_visit *visit, enum sr_abort_cause cause, u64 instruction, u64 fault) {
    note_abort(&visit->place->run, cause, instruction, fault);
    end_aborted(visit);
}

// For a fault that the kernel is in the middle of: it ends when that is over.
void sr_visit_caught(struct sr_visit *visit, enum sr_abort_cause cause, u64 instruction, u64 fault) {
    note_abort(&visit->place->run, cause, instruction, fault);
    visit->caught = true;
    work_soon();
}

// There are two ways to a signal with no hook before it, and both note what they are about, which no other
// way does during a visit (crossing.c begins it with no trap noted): the kernel emulates a few instructions
// for user mode (UMIP: sgdt and its like), and forces SIGSEGV if they touch memory that is not there; and
// some processors raise #GP only behind a jump to an address that is none, where fault.c has no entry in its
// table.
static bool is_forced(void) {
    return current->thread.trap_nr == X86_TRAP_PF || current->thread.trap_nr == X86_TRAP_GP;
}

// Takes that signal back, and what forcing does to a process that blocks, handles or ignores it.
static void take_back_forced(struct sr_visit *visit) {
    struct sighand_struct *sighand = current->sighand;
    kernel_siginfo_t info = {};
    enum pid_type type;
    sigset_t others;

    siginitsetinv(&others, sigmask(SIGSEGV));
    spin_lock_irq(&sighand->siglock);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
    dequeue_signal(&others, &info, &type);
#else
    dequeue_signal(current, &others, &info, &type);
#endif
    current->blocked = visit->blocked;
    sighand->action[SIGSEGV - 1].sa.sa_handler = visit->segv_handler;
    if (visit->unkillable)
        current->signal->flags |= SIGNAL_UNKILLABLE;
    recalc_sigpending();
    spin_unlock_irq(&sighand->siglock);
}

// Whether the kernel left registers as they are after something that an extension may not do. So they are
// looked at before every return to ring 3, and before a run is suspended, since it would go on from them
// elsewhere.
static bool has_failed(struct sr_visit *visit) {
    struct pt_regs *registers = task_pt_regs(current);
    struct sr_run *run = &visit->place->run;

    if (visit->caught)
        return true;
    run->instruction = registers->ip;
    run->fault = 0;
    if (is_forced()) {
        visit->forced = true;
        run->cause = SR_ABORT_PROTECTION;
    } else if (sr_fault_left(visit->place, registers, &run->cause, &run->instruction)) {
        return true;
    } else if (registers->orig_ax != -1) {
        run->cause = SR_ABORT_SYSTEM_CALL;
    } else if (registers->cs != __USER_CS || registers->ss != __USER_DS) {
        run->cause = SR_ABORT_PROTECTION;
    }
    return run->cause;
}

// Interrupts off. The process is about to do something of its own.
static void leave(struct sr_visit *visit) {
    if (has_failed(visit))
        end_aborted(visit);
    else
        suspend(visit);
}

static void scheduled_in(struct preempt_notifier *notifier, int processor) {
}

static void scheduled_out(struct preempt_notifier *notifier, struct task_struct *next) {
    struct sr_visit *visit = container_of(notifier, struct sr_visit, notifier);

    if (visit->within)
        leave(visit);
}

static struct preempt_ops preempt_operations = {.sched_in = scheduled_in, .sched_out = scheduled_out};

static void give_back(struct sr_visit *visit) {
    // Nothing of the visit is touched after this.
    llist_add(&visit->free, &visit->home->visits);
}

static void work(struct callback_head *head) {
    struct sr_visit *visit = container_of(head, struct sr_visit, work);

    local_irq_disable();
    if (visit->within)
        leave(visit);
    local_irq_enable();
    if (visit->forced)
        take_back_forced(visit);
    sr_events_tell(sr_processor_of(raw_smp_processor_id()));
    give_back(visit);
}

static struct sr_visit *take(struct sr_processor *processor) {
    struct llist_node *node = llist_del_first(&processor->visits);
    struct sr_visit *visit;

    if (!node)
        return NULL;
    visit = llist_entry(node, struct sr_visit, free);
    init_task_work(&visit->work, work);
    visit->within = false;
    visit->caught = false;
    visit->forced = false;
    visit->task = current;
    visit->processor = processor;
    // It is asked for when it is needed (work_soon), and before signals in any case.
    if (task_work_add(current, &visit->work, TWA_NONE)) {
        llist_add(&visit->free, &processor->visits);
        return NULL;
    }
    return visit;
}

static void count_beginning(struct sr_processor *processor, const struct pt_regs *registers) {
    struct sr_upcall_account *account = &processor->account;

    // Of the second and later ones in a row the registers tell no more where the process came from.
    if (!processor->burst || processor->burst_task != current)
        processor->burst_from_call = registers->orig_ax != -1;
    processor->burst_task = current;
    processor->burst++;
    if (current == processor->anchor)
        account->from_anchor++;
    else if (processor->burst_from_call)
        account->from_call++;
    else
        account->from_user++;
}

// False: there was no visit left.
bool sr_visit_enter(struct sr_processor *processor, struct sr_place *place) {
    u64 cycles = rdtsc_ordered();
    struct sr_visit *visit = take(processor);
    struct sr_run *run = &place->run;

    if (!visit)
        return false;
    visit->place = place;
    visit->begun_ns = ktime_get_mono_fast_ns();
    visit->begun_cycles = cycles;
    if (run->suspended) {
        processor->account.resumed++;
    } else {
        count_beginning(processor, task_pt_regs(current));
        run->begun_ns = visit->begun_ns;
        run->spent_ns = run->cycles = 0;
        run->looks = 0;
        run->cause = SR_ABORT_NONE;
    }
    preempt_notifier_init(&visit->notifier, &preempt_operations);
    preempt_notifier_register(&visit->notifier);
    sr_crossing_open(processor, visit, place);
    visit->within = true;
    processor->active = visit;
    return true;
}

// A process that is about to go on in ring 3, in the middle of a run.
static void look_after(struct sr_processor *processor, struct sr_visit *visit) {
    if (!has_failed(visit) && sr_watchdog_expired(visit))
        visit->place->run.cause = SR_ABORT_TIME;
    if (!visit->place->run.cause)
        return;
    end_aborted(visit);
    // The kernel looked for task work before this hook: an interrupt of our own makes it look again.
    irq_work_queue(&processor->kick);
}

// What another process finished and could not tell.
static void tell_for_another(struct sr_processor *processor) {
    struct sr_visit *visit = take(processor);

    if (!visit)
        return;
    work_soon();
    irq_work_queue(&processor->kick);
}

static void begin_next(struct sr_processor *processor) {
    enum sr_upcall_refusal refusal = sr_victim_refuses(task_pt_regs(current));
    struct sr_place *place;

    if (refusal) {
        processor->account.refused[refusal]++;
        processor->burst = 0;
        if (sr_anchor_call(processor))
            irq_work_queue(&processor->kick);
        return;
    }
    place = sr_events_next(processor);
    if (place && !sr_visit_enter(processor, place)) {
        processor->account.without_visit++;
        sr_events_suspend(processor, place);
    }
}

// Interrupts are off, and the next thing is ring 3.
void sr_visit_on_return(struct user_return_notifier *notifier) {
    struct sr_processor *processor = container_of(notifier, struct sr_processor, notifier);

    if (processor->active) {
        look_after(processor, processor->active);
    } else if (sr_events_finished(processor)) {
        tell_for_another(processor);
    } else if (!sr_events_pending(processor)) {
        processor->burst = 0;
        sr_processor_disarm(processor);
    } else if (processor->burst >= SR_BURST && processor->burst_task == current) {
        // The process' turn; the pulse brings us back.
        processor->burst = 0;
    } else {
        begin_next(processor);
    }
}

int sr_visit_pool(struct sr_processor *processor) {
    int index;

    init_llist_head(&processor->visits);
    processor->pool = kcalloc(SR_VISITS, sizeof(*processor->pool), GFP_KERNEL);
    if (!processor->pool)
        return -ENOMEM;
    for (index = 0; index < SR_VISITS; index++) {
        processor->pool[index].home = processor;
        llist_add(&processor->pool[index].free, &processor->visits);
    }
    return 0;
}

// True once no process has a visit of this processor any more; then the pool is gone.
bool sr_visit_pool_end(struct sr_processor *processor) {
    struct llist_node *node;
    int free = 0;

    if (!processor->pool)
        return true;
    llist_for_each(node, processor->visits.first) free++;
    if (free < SR_VISITS)
        return false;
    kfree(processor->pool);
    processor->pool = NULL;
    return true;
}
