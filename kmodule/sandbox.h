/* SPDX-License-Identifier: GPL-2.0 */
// What the files of the mechanism below upcall.h share: places, runs, visits and processors.
//
// A *run* is an extension's work on one event. A *visit* is a stretch of a run in the context of one process:
// it begins at that process' return to user mode and ends at the latest when the process is scheduled out or
// handles a signal; the process then has its own registers back and the run is suspended, to go on in another
// visit. So the scheduler, signals and the process itself never meet an extension.
#pragma once

#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/user-return-notifier.h>
#include <linux/wait.h>
#include <asm/ptrace.h>
#include <asm/vdso.h>

#include "upcall.h"

enum sr_sandbox_limits {
    // Visits of a processor that processes have not given back yet. A process that was scheduled out gives
    // its
    // visit back when it runs again, so this many processes may wait for that at a time.
    SR_VISITS = 64,
    // Runs one after the other in a process before it has its turn.
    SR_BURST = 32,
    // While something waits or runs, a timer looks after it this often.
    SR_PULSE_NS = 500000,
    // A run is over its time only if it was found running this often, about a pulse apart.
    SR_LOOKS = 4,
};

// Where ring 3 sees the areas: the beginning of a slot of the uppermost page table that programs leave free.
// It is in the half of addresses that user mode may use, so neither LASS nor protection keys are in the way.
#define SR_SANDBOX_BASE 0x400000000000ul
#define SR_SANDBOX_PACKETS (SR_SANDBOX_BASE + 2 * PMD_SIZE)
#define SR_SANDBOX_GATE (SR_SANDBOX_BASE + 4 * PMD_SIZE)
// Nothing is ever mapped here. An exception in a place's code leaves its address here, by fault.c.
#define SR_SANDBOX_FAULTS (SR_SANDBOX_BASE + 8 * PMD_SIZE)

enum sr_place_layout {
    // Of the place's part of the second superpage: data of the extension, a gap that is not mapped, the
    // stack.
    SR_PLACE_GUARD_BYTES = 16 << 10,
    SR_PLACE_STACK_BYTES = 32 << 10,
    SR_PLACE_STACK_END = SR_IMAGE_CODE,
    SR_PLACE_GUARD_END = SR_PLACE_STACK_END - SR_PLACE_STACK_BYTES,
};
static_assert(SR_PLACE_DATA_BYTES + SR_PLACE_GUARD_BYTES + SR_PLACE_STACK_BYTES == SR_IMAGE_CODE);
static_assert(SR_MODULE_EXTENSIONS * SR_IMAGE_CODE == SR_IMAGE_DATA);

enum sr_place_state {
    SR_PLACE_CLOSED, // free, or not yet opened, or closed
    SR_PLACE_IDLE,
    SR_PLACE_READY,    // in the list of a processor: events wait, or a suspended run
    SR_PLACE_RUNNING,  // in a visit
    SR_PLACE_FINISHED, // in the list of a processor: the outcome of a run waits to be told
    SR_PLACE_TELLING,  // callbacks run
    SR_PLACE_ABORTED,
};

struct sr_waiting {
    struct list_head link;
    struct sr_upcall_event event;
    u64 posted_ns;
};

struct sr_run {
    bool suspended; // registers and fpu are valid
    struct pt_regs registers;
    void *fpu; // XSAVE area
    struct sr_upcall_event event;
    u64 posted_ns;
    u64 begun_ns;
    u64 spent_ns;  // in former visits
    u64 cycles;    // of all visits, both crossings included
    u64 looked_ns; // when its time was last looked at, and how often
    u32 looks;
    // Outcome.
    u32 verdict;
    enum sr_abort_cause cause;
    u64 instruction;
    u64 fault;
};

// Who is told what became of events: relays, or the probe.
struct sr_place_calls {
    void (*done)(struct sr_extension_space *space, const struct sr_upcall_event *event, u32 verdict);
    void (*aborted)(struct sr_extension_space *space, enum sr_abort_cause cause, u64 instruction, u64 fault);
};

// All fields below `lock owned` belong to sr_events_lock, but `run` while the state is RUNNING or TELLING,
// which belongs to who runs or tells.
struct sr_place {
    struct sr_extension_space space;
    const struct sr_place_calls *calls;
    u64 entry;
    // Page tables with nothing but this place, the packets and the gate; `view` is what the uppermost table's
    // entry has to be.
    u64 view;
    u64 *tables[4];

    // lock owned
    bool taken;
    bool closing;
    enum sr_place_state state;
    struct list_head link; // in a processor's list
    struct list_head waiting;
    struct list_head spare;
    struct sr_waiting entries[SR_UPCALL_QUEUE];
    struct sr_run run;
    struct sr_upcall_counts counts;
    // Shortest and whole time from post to the first instruction, and cycles of a run.
    u64 wait_min_ns, wait_sum_ns, wait_max_ns;
    u64 cycles_min, cycles_sum;
};

struct sr_selectors {
    u16 ds, es, fs, gs;
    u64 fs_base, gs_base;
};

struct sr_processor;

struct sr_visit {
    struct callback_head work;
    struct preempt_notifier notifier;
    struct llist_node free;
    struct sr_processor *home; // whose pool it is of
    struct task_struct *task;
    // Ring 3 is the extension's. Only changed with interrupts off, by `task` itself.
    bool within;
    struct sr_processor *processor;
    struct sr_place *place;
    u64 begun_ns;
    u64 begun_cycles;
    // A page fault was caught; the visit ends at the next occasion.
    bool caught;
    // The kernel forced a signal upon the process, which has to be taken back.
    bool forced;

    // What the process gets back.
    struct pt_regs registers;
    struct sr_selectors segments;
    unsigned long cr3;
    const struct vdso_image *image;
    unsigned long trap, error_code, cr2;
    sigset_t blocked;
    __sighandler_t segv_handler;
    bool unkillable;
};

struct sr_processor {
    struct user_return_notifier notifier;
    struct hlist_head *notified; // the kernel's list that `notifier` is in
    int number;
    bool online;

    // lock owned
    struct list_head ready;
    struct list_head finished;

    // Interrupts off, and by the processor itself.
    struct sr_visit *active;
    u32 burst;
    struct task_struct *burst_task; // compared, never followed
    bool burst_from_call;
    bool pulsing;
    struct hrtimer pulse;
    struct irq_work kick;
    call_single_data_t call;
    u64 *shadow; // uppermost page table for mode private; with page-table isolation that of user mode behind
                 // it
    void *fpu;   // XSAVE area of the process that is visited
    struct vdso_image image;
    struct sr_upcall_account account;

    struct llist_head visits;
    struct sr_visit *pool;

    // The process that sits in SR_MODULE_UPCALL_ANCHOR.
    wait_queue_head_t anchor_queue;
    struct task_struct *anchor; // compared, never followed
    bool anchor_called;
};

extern bool sr_mode_shared;
extern bool sr_unsaved_fpu;

// soundness.c
int sr_soundness_check(void);

// area.c
int sr_area_start(void);
void sr_area_stop(void);
int sr_area_view(struct sr_place *place);
void sr_area_view_end(struct sr_place *place);

// space.c
int sr_space_start(void);
void sr_space_stop(void);
struct sr_place *sr_place_of(struct sr_extension_space *space);

// events.c
extern raw_spinlock_t sr_events_lock;
void sr_events_reset(struct sr_place *place);
bool sr_events_pending(struct sr_processor *processor);
bool sr_events_finished(struct sr_processor *processor);
struct sr_place *sr_events_next(struct sr_processor *processor);
void sr_events_suspend(struct sr_processor *processor, struct sr_place *place);
void sr_events_finish(struct sr_processor *processor, struct sr_place *place);
void sr_events_tell(struct sr_processor *processor);
void sr_events_tell_place(struct sr_place *place);
void sr_events_move(struct sr_processor *from, struct sr_processor *to);
void sr_events_give_back(struct sr_place *place, u32 verdict);

// processor.c
int sr_processor_prepare(void);
void sr_processor_free(void);
int sr_processor_start(void);
void sr_processor_stop(void);
struct sr_processor *sr_processor_here(void);
struct sr_processor *sr_processor_of(int number);
struct sr_processor *sr_processor_online(void);
void sr_processor_attend(struct sr_processor *processor);
void sr_processor_attend_from(struct sr_processor *processor);
void sr_processor_disarm(struct sr_processor *processor);

// victim.c
enum sr_upcall_refusal sr_victim_refuses(const struct pt_regs *registers);

// crossing.c
int sr_crossing_start(void);
void sr_crossing_stop(void);
void *sr_crossing_fpu_area(void);
void sr_crossing_fpu_area_end(void *area);
void sr_crossing_open(struct sr_processor *processor, struct sr_visit *visit, struct sr_place *place);
void sr_crossing_close(struct sr_processor *processor, struct sr_visit *visit, bool suspend);

// visit.c
int sr_visit_pool(struct sr_processor *processor);
bool sr_visit_pool_end(struct sr_processor *processor);
bool sr_visit_enter(struct sr_processor *processor, struct sr_place *place);
void sr_visit_finish(struct sr_visit *visit, u32 verdict);
void sr_visit_abort(struct sr_visit *visit, enum sr_abort_cause cause, u64 instruction, u64 fault);
void sr_visit_caught(struct sr_visit *visit, enum sr_abort_cause cause, u64 instruction, u64 fault);
void sr_visit_on_return(struct user_return_notifier *notifier);

// fault.c
int sr_fault_start(void);
void sr_fault_stop(void);
void sr_fault_table_use(struct sr_processor *processor, struct sr_place *place,
                        const struct vdso_image *image, void *vdso);
bool sr_fault_left(const struct sr_place *place, const struct pt_regs *registers, enum sr_abort_cause *cause,
                   u64 *instruction);

// watchdog.c
extern unsigned int sr_limit_us;
void sr_watchdog_prepare(struct sr_processor *processor);
void sr_watchdog_start(struct sr_processor *processor);
void sr_watchdog_stop(struct sr_processor *processor);
bool sr_watchdog_expired(struct sr_visit *visit);

// anchor.c
bool sr_anchor_call(struct sr_processor *processor);
