// SPDX-License-Identifier: GPL-2.0
// The crossing into an extension and back: everything of a process that ring 3 could see or change is put
// aside and brought back. Interrupts are off from the first to the last step.
//
// A page table is loaded with a flush of its address space identifier, both ways, and it keeps the identifier
// of the process: so what the kernel flushes meanwhile, for the process or of its own, it flushes rightly,
// and no translation of either side is left to the other.
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/ktime.h>
#include <linux/uaccess.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/fsgsbase.h>
#include <asm/invpcid.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "sandbox.h"

// Debug: what it looks like when registers are not kept. Damages processes.
bool sr_unsaved_fpu;
module_param_named(upcall_unsaved_fpu, sr_unsaved_fpu, bool, 0444);
MODULE_PARM_DESC(upcall_unsaved_fpu,
                 "For tests only: interrupted processes lose their floating-point registers");

static bool flush_user_identifier;
static unsigned int fpu_bytes;
static u64 fpu_features;
static void *fpu_initial;

enum { PGD_KERNEL_HALF = PTRS_PER_PGD / 2, FCW_INITIAL = 0x37f, MXCSR_INITIAL = 0x1f80, MXCSR_OFFSET = 24 };

static void fpu_save(void *area) {
    asm volatile("xsave64 (%0)" ::"r"(area), "a"((u32)fpu_features), "d"((u32)(fpu_features >> 32))
                 : "memory");
}

static void fpu_load(const void *area) {
    asm volatile("xrstor64 (%0)" ::"r"(area), "a"((u32)fpu_features), "d"((u32)(fpu_features >> 32))
                 : "memory");
}

// The registers are current's: the kernel may have put them into memory since it last was in user mode.
static void fpu_own(void) {
    if (test_thread_flag(TIF_NEED_FPU_LOAD))
        switch_fpu_return();
}

static u64 gs_base_of_user(void) {
    u64 base;

    if (boot_cpu_has(X86_FEATURE_FSGSBASE))
        asm volatile("swapgs; rdgsbase %0; swapgs" : "=r"(base)::"memory");
    else
        rdmsrl(MSR_KERNEL_GS_BASE, base);
    return base;
}

static u64 fs_base_of_user(void) {
    u64 base;

    if (boot_cpu_has(X86_FEATURE_FSGSBASE))
        asm volatile("rdfsbase %0" : "=r"(base)::"memory");
    else
        rdmsrl(MSR_FS_BASE, base);
    return base;
}

static void segments_save(struct sr_selectors *segments) {
    savesegment(ds, segments->ds);
    savesegment(es, segments->es);
    savesegment(fs, segments->fs);
    savesegment(gs, segments->gs);
    segments->fs_base = fs_base_of_user();
    segments->gs_base = gs_base_of_user();
}

// An extension has no need of segments, so that nothing has to be written is the rule. Loading a selector
// changes the base.
static void segments_load(const struct sr_selectors *segments) {
    struct sr_selectors now;

    segments_save(&now);
    if (now.ds != segments->ds)
        loadsegment(ds, segments->ds);
    if (now.es != segments->es)
        loadsegment(es, segments->es);
    if (now.fs != segments->fs)
        loadsegment(fs, segments->fs);
    if (now.gs != segments->gs)
        load_gs_index(segments->gs);
    if (now.fs != segments->fs || now.fs_base != segments->fs_base)
        wrmsrl(MSR_FS_BASE, segments->fs_base);
    if (now.gs != segments->gs || now.gs_base != segments->gs_base)
        wrmsrl(MSR_KERNEL_GS_BASE, segments->gs_base);
}

static void flush_and_load(unsigned long cr3) {
    native_write_cr3(cr3);
    if (flush_user_identifier)
        invpcid_flush_single_context((cr3 & X86_CR3_PCID_MASK) | (1ul << X86_CR3_PTI_PCID_USER_BIT));
}

// The page table that user mode goes by: with page-table isolation it stands behind the kernel's.
static u64 *of_user_mode(void *table) {
    return cpu_feature_enabled(X86_FEATURE_PTI) ? table + PAGE_SIZE : table;
}

// Mode private: nothing of the process, neither for ring 3 nor for the kernel, whose accesses to user memory
// fail as if there were none; the kernel's half as in the process' own table.
static void table_open_private(struct sr_processor *processor, struct sr_visit *visit,
                               struct sr_place *place) {
    enum { BYTES = PAGE_SIZE / 2 };
    void *own = current->mm->pgd;

    memcpy(processor->shadow + PGD_KERNEL_HALF, own + BYTES, BYTES);
    if (cpu_feature_enabled(X86_FEATURE_PTI))
        memcpy(of_user_mode(processor->shadow) + PGD_KERNEL_HALF, own + PAGE_SIZE + BYTES, BYTES);
    WRITE_ONCE(of_user_mode(processor->shadow)[pgd_index(SR_SANDBOX_BASE)], place->view);
    flush_and_load(__sme_pa(processor->shadow) | (visit->cr3 & X86_CR3_PCID_MASK));
}

// Mode shared: the slot in the process' own table, which victim.c found to be free. What is not there is not
// remembered by the processor, so nothing is flushed on the way in.
static void table_open_shared(struct sr_place *place) {
    WRITE_ONCE(of_user_mode(current->mm->pgd)[pgd_index(SR_SANDBOX_BASE)], place->view);
}

static void table_close(struct sr_visit *visit) {
    if (sr_mode_shared)
        WRITE_ONCE(of_user_mode(current->mm->pgd)[pgd_index(SR_SANDBOX_BASE)], 0);
    flush_and_load(visit->cr3);
}

static void registers_begin(struct sr_place *place, struct pt_regs *registers) {
    void *end = place->space.data + SR_PLACE_STACK_END;
    u64 end_user = place->space.user + SR_IMAGE_DATA + SR_PLACE_STACK_END;
    enum { EVENT_BYTES = ALIGN(sizeof(struct sr_upcall_event), 16) };

    // As if the gate had called the entry with the event as its argument.
    memcpy(end - EVENT_BYTES, &place->run.event, sizeof(place->run.event));
    *(u64 *)(end - EVENT_BYTES - 8) = SR_SANDBOX_GATE;
    memset(registers, 0, sizeof(*registers));
    registers->ip = place->entry;
    registers->sp = end_user - EVENT_BYTES - 8;
    registers->di = end_user - EVENT_BYTES;
    registers->flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
    registers->cs = __USER_CS;
    registers->ss = __USER_DS;
    registers->orig_ax = -1;
}

static void process_save(struct sr_visit *visit, struct pt_regs *registers) {
    struct thread_struct *thread = &current->thread;

    visit->registers = *registers;
    // Its system call, if that is where it comes from, is over: nothing is left to restart.
    visit->registers.orig_ax = -1;
    visit->trap = thread->trap_nr;
    visit->error_code = thread->error_code;
    visit->cr2 = thread->cr2;
    visit->blocked = current->blocked;
    visit->segv_handler = current->sighand->action[SIGSEGV - 1].sa.sa_handler;
    visit->unkillable = current->signal->flags & SIGNAL_UNKILLABLE;
    visit->image = current->mm->context.vdso_image;
    thread->trap_nr = 0;
}

static void process_load(struct sr_visit *visit, struct pt_regs *registers) {
    struct thread_struct *thread = &current->thread;

    *registers = visit->registers;
    thread->trap_nr = visit->trap;
    thread->error_code = visit->error_code;
    thread->cr2 = visit->cr2;
    current->mm->context.vdso_image = visit->image;
}

void sr_crossing_open(struct sr_processor *processor, struct sr_visit *visit, struct sr_place *place) {
    struct pt_regs *registers = task_pt_regs(current);
    struct sr_run *run = &place->run;

    process_save(visit, registers);
    segments_save(&visit->segments);
    fpu_own();
    if (!sr_unsaved_fpu)
        fpu_save(processor->fpu);
    fpu_load(run->suspended ? run->fpu : fpu_initial);

    // The kernel must not serve the extension's faults from the process' memory (fault.c), nor its system
    // calls.
    pagefault_disable();
    set_task_syscall_work(current, SYSCALL_EMU);
    sr_fault_table_use(processor, place, visit->image, current->mm->context.vdso);
    current->mm->context.vdso_image = &processor->image;

    if (run->suspended)
        *registers = run->registers;
    else
        registers_begin(place, registers);
    run->suspended = false;

    visit->cr3 = __native_read_cr3();
    if (sr_mode_shared)
        table_open_shared(place);
    else
        table_open_private(processor, visit, place);
}

void sr_crossing_close(struct sr_processor *processor, struct sr_visit *visit, bool suspend) {
    struct pt_regs *registers = task_pt_regs(current);
    struct sr_run *run = &visit->place->run;

    table_close(visit);
    clear_task_syscall_work(current, SYSCALL_EMU);
    pagefault_enable();
    if (suspend) {
        run->registers = *registers;
        run->suspended = true;
    }
    process_load(visit, registers);
    // The extension's registers may be in memory by now: then they are loaded first, which makes them
    // current's.
    fpu_own();
    if (suspend)
        fpu_save(run->fpu);
    if (!sr_unsaved_fpu)
        fpu_load(processor->fpu);
    segments_load(&visit->segments);
}

void *sr_crossing_fpu_area(void) {
    return (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(fpu_bytes));
}

void sr_crossing_fpu_area_end(void *area) {
    free_pages((unsigned long)area, get_order(fpu_bytes));
}

int sr_crossing_start(void) {
    u32 registers[4];

    fpu_features = xgetbv(XCR_XFEATURE_ENABLED_MASK);
    // Function 0xd, 0: EBX is the size of an area for the features that are enabled.
    cpuid_count(0xd, 0, &registers[0], &registers[1], &registers[2], &registers[3]);
    fpu_bytes = registers[1];
    fpu_initial = sr_crossing_fpu_area();
    if (!fpu_initial)
        return -ENOMEM;
    *(u16 *)fpu_initial = FCW_INITIAL;
    *(u32 *)(fpu_initial + MXCSR_OFFSET) = MXCSR_INITIAL;
    flush_user_identifier = cpu_feature_enabled(X86_FEATURE_PTI) && __read_cr4() & X86_CR4_PCIDE;
    return 0;
}

void sr_crossing_stop(void) {
    sr_crossing_fpu_area_end(fpu_initial);
}
