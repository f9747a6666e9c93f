// The sandbox is seen by nobody but the extension: processes that are interrupted all the time look for it at
// its addresses and get SIGSEGV each time, in both modes. One that has memory of its own at those addresses
// keeps it: in mode private it is interrupted like any other, in mode shared not at all. That it finds its
// memory there is the control of the look itself.
//
// vm: guest=module,pti seconds=120
#include "upcall.h"

#include <setjmp.h>

enum { UPCALLS = 3000 };

// The areas begin where kmodule/sandbox.h says: code, data and stack of the first place, packets, gate.
static const uint64_t places[] = {0x400000000000, 0x40000021ff00, 0x400000400000, 0x400000800000};

static sigjmp_buf before;

static void on_fault(int number) {
    (void)number;
    siglongjmp(before, 1);
}

static bool is_there(uint64_t address, uint64_t *value) {
    if (sigsetjmp(before, 1))
        return false;
    *value = *(volatile uint64_t *)address;
    return true;
}

// rounds: looks; bad: found something; signals: SIGSEGVs.
static void look(struct victim_shared *shared, bool own) {
    uint64_t mark = 0x1122334455667788, value;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGSEGV, on_fault);
    if (own) {
        void *there = mmap((void *)places[0], 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        need(there == (void *)places[0], "mmap");
        *(volatile uint64_t *)there = mark;
    }
    while (!shared->stop) {
        for (unsigned index = 0; index < sizeof(places) / sizeof(places[0]); index++) {
            bool found = is_there(places[index], &value), expected = own && index == 0;
            shared->rounds++;
            shared->signals += !found;
            shared->bad += found != expected || (expected && value != mark);
        }
        // Time in user mode, for an upcall to come.
        for (volatile int spin = 0; spin < 3000; spin++)
            ;
    }
    _exit(0);
}

static void run(const char *mode, bool own) {
    char parameters[128], name[64];
    struct victims victims = {.count = 2 * processors()};
    struct sr_upcall_probe probe = {.upcalls = UPCALLS};
    snprintf(parameters, sizeof(parameters), "upcall=1 upcall_mode=%s upcall_limit_us=100000", mode);
    snprintf(name, sizeof(name), "%s%s", mode, own ? ", own memory there" : "");
    need(module_load(parameters) == 0, "load %s", parameters);
    int device = module_open();
    victims.shared =
        mmap(NULL, 64 * sizeof(*victims.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int index = 0; index < victims.count; index++) {
        victims.pids[index] = fork();
        if (victims.pids[index])
            continue;
        stay_on(index % processors());
        look(&victims.shared[index], own);
    }
    stay_on(0);
    anchors_begin(device);
    struct sr_upcall_account then = account_read(device);
    int error = probe_run(device, &probe);
    struct sr_upcall_account now = account_read(device);
    anchors_end();
    struct victim_shared seen = victims_end(&victims);
    unsigned long long interrupted = now.from_user - then.from_user + now.from_call - then.from_call;
    unsigned long long refused = now.refused[SR_REFUSED_SLOT] - then.refused[SR_REFUSED_SLOT];
    check(!error && probe.right == UPCALLS, name,
          "%u of %u upcalls, %llu in processes, %llu in anchors (errno %d)", probe.right, UPCALLS,
          interrupted, now.from_anchor - then.from_anchor, error);
    check(seen.rounds > 1000 && seen.bad == 0 && seen.signals > 0, name,
          "%llu looks, %llu found what is not theirs, %llu SIGSEGV", (long long)seen.rounds,
          (long long)seen.bad, (long long)seen.signals);
    if (own && !strcmp(mode, "shared"))
        check(refused > 0, name, "%llu times not interrupted for this cause", refused);
    else
        check(interrupted > UPCALLS / 2 && refused == 0, name, "%llu in the processes that look",
              interrupted);
    close(device);
    need(module_unload() == 0, "unload");
}

int main(void) {
    run("private", false);
    run("shared", false);
    run("private", true);
    run("shared", true);
    return failures != 0;
}
