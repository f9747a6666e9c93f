// SPDX-License-Identifier: GPL-2.0
// Which process may be interrupted by an extension: one whose state is all of what crossing.c keeps, and of
// which no other thread or tracer sees what is changed for a while.
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uprobes.h>
#include <asm/debugreg.h>

#include "sandbox.h"

static bool is_traced(const struct pt_regs *registers) {
    const unsigned long work = SYSCALL_WORK_SYSCALL_TRACE | SYSCALL_WORK_SYSCALL_EMU |
                               SYSCALL_WORK_SYSCALL_USER_DISPATCH | SYSCALL_WORK_SYSCALL_EXIT_TRAP;

    return current->ptrace || READ_ONCE(current_thread_info()->syscall_work) & work ||
           test_thread_flag(TIF_SINGLESTEP) || test_thread_flag(TIF_BLOCKSTEP) ||
           test_thread_flag(TIF_UPROBE) || registers->flags & X86_EFLAGS_TF ||
           (current->utask && current->utask->active_uprobe) || hw_breakpoint_active();
}

static bool has_shadow_stack(void) {
#ifdef CONFIG_X86_USER_SHADOW_STACK
    // ARCH_SHSTK_SHSTK and ARCH_SHSTK_WRSS of <asm/prctl.h>.
    return current->thread.features & 3;
#else
    return false;
#endif
}

static bool has_own_segments(void) {
#ifdef CONFIG_MODIFY_LDT_SYSCALL
    return current->mm->context.ldt;
#else
    return false;
#endif
}

// Work that io_uring gives a process may come before ours, and would not find the process' memory.
static bool has_rings(void) {
#ifdef CONFIG_IO_URING
    return current->io_uring;
#else
    return false;
#endif
}

// Mode shared only. It does not see memory that is mapped there and was never touched: should another process
// touch it (process_vm_writev(2), a debugger) just during a visit, the kernel would take our tables for the
// process'. Mode private has no such gap.
static bool slot_is_free(void) {
    u64 *table = (u64 *)current->mm->pgd;

    return !READ_ONCE(table[pgd_index(SR_SANDBOX_BASE)]);
}

enum sr_upcall_refusal sr_victim_refuses(const struct pt_regs *registers) {
    if (current->flags & (PF_KTHREAD | PF_EXITING) || !current->mm)
        return SR_REFUSED_KERNEL;
    // soundness.c says why; it can be changed while the kernel runs.
    if (preempt_model_full())
        return SR_REFUSED_KERNEL;
    if (registers->cs != __USER_CS || registers->ss != __USER_DS)
        return SR_REFUSED_32_BIT;
    // A user of the memory may also be someone who reads /proc, for a moment.
    if (!thread_group_empty(current) || atomic_read(&current->mm->mm_users) != 1)
        return SR_REFUSED_THREADS;
    if (is_traced(registers))
        return SR_REFUSED_TRACED;
    if (has_shadow_stack())
        return SR_REFUSED_SHADOW_STACK;
    if (test_thread_flag(TIF_IO_BITMAP) || has_own_segments())
        return SR_REFUSED_RIGHTS;
    if (has_rings())
        return SR_REFUSED_RINGS;
    if (!current->mm->context.vdso || !current->mm->context.vdso_image)
        return SR_REFUSED_VDSO;
    if (sr_mode_shared && !slot_is_free())
        return SR_REFUSED_SLOT;
    return SR_REFUSED_NOT;
}
