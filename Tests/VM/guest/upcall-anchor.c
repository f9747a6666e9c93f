// Who is not interrupted, and the anchors that stand in: an idle processor, processes of several threads,
// traced ones, 32-bit code. Each refusal is counted under its cause, and every event runs all the same, in an
// anchor.
//
// vm: seconds=120
#include "upcall.h"

#include <pthread.h>
#include <sys/ptrace.h>

enum { UPCALLS = 500 };

static int device;

static void *spin(void *unused) {
    (void)unused;
    for (volatile uint64_t count = 0;; count++)
        ;
    return NULL;
}

static volatile int *threads_ready;

static void be_threads(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, spin, NULL);
    *threads_ready = 1;
    spin(NULL);
}

static void be_traced(void) {
    pid_t child = fork();
    int status;
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        spin(NULL);
    }
    if (ptrace(PTRACE_SEIZE, child, 0, 0) == 0)
        waitpid(child, &status, 0);
    _exit(1);
}

// A loop in a 32-bit code segment. The processor reads two bytes, `jmp .`, alike in both.
static void be_32_bit(void) {
    uint8_t *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct {
        uint32_t offset;
        uint16_t segment;
    } __attribute__((packed)) target = {(uintptr_t)code, 0x23};
    code[0] = 0xeb;
    code[1] = 0xfe;
    asm volatile("ljmp *%0" ::"m"(target));
}

static void be_with_rings(void) {
    uint32_t parameters[30] = {};
    if (syscall(SYS_io_uring_setup, 8, parameters) < 0)
        _exit(1);
    spin(NULL);
}

static void be_nothing(void) {
    for (;;)
        pause();
}

// With processors full of such a process, all events run in anchors, and the refusals have that cause.
static void instead(const char *name, void (*be)(void), int refusal) {
    struct sr_upcall_account before, after;
    struct sr_upcall_probe probe = {.upcalls = UPCALLS, .interval_us = 1000};
    pid_t children[64] = {};
    for (int processor = 0; processor < processors(); processor++) {
        children[processor] = fork();
        if (children[processor])
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stay_on(processor);
        be();
    }
    stay_on(0);
    anchors_begin(device);
    usleep(200000);
    before = account_read(device);
    int error = probe_run(device, &probe);
    after = account_read(device);
    anchors_end();
    for (int processor = 0; processor < processors(); processor++) {
        kill(children[processor], SIGKILL);
        waitpid(children[processor], NULL, 0);
    }
    check(!error && probe.right == UPCALLS, name, "%u of %u upcalls ran and answered (errno %d, cause %u)",
          probe.right, UPCALLS, error, probe.cause);
    // The process that asks is interrupted on its own way back; nobody else may be.
    check(after.from_anchor - before.from_anchor >= UPCALLS * 95 / 100, name,
          "%llu in anchors, %llu calls of anchors", after.from_anchor - before.from_anchor,
          after.anchor_calls - before.anchor_calls);
    if (refusal) {
        unsigned long long refused = after.refused[refusal] - before.refused[refusal];
        check(refused > 0, name, "%llu times not interrupted for this cause", refused);
        // An anchor is called once until it has run, not at each return.
        check(after.anchor_calls - before.anchor_calls <= 2 * UPCALLS, name,
              "%llu calls of anchors for %u events", after.anchor_calls - before.anchor_calls, UPCALLS);
    }
}

// Without anchors nobody runs them, and they are not lost: they run once a process comes by.
static void without_anchor(void) {
    struct sr_upcall_probe probe = {.upcalls = 100, .timeout_ms = 500};
    *threads_ready = 0;
    pid_t child = fork();
    if (!child) {
        stay_on(0);
        be_threads();
    }
    stay_on(0);
    while (!*threads_ready)
        usleep(10000);
    // The process that asks sleeps meanwhile.
    int error = probe_run(device, &probe);
    check(error == ETIME && probe.done < 100, "control", "without anchors %u of 100 ran in 500 ms (errno %d)",
          probe.done, error);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void one_only(void) {
    struct sr_upcall_anchor anchor = {};
    stay_on(0);
    anchors_begin(device);
    usleep(100000);
    int answer = ioctl(device, SR_MODULE_UPCALL_ANCHOR, &anchor);
    check(answer && errno == EBUSY, "anchor", "a second one is refused (errno %d)", errno);
    anchors_end();
    if (processors() > 1) {
        cpu_set_t all;
        memset(&all, 0xff, sizeof(all));
        sched_setaffinity(0, sizeof(all), &all);
        answer = ioctl(device, SR_MODULE_UPCALL_ANCHOR, &anchor);
        check(answer && errno == EINVAL, "anchor", "one that is not bound is refused (errno %d)", errno);
    }
}

int main(void) {
    need(module_load("upcall=1 upcall_limit_us=200000") == 0, "load");
    device = module_open();
    threads_ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    one_only();
    instead("idle", be_nothing, 0);
    instead("threads", be_threads, SR_REFUSED_THREADS);
    instead("traced", be_traced, SR_REFUSED_TRACED);
    instead("32-bit", be_32_bit, SR_REFUSED_32_BIT);
    instead("io_uring", be_with_rings, SR_REFUSED_RINGS);
    without_anchor();
    close(device);
    check(module_unload() == 0, "unload", "the module was unloaded");
    return failures != 0;
}
