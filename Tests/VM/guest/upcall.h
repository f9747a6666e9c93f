// What the tests of the sandbox's mechanism share: reporting, the module, the probe, and victims, processes
// that look whether an extension that interrupts them leaves them as they were.
#pragma once

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "streamrouter_module.h"

static int failures;

// One line of the test's report.
__attribute__((format(printf, 3, 4))) static inline void check(bool holds, const char *name,
                                                               const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("%s %s: ", holds ? "ok" : "not ok", name);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
    failures += !holds;
}

// What a test cannot go on without.
__attribute__((format(printf, 2, 3))) static inline void need(bool holds, const char *format, ...) {
    va_list arguments;
    if (holds)
        return;
    va_start(arguments, format);
    printf("not ok test: ");
    vprintf(format, arguments);
    printf(" (%s)\n", strerror(errno));
    va_end(arguments);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static inline void stay_on(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    need(sched_setaffinity(0, sizeof(set), &set) == 0, "affinity to processor %d", processor);
}

static inline int processors(void) {
    return sysconf(_SC_NPROCESSORS_ONLN);
}

// --- The module ---

static inline int module_load(const char *parameters) {
    const char *path = getenv("SR_MODULE");
    need(path, "SR_MODULE does not say where the module is");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    need(file >= 0, "open %s", path);
    int error = syscall(SYS_finit_module, file, parameters, 0) ? -errno : 0;
    close(file);
    return error;
}

static inline int module_unload(void) {
    return syscall(SYS_delete_module, "streamrouter", O_NONBLOCK) ? -errno : 0;
}

static inline int module_open(void) {
    struct sr_module_hello hello;
    int device = open(SR_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
    need(device >= 0, "open %s", SR_MODULE_DEVICE);
    sr_module_hello_fill(&hello);
    need(ioctl(device, SR_MODULE_HELLO, &hello) == 0, "hello");
    need(hello.parts & SR_PART_UPCALL, "part upcall is off");
    return device;
}

static inline struct sr_upcall_account account_read(int device) {
    struct sr_upcall_account account = {};
    need(ioctl(device, SR_MODULE_UPCALL_ACCOUNT, &account) == 0, "account");
    return account;
}

// Anchors for all processors, which end with their device's last user: kill them with anchors_end().
static pid_t anchors[64];

static inline void anchors_begin(int device) {
    for (int processor = 0; processor < processors(); processor++) {
        anchors[processor] = fork();
        if (anchors[processor])
            continue;
        struct sched_param first = {.sched_priority = 1};
        struct sr_upcall_anchor anchor = {};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stay_on(processor);
        sched_setscheduler(0, SCHED_FIFO, &first);
        while (ioctl(device, SR_MODULE_UPCALL_ANCHOR, &anchor) == 0 || errno == EINTR)
            ;
        _exit(errno == ENODEV ? 0 : 1);
    }
}

static inline void anchors_end(void) {
    for (int processor = 0; processor < 64; processor++) {
        if (anchors[processor] > 0) {
            kill(anchors[processor], SIGKILL);
            waitpid(anchors[processor], NULL, 0);
        }
        anchors[processor] = 0;
    }
}

// Runs code, or the null extension, as often as said. The answer is in `probe`; 0 or an errno.
static inline int probe_run(int device, struct sr_upcall_probe *probe) {
    if (!probe->interval_us)
        probe->interval_us = 200;
    if (!probe->timeout_ms)
        probe->timeout_ms = 60000;
    return ioctl(device, SR_MODULE_UPCALL_PROBE, probe) ? errno : 0;
}

// Code that stands in the program between two labels.
#define PROBE_CODE(name)                                                                                     \
    extern const char name[], name##_end[];                                                                  \
    static inline struct sr_upcall_probe name##_probe(uint32_t upcalls) {                                    \
        return (struct sr_upcall_probe){                                                                     \
            .code = (uintptr_t)name, .code_bytes = name##_end - name, .upcalls = upcalls};                   \
    }
#define PROBE_ASSEMBLY(name, text)                                                                           \
    asm(".pushsection .rodata\n.global " #name ", " #name "_end\n" #name ":\n" text "\n" #name               \
        "_end:\n.popsection\n");                                                                             \
    PROBE_CODE(name)

// --- Victims ---

enum { GENERAL = 15, VECTORS = 16, VECTOR_BYTES = 32 };

struct victim_shared {
    volatile uint64_t rounds;
    volatile uint64_t bad;
    volatile uint32_t first_bad; // what was wrong: see victim_round
    volatile uint32_t stop;
    volatile uint64_t signals;
    uint64_t padding[4];
};

uint64_t victim_general[GENERAL];
uint8_t victim_vectors[VECTORS][VECTOR_BYTES] __attribute__((aligned(32)));
uint64_t victim_spins;
uint32_t victim_mxcsr = 0x1f80 | 0x6000, victim_mxcsr_after, victim_mxcsr_usual = 0x1f80;
uint16_t victim_fcw = 0x37f | 0xc00, victim_fcw_after, victim_fcw_usual = 0x37f;
double victim_x87[3];
uint64_t victim_gs_area[8] __attribute__((aligned(64)));

// Loads all registers with what the tables say, spins, and compares. 0: all as they were; 1: general
// registers; 2: red zone; 3: vectors; 4: control words. The stack of the x87 is left in victim_x87.
int victim_round(void);
asm(R"(
    .text
    .global victim_round
victim_round:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    movabs $0x5245445a4f4e4531, %rax
    mov %rax, -8(%rsp)
    mov %rax, -64(%rsp)
    mov %rax, -128(%rsp)
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqu victim_vectors+32*\n(%rip), %ymm\n
    .endr
    ldmxcsr victim_mxcsr(%rip)
    fldcw victim_fcw(%rip)
    fld1
    fldpi
    fldl2e
    mov victim_general(%rip), %rax
    mov victim_general+8(%rip), %rbx
    mov victim_general+16(%rip), %rcx
    mov victim_general+24(%rip), %rdx
    mov victim_general+32(%rip), %rsi
    mov victim_general+40(%rip), %rdi
    mov victim_general+48(%rip), %rbp
    mov victim_general+56(%rip), %r8
    mov victim_general+64(%rip), %r9
    mov victim_general+72(%rip), %r10
    mov victim_general+80(%rip), %r11
    mov victim_general+88(%rip), %r12
    mov victim_general+96(%rip), %r13
    mov victim_general+104(%rip), %r14
    mov victim_general+112(%rip), %r15
1:  subq $1, victim_spins(%rip)
    jnz 1b
    cmp victim_general(%rip), %rax
    jne 7f
    cmp victim_general+8(%rip), %rbx
    jne 7f
    cmp victim_general+16(%rip), %rcx
    jne 7f
    cmp victim_general+24(%rip), %rdx
    jne 7f
    cmp victim_general+32(%rip), %rsi
    jne 7f
    cmp victim_general+40(%rip), %rdi
    jne 7f
    cmp victim_general+48(%rip), %rbp
    jne 7f
    cmp victim_general+56(%rip), %r8
    jne 7f
    cmp victim_general+64(%rip), %r9
    jne 7f
    cmp victim_general+72(%rip), %r10
    jne 7f
    cmp victim_general+80(%rip), %r11
    jne 7f
    cmp victim_general+88(%rip), %r12
    jne 7f
    cmp victim_general+96(%rip), %r13
    jne 7f
    cmp victim_general+104(%rip), %r14
    jne 7f
    cmp victim_general+112(%rip), %r15
    jne 7f
    movabs $0x5245445a4f4e4531, %rax
    mov $2, %ecx
    cmp %rax, -8(%rsp)
    jne 8f
    cmp %rax, -64(%rsp)
    jne 8f
    cmp %rax, -128(%rsp)
    jne 8f
    mov $3, %ecx
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vpcmpeqb victim_vectors+32*\n(%rip), %ymm\n, %ymm\n
    vpmovmskb %ymm\n, %eax
    cmp $-1, %eax
    jne 8f
    .endr
    xor %ecx, %ecx
    jmp 8f
7:  mov $1, %ecx
8:  stmxcsr victim_mxcsr_after(%rip)
    fnstcw victim_fcw_after(%rip)
    fstpl victim_x87(%rip)
    fstpl victim_x87+8(%rip)
    fstpl victim_x87+16(%rip)
    ldmxcsr victim_mxcsr_usual(%rip)
    fldcw victim_fcw_usual(%rip)
    vzeroupper
    mov victim_mxcsr(%rip), %eax
    xor victim_mxcsr_after(%rip), %eax
    and $0xffc0, %eax
    jz 9f
    mov $4, %ecx
9:  mov victim_fcw(%rip), %ax
    cmp victim_fcw_after(%rip), %ax
    je 9f
    mov $4, %ecx
9:  mov %ecx, %eax
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
)");

static inline uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

static inline uint64_t gs_read(void) {
    uint64_t value;
    asm volatile("mov %%gs:0, %0" : "=r"(value));
    return value;
}

static inline uint64_t fs_read(void) {
    uint64_t value;
    asm volatile("mov %%fs:0, %0" : "=r"(value));
    return value;
}

// Rights of protection keys, 0 where there are none.
static inline uint32_t keys_read(void) {
    uint32_t eax = 7, ebx, ecx = 0, edx;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (!(ecx & 1u << 4 /* OSPKE */))
        return 0;
    asm volatile("rdpkru" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
}

static inline uint64_t selectors_read(void) {
    uint64_t ds, es, fs, gs;
    asm volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    return ds << 48 | es << 32 | fs << 16 | gs;
}

// What a round found: as victim_round, or 5: x87 stack, 6: segment bases, 7: selectors, 8: memory,
// 9: protection keys.
static inline int victim_try(uint64_t *random, uint64_t spins) {
    static uint64_t words[64];
    for (int index = 0; index < GENERAL; index++)
        victim_general[index] = random_next(random);
    for (int index = 0; index < VECTORS * VECTOR_BYTES / 8; index++)
        ((uint64_t *)victim_vectors)[index] = random_next(random);
    uint64_t mark = random_next(random);
    for (int index = 0; index < 64; index++)
        words[index] = mark + index;
    victim_gs_area[0] = mark;
    uint64_t fs = fs_read(), selectors = selectors_read();
    uint32_t keys = keys_read();
    victim_spins = spins;
    int wrong = victim_round();
    if (!wrong && (victim_x87[0] != 0x1.71547652b82fep+0 || victim_x87[1] != 0x1.921fb54442d18p+1 ||
                   victim_x87[2] != 1))
        wrong = 5;
    if (!wrong && (gs_read() != mark || fs_read() != fs))
        wrong = 6;
    if (!wrong && selectors_read() != selectors)
        wrong = 7;
    if (!wrong && keys_read() != keys)
        wrong = 9;
    for (int index = 0; !wrong && index < 64; index++)
        wrong = ((volatile uint64_t *)words)[index] == mark + index ? 0 : 8;
    return wrong;
}

static struct victim_shared *victim_own;

static void victim_signalled(int number) {
    (void)number;
    victim_own->signals++;
}

// With a signal every `signal_us`, unless that is 0.
static inline void victim_run(struct victim_shared *shared, uint64_t seed, uint64_t spins, int signal_us) {
    uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    victim_own = shared;
    need(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, victim_gs_area) == 0, "gs");
    // Selectors other than usual ones are kept as well.
    if (seed % 2)
        asm volatile("mov %0, %%ds; mov %0, %%es" ::"r"(0x2b));
    signal(SIGALRM, victim_signalled);
    struct itimerval interval = {{0, signal_us}, {0, signal_us}};
    setitimer(ITIMER_REAL, &interval, NULL);
    while (!shared->stop) {
        int wrong = victim_try(&random, spins);
        if (wrong && !shared->bad)
            shared->first_bad = wrong;
        shared->bad += wrong != 0;
        shared->rounds++;
    }
    _exit(0);
}

struct victims {
    int count;
    pid_t pids[64];
    struct victim_shared *shared;
};

// Victims, some bound to each processor.
static inline struct victims victims_begin_signalled(int for_each, uint64_t spins, int signal_us) {
    struct victims victims = {.count = for_each * processors()};
    victims.shared =
        mmap(NULL, 64 * sizeof(*victims.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int index = 0; index < victims.count; index++) {
        victims.pids[index] = fork();
        if (victims.pids[index])
            continue;
        stay_on(index % processors());
        victim_run(&victims.shared[index], index + 1, spins, signal_us);
    }
    return victims;
}

static inline struct victims victims_begin(int for_each, uint64_t spins) {
    return victims_begin_signalled(for_each, spins, 0);
}

// Sums of what they saw; a victim that did not come to its end by itself counts as bad.
static inline struct victim_shared victims_end(struct victims *victims) {
    struct victim_shared sum = {};
    for (int index = 0; index < victims->count; index++)
        victims->shared[index].stop = 1;
    for (int index = 0; index < victims->count; index++) {
        int status = -1;
        waitpid(victims->pids[index], &status, 0);
        sum.rounds += victims->shared[index].rounds;
        sum.bad += victims->shared[index].bad;
        sum.signals += victims->shared[index].signals;
        if (victims->shared[index].bad && !sum.first_bad)
            sum.first_bad = victims->shared[index].first_bad;
        if (status) {
            printf("# victim %d ended with status 0x%x\n", index, status);
            sum.bad++;
        }
    }
    return sum;
}
