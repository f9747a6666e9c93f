// Everything that an extension can do wrong, one after the other: each is aborted, by its own name and for
// the right cause, and the processes that it interrupted go on with right results and without a signal.
//
// vm: guest=module,pti seconds=120
#include "upcall.h"

#include <sys/klog.h>

// --- What they do. The event is at (%rdi), its payload at 0, its cookie at 12. ---

PROBE_ASSEMBLY(undefined, "ud2")
PROBE_ASSEMBLY(division, "xor %ecx, %ecx; mov $1, %eax; cltd; idiv %ecx; ret")
PROBE_ASSEMBLY(breakpoint, "int3; ret")
PROBE_ASSEMBLY(icebreakpoint, ".byte 0xf1; nop; ret")
PROBE_ASSEMBLY(single_step, "pushfq; orq $0x100, (%rsp); popfq; nop; nop; ret")
PROBE_ASSEMBLY(halt, "hlt; ret")
PROBE_ASSEMBLY(clear_interrupts, "cli; ret")
PROBE_ASSEMBLY(port, "mov $0x80, %dx; in %dx, %al; ret")
PROBE_ASSEMBLY(control_register, "mov %cr3, %rax; ret")
PROBE_ASSEMBLY(model_register, "mov $0xc0000080, %ecx; rdmsr; ret")
PROBE_ASSEMBLY(not_canonical, "movabs $0x8000000000000000, %rax; mov (%rax), %eax; ret")
PROBE_ASSEMBLY(stack_not_canonical, "movabs $0x8000000000000000, %rsp; push %rax; ret")
PROBE_ASSEMBLY(jump_not_canonical, "movabs $0x8000000000000000, %rax; jmp *%rax")
PROBE_ASSEMBLY(null_read, "xor %eax, %eax; mov (%rax), %eax; ret")
PROBE_ASSEMBLY(null_call, "xor %eax, %eax; call *%rax; ret")
PROBE_ASSEMBLY(victim_read, "mov (%rdi), %rax; mov (%rax), %rdx; mov 12(%rdi), %eax; ret")
PROBE_ASSEMBLY(victim_write, "mov (%rdi), %rax; movq $0, (%rax); mov 12(%rdi), %eax; ret")
PROBE_ASSEMBLY(victim_run_code, "mov (%rdi), %rax; jmp *%rax")
PROBE_ASSEMBLY(own_code, "lea 0(%rip), %rax; movb $0x90, (%rax); ret")
PROBE_ASSEMBLY(own_stack_run, "movl $0xc3, -64(%rsp); lea -64(%rsp), %rax; jmp *%rax")
PROBE_ASSEMBLY(kernel_read, "movabs $0xffffffff81000000, %rax; mov (%rax), %eax; ret")
PROBE_ASSEMBLY(kernel_stack, "movabs $0xfffffe0000000000, %rsp; push %rax; ret")
PROBE_ASSEMBLY(vsyscall, "movabs $0xffffffffff600000, %rax; call *%rax; ret")
PROBE_ASSEMBLY(neighbour, "lea neighbour(%rip), %rax; mov 0x20000(%rax), %eax; ret")
PROBE_ASSEMBLY(fault_landing, "lea fault_landing(%rip), %rax; add $0x1000000, %rax; jmp *%rax")
PROBE_ASSEMBLY(stack_overflow, "1: push %rax; jmp 1b")
PROBE_ASSEMBLY(stack_underflow, "1: pop %rax; jmp 1b")
PROBE_ASSEMBLY(endless, "1: jmp 1b")
PROBE_ASSEMBLY(system_call, "mov $39, %eax; syscall; mov 12(%rdi), %eax; ret")
PROBE_ASSEMBLY(exit_call, "mov $231, %eax; mov $77, %edi; syscall; ud2")
PROBE_ASSEMBLY(interrupt_80, "mov $1, %eax; mov $77, %ebx; int $0x80; ret")
PROBE_ASSEMBLY(sysenter, "mov $1, %eax; mov $77, %ebx; mov %esp, %ebp; sysenter; ret")
PROBE_ASSEMBLY(x87, "movw $0x340, -8(%rsp); fldcw -8(%rsp); fld1; fldz; fdivrp; fwait; fnop; ret")
PROBE_ASSEMBLY(simd, "movl $0, -8(%rsp); ldmxcsr -8(%rsp); xorps %xmm0, %xmm0; movl $0x3f800000, -8(%rsp);"
                     "movss -8(%rsp), %xmm1; divss %xmm0, %xmm1; mov 12(%rdi), %eax; ret")
PROBE_ASSEMBLY(descriptor_table, "movabs $0x123456789000, %rax; sgdt (%rax); ret")
PROBE_ASSEMBLY(bad_selector, "mov $0x1ff0, %eax; mov %eax, %gs; ret")
// Jumps, since QEMU's lret and iret read a user's stack with the kernel's rights, which SMAP then refuses.
PROBE_ASSEMBLY(compatibility_mode, "movabs $0x2300001000, %rax; mov %rax, -8(%rsp); ljmp *-8(%rsp)")
PROBE_ASSEMBLY(kernel_segment, "movabs $0x1000001000, %rax; mov %rax, -8(%rsp); ljmp *-8(%rsp)")
PROBE_ASSEMBLY(key, "xor %ecx, %ecx; xor %edx, %edx; mov $-1, %eax; wrpkru; mov 12(%rdi), %eax; ret")
PROBE_ASSEMBLY(alignment, "pushfq; orq $0x40000, (%rsp); popfq; mov 1(%rdi), %eax; mov 12(%rdi), %eax; ret")

struct fault {
    const char *name;
    const char *code, *end;
    // Bits of causes, as processors differ; bit 0: it may also come to its end and answer.
    uint32_t causes;
};

#define BIT(cause) (1u << SR_ABORT_##cause)
#define FAULT(name, causes)                                                                                  \
    { #name, name, name##_end, causes }

static const struct fault faults[] = {
    FAULT(undefined, BIT(INSTRUCTION)),
    FAULT(division, BIT(DIVISION)),
    FAULT(breakpoint, BIT(BREAKPOINT)),
    // QEMU does not know the instruction.
    FAULT(icebreakpoint, BIT(BREAKPOINT) | BIT(INSTRUCTION)),
    FAULT(single_step, BIT(BREAKPOINT)),
    FAULT(halt, BIT(PROTECTION)),
    FAULT(clear_interrupts, BIT(PROTECTION)),
    FAULT(port, BIT(PROTECTION)),
    FAULT(control_register, BIT(PROTECTION)),
    FAULT(model_register, BIT(PROTECTION)),
    FAULT(not_canonical, BIT(PROTECTION)),
    FAULT(stack_not_canonical, BIT(PROTECTION)),
    FAULT(jump_not_canonical, BIT(PROTECTION) | BIT(PAGE)),
    FAULT(null_read, BIT(PAGE)),
    FAULT(null_call, BIT(PAGE)),
    FAULT(victim_read, BIT(PAGE)),
    FAULT(victim_write, BIT(PAGE)),
    FAULT(victim_run_code, BIT(PAGE)),
    FAULT(own_code, BIT(PAGE)),
    FAULT(own_stack_run, BIT(PAGE)),
    FAULT(kernel_read, BIT(PAGE)),
    FAULT(kernel_stack, BIT(PAGE)),
    FAULT(vsyscall, BIT(PAGE)),
    FAULT(neighbour, BIT(PAGE)),
    FAULT(fault_landing, BIT(PAGE)),
    FAULT(stack_overflow, BIT(STACK)),
    FAULT(stack_underflow, BIT(PAGE)),
    FAULT(endless, BIT(TIME)),
    FAULT(system_call, BIT(SYSTEM_CALL)),
    FAULT(exit_call, BIT(SYSTEM_CALL)),
    FAULT(interrupt_80, BIT(SYSTEM_CALL) | BIT(PROTECTION)),
    FAULT(sysenter, BIT(SYSTEM_CALL) | BIT(INSTRUCTION) | BIT(PROTECTION)),
    FAULT(x87, BIT(ARITHMETIC)),
    // An emulated processor may not raise these two.
    FAULT(simd, BIT(ARITHMETIC) | 1),
    FAULT(descriptor_table, BIT(PAGE) | BIT(PROTECTION)),
    FAULT(bad_selector, BIT(PROTECTION)),
    FAULT(compatibility_mode, BIT(PAGE) | BIT(PROTECTION)),
    FAULT(kernel_segment, BIT(PROTECTION)),
    // Without protection keys there is no such instruction.
    FAULT(key, BIT(PAGE) | BIT(INSTRUCTION)),
    FAULT(alignment, BIT(ALIGNMENT) | 1),
};

// Faults inside a process' own name, which there must be none of.
static int lines_of_kernel(const char *text) {
    static char log[1 << 18];
    int length = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1), count = 0;
    log[length > 0 ? length : 0] = 0;
    for (char *line = log; (line = strstr(line, text)); line++)
        count++;
    return count;
}

static void try(int device, const struct fault *fault) {
    struct sr_upcall_probe probe = {.code = (uintptr_t)fault->code,
                                    .code_bytes = fault->end - fault->code,
                                    .payload = (uintptr_t)victim_general,
                                    .upcalls = 3,
                                    .timeout_ms = 20000};
    int error = probe_run(device, &probe);
    check(!error && (fault->causes & 1u << probe.cause) && (probe.cause || probe.right == 3), fault->name,
          "cause %u at 0x%llx, address 0x%llx (errno %d, %u done)", probe.cause, probe.instruction,
          probe.fault, error, probe.done);
}

static void try_all(int device) {
    for (unsigned index = 0; index < sizeof(faults) / sizeof(faults[0]); index++)
        try(device, &faults[index]);
}

// The same reads and writes reach the process in mode shared: so they were tried at addresses where there is
// something.
static void control_shared(void) {
    struct sr_upcall_probe probe = victim_read_probe(200);
    need(module_load("upcall=1 upcall_mode=shared upcall_limit_us=50000") == 0, "load");
    int device = module_open();
    struct victims victims = victims_begin(2, 20000);
    stay_on(0);
    probe.payload = (uintptr_t)victim_general;
    int error = probe_run(device, &probe);
    victims_end(&victims);
    // It stops at the first process that has nothing at that address, such as a shell.
    check(!error && probe.right > 0, "control",
          "%u of 200 reads of a process went well in mode shared (errno %d, cause %u)", probe.right, error,
          probe.cause);
    close(device);
    need(module_unload() == 0, "unload");
}

int main(void) {
    need(module_load("upcall=1 upcall_limit_us=50000") == 0, "load");
    int device = module_open();
    struct victims victims = victims_begin(2, 20000);
    stay_on(0);
    try_all(device);
    struct sr_upcall_probe probe = {.upcalls = 1000};
    int error = probe_run(device, &probe);
    check(!error && probe.right == 1000, "afterwards", "%u of 1000 null upcalls", probe.right);
    struct sr_upcall_account account = account_read(device);
    struct victim_shared seen = victims_end(&victims);
    check(seen.rounds > 0 && seen.bad == 0, "victims", "%llu rounds, %llu bad (first: %u), none died",
          (long long)seen.rounds, (long long)seen.bad, seen.first_bad);
    check(account.aborted >= 37, "account", "%llu aborted", account.aborted);
    int segfaults = lines_of_kernel("segfault at");
    check(segfaults == 0, "log", "%d faults were told in a process' name", segfaults);
    close(device);
    check(module_unload() == 0, "unload", "the module was unloaded");
    control_shared();
    return failures != 0;
}
