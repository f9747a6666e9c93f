// SPDX-License-Identifier: GPL-2.0
// Exceptions of an extension, caught before the kernel makes signals of them.
//
//   die notifier       #UD (the gate is one), #DE, #OF, #BR, #DB, #BP, #AC, #SS, #NP: the visit ends in it
//   table of the vDSO  #PF, #GP, #MF, #XM: the kernel looks in it for a place to go on at, instead of a
//   signal,
//                      for the sake of SGX enclaves. During a visit the process' pointer to its vDSO's
//                      description leads to a copy with a table of ours: from any address of the place's code
//                      to one behind SR_SANDBOX_FAULTS, where nothing is, so the visit ends before ring 3.
//   tracepoint         #PF first comes here, since its cause is told and the code may have been anywhere.
//   Page
//                      faults are disabled for the process during a visit: so the kernel does not look at the
//                      process' mappings, and nothing is brought in, copied or grown for an extension.
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/notifier.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>
#include <asm/trapnr.h>

#include "sandbox.h"

// As in the kernel's arch/x86/entry/vdso/extable.c; both are relative to a base.
struct landing {
    int instruction;
    int landing;
};

enum { LANDING = SR_SANDBOX_FAULTS - SR_SANDBOX_BASE };

static struct landing *landings;
static struct tracepoint *page_fault;

static enum sr_abort_cause cause_of(unsigned int trap) {
    switch (trap) {
    case X86_TRAP_DE:
        return SR_ABORT_DIVISION;
    case X86_TRAP_DB:
    case X86_TRAP_BP:
        return SR_ABORT_BREAKPOINT;
    case X86_TRAP_UD:
        return SR_ABORT_INSTRUCTION;
    case X86_TRAP_TS:
    case X86_TRAP_NP:
    case X86_TRAP_SS:
    case X86_TRAP_GP:
        return SR_ABORT_PROTECTION;
    case X86_TRAP_PF:
        return SR_ABORT_PAGE;
    case X86_TRAP_MF:
    case X86_TRAP_XF:
        return SR_ABORT_ARITHMETIC;
    case X86_TRAP_AC:
        return SR_ABORT_ALIGNMENT;
    default:
        return SR_ABORT_OTHER;
    }
}

// The visit whose ring 3 raised this, or NULL.
static struct sr_visit *visit_of(struct pt_regs *registers) {
    struct sr_processor *processor = sr_processor_here();

    if (!processor->active || !registers || !user_mode(registers))
        return NULL;
    return processor->active->task == current ? processor->active : NULL;
}

static int on_die(struct notifier_block *block, unsigned long kind, void *data) {
    struct die_args *arguments = data;
    struct pt_regs *registers = arguments->regs;
    struct sr_visit *visit;
    unsigned int trap = arguments->trapnr;

    if (kind != DIE_TRAP && kind != DIE_INT3 && kind != DIE_DEBUG)
        return NOTIFY_DONE;
    visit = visit_of(registers);
    if (!visit)
        return NOTIFY_DONE;
    if (kind == DIE_DEBUG)
        trap = X86_TRAP_DB;
    if (trap == X86_TRAP_UD && registers->ip == SR_SANDBOX_GATE)
        sr_visit_finish(visit, registers->ax);
    else
        sr_visit_abort(visit, cause_of(trap), registers->ip, 0);
    return NOTIFY_STOP;
}
NOKPROBE_SYMBOL(on_die);

// Before uprobes, which would take a breakpoint of ours for one of the process'.
static struct notifier_block die_block = {.notifier_call = on_die, .priority = INT_MAX};

static bool in_guard(const struct sr_place *place, u64 address) {
    u64 data = place->space.user + SR_IMAGE_DATA;

    return address >= data + SR_PLACE_DATA_BYTES && address < data + SR_PLACE_GUARD_END;
}

static void on_page_fault(void *data, unsigned long address, struct pt_regs *registers, unsigned long code) {
    struct sr_visit *visit = visit_of(registers);

    if (!visit)
        return;
    sr_visit_caught(visit, in_guard(visit->place, address) ? SR_ABORT_STACK : SR_ABORT_PAGE, registers->ip,
                    address);
    // The first entry of the table is found, from wherever it was.
    registers->ip = visit->place->space.user;
}

void sr_fault_table_use(struct sr_processor *processor, struct sr_place *place,
                        const struct vdso_image *image, void *vdso) {
    processor->image = *image;
    processor->image.extable = landings;
    processor->image.extable_len = SR_IMAGE_CODE * sizeof(*landings);
    processor->image.extable_base = place->space.user - (unsigned long)vdso;
}

// Whether registers are as the kernel leaves them after an exception that it found in the table.
bool sr_fault_left(const struct sr_place *place, const struct pt_regs *registers, enum sr_abort_cause *cause,
                   u64 *instruction) {
    u64 offset = registers->ip - LANDING - place->space.user;

    if (offset >= SR_IMAGE_CODE)
        return false;
    *cause = cause_of(registers->di);
    *instruction = place->space.user + offset;
    return true;
}

static void find(struct tracepoint *point, void *unused) {
    if (!strcmp(point->name, "page_fault_user"))
        page_fault = point;
}

static int table_start(void) {
    int offset;

    landings = vmalloc(array_size(SR_IMAGE_CODE, sizeof(*landings)));
    if (!landings)
        return -ENOMEM;
    for (offset = 0; offset < SR_IMAGE_CODE; offset++)
        landings[offset] = (struct landing){offset, LANDING + offset};
    return 0;
}

int sr_fault_start(void) {
    int error = table_start();

    if (error)
        return error;
    for_each_kernel_tracepoint(find, NULL);
    if (!page_fault) {
        pr_err("streamrouter: upcall refused: this kernel has no tracepoint page_fault_user\n");
        error = -EOPNOTSUPP;
        goto free_table;
    }
    error = tracepoint_probe_register(page_fault, on_page_fault, NULL);
    if (error)
        goto free_table;
    error = register_die_notifier(&die_block);
    if (error)
        goto unregister;
    return 0;

unregister:
    tracepoint_probe_unregister(page_fault, on_page_fault, NULL);
    tracepoint_synchronize_unregister();
free_table:
    vfree(landings);
    return error;
}

void sr_fault_stop(void) {
    unregister_die_notifier(&die_block);
    tracepoint_probe_unregister(page_fault, on_page_fault, NULL);
    tracepoint_synchronize_unregister();
    vfree(landings);
}
