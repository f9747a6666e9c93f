// The lives of processes go on while extensions interrupt them: they are scheduled, get signals, call the
// kernel, fork, run other programs and are killed. A run that is cut off by that is suspended and goes on in
// another process, with its own registers. An extension that leaves all registers in a mess leaves none to
// the process.
//
// vm: guest=module seconds=180
#include "upcall.h"

#include <sys/auxv.h>

// Fills its registers, spins, and answers with the cookie if all are as they were.
PROBE_ASSEMBLY(patient, R"(
    sub $64, %rsp
    mov %rdi, (%rsp)
    movq $1500000, 8(%rsp)
    movl $0x3f80, 16(%rsp)
    ldmxcsr 16(%rsp)
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movabs $0x0102030405060708 + \n, %rax
    movq %rax, %xmm\n
    vpbroadcastq %xmm\n, %ymm\n
    .endr
    fldpi
    .irp n,ax,bx,cx,dx,si,di,bp
    lea (%rsp), %r\n
    .endr
    .irp n,8,9,10,11,12,13,14,15
    mov $0x1234567 + \n, %r\n
    .endr
1:  subq $1, 8(%rsp)
    jnz 1b
    .irp n,ax,bx,cx,dx,si,di,bp
    cmp %rsp, %r\n
    jne 2f
    .endr
    .irp n,8,9,10,11,12,13,14,15
    cmp $0x1234567 + \n, %r\n
    jne 2f
    .endr
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movabs $0x0102030405060708 + \n, %rax
    movq %xmm\n, %rcx
    cmp %rax, %rcx
    jne 2f
    vextracti128 $1, %ymm\n, %xmm\n
    movq %xmm\n, %rcx
    cmp %rax, %rcx
    jne 2f
    .endr
    stmxcsr 16(%rsp)
    cmpl $0x3f80, 16(%rsp)
    jne 2f
    fldpi
    fcomip %st(1), %st
    jne 2f
    mov (%rsp), %rdi
    mov 12(%rdi), %eax
    add $64, %rsp
    ret
2:  mov $-1, %eax
    add $64, %rsp
    ret
)")

// Leaves nothing as it was: selectors, bases (if the payload says that it may), control words, vectors,
// flags.
PROBE_ASSEMBLY(messy, R"(
    mov 12(%rdi), %r8d
    mov $0x2b, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    mov %ecx, %fs
    mov %ecx, %gs
    cmpq $0, (%rdi)
    je 1f
    movabs $0x7eadbeef1234, %rcx
    wrfsbase %rcx
    wrgsbase %rcx
1:
    movl $0x7f80, -8(%rsp)
    ldmxcsr -8(%rsp)
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vpcmpeqd %ymm\n, %ymm\n, %ymm\n
    .endr
    fninit
    fldz
    movw $0x27f, -8(%rsp)
    fldcw -8(%rsp)
    pushfq
    orq $0x244cd5, (%rsp)
    popfq
    .irp n,ax,bx,cx,dx,si,di,bp,9,10,11,12,13,14,15
    mov $-1, %r\n
    .endr
    mov %r8d, %eax
    ret
)")

static int device;

static void end_well(const char *name, struct victims *victims, const struct sr_upcall_probe *probe,
                     int error) {
    struct victim_shared seen = victims_end(victims);
    check(!error && probe->right == probe->upcalls, name,
          "%u of %u runs answered rightly (errno %d, cause %u)", probe->right, probe->upcalls, error,
          probe->cause);
    check(seen.rounds > 0 && seen.bad == 0, name,
          "%llu rounds of victims, %llu bad (first: %u), %llu signals", (long long)seen.rounds,
          (long long)seen.bad, seen.first_bad, (long long)seen.signals);
    if (!strcmp(name, "signals"))
        check(seen.signals > 100, name, "%llu signals were handled", (long long)seen.signals);
}

// Runs that take several ms, in processes that have a signal every few ms and share the processor.
static void suspended(const char *name, int signal_us) {
    struct sr_upcall_account before = account_read(device), after;
    struct sr_upcall_probe probe = patient_probe(200);
    struct victims victims = victims_begin_signalled(3, 20000, signal_us);
    stay_on(0);
    probe.interval_us = 8000;
    int error = probe_run(device, &probe);
    end_well(name, &victims, &probe, error);
    after = account_read(device);
    check(after.suspended > before.suspended && after.resumed - before.resumed > 0, name,
          "%llu suspended, %llu went on elsewhere", after.suspended - before.suspended,
          after.resumed - before.resumed);
}

static void mess(void) {
    struct sr_upcall_probe probe = messy_probe(3000);
    // Whether user mode may write its bases.
    probe.payload = getauxval(AT_HWCAP2) & 2;
    struct victims victims = victims_begin(2, 20000);
    stay_on(0);
    int error = probe_run(device, &probe);
    end_well("mess", &victims, &probe, error);
}

// Processes whose life is system calls: pipes, forks, other programs. Each child answers with a number of its
// own.
static void churn(volatile uint64_t *good, volatile uint64_t *bad) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int number = 0;; number = (number + 1) % 100) {
        int ends[2], status, answer = -1;
        if (pipe(ends)) {
            ++*bad;
            continue;
        }
        pid_t child = fork();
        if (!child) {
            if (write(ends[1], &number, sizeof(number)) != sizeof(number))
                _exit(255);
            if (number % 10 == 9)
                execl("/bin/busybox", "busybox", "true", NULL);
            _exit(number);
        }
        bool right = read(ends[0], &answer, sizeof(answer)) == sizeof(answer) && answer == number &&
                     waitpid(child, &status, 0) == child && WIFEXITED(status) &&
                     WEXITSTATUS(status) == (number % 10 == 9 ? 0 : number);
        close(ends[0]);
        close(ends[1]);
        ++*(right ? good : bad);
    }
}

static void system_calls(void) {
    volatile uint64_t *counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sr_upcall_probe probe = {.upcalls = 5000};
    pid_t children[8];
    stay_on(0);
    for (int index = 0; index < 2; index++) {
        children[index] = fork();
        if (!children[index])
            churn(&counts[2 * index], &counts[2 * index + 1]);
    }
    int error = probe_run(device, &probe);
    uint64_t good = counts[0] + counts[2], bad = counts[1] + counts[3];
    for (int index = 0; index < 2; index++) {
        kill(children[index], SIGKILL);
        waitpid(children[index], NULL, 0);
    }
    check(!error && probe.right == probe.upcalls, "system calls", "%u of %u upcalls (errno %d)", probe.right,
          probe.upcalls, error);
    check(good > 50 && bad == 0, "system calls", "%llu children lived rightly, %llu did not", (long long)good,
          (long long)bad);
}

// Processes that are killed wherever they are.
static void kills(void) {
    struct sr_upcall_probe probe = patient_probe(100);
    int killed = 0;
    stay_on(0);
    pid_t killer = fork();
    if (!killer) {
        for (;; killed++) {
            struct victims victims = victims_begin(1, 2000);
            usleep(7000);
            for (int index = 0; index < victims.count; index++) {
                kill(victims.pids[index], SIGKILL);
                waitpid(victims.pids[index], NULL, 0);
            }
            munmap(victims.shared, 64 * sizeof(*victims.shared));
            if (killed == 200)
                _exit(0);
        }
    }
    probe.interval_us = 10000;
    int error = probe_run(device, &probe), status;
    waitpid(killer, &status, 0);
    check(!error && probe.right == probe.upcalls && status == 0, "kills",
          "%u of %u runs answered rightly while processes were killed (errno %d, cause %u, 0x%x)",
          probe.right, probe.upcalls, error, probe.cause, status);
}

int main(void) {
    need(module_load("upcall=1 upcall_limit_us=1000000") == 0, "load");
    device = module_open();
    suspended("scheduled", 0);
    suspended("signals", 3000);
    mess();
    system_calls();
    kills();
    struct sr_upcall_account account = account_read(device);
    check(account.aborted == 0, "account",
          "%llu finished, %llu aborted, %llu suspended, %llu resumed, %llu without a visit", account.finished,
          account.aborted, account.suspended, account.resumed, account.without_visit);
    close(device);
    check(module_unload() == 0, "unload", "the module was unloaded");
    return failures != 0;
}
