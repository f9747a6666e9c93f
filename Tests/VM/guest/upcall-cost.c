// What a null upcall takes, both crossings included but not the telling of its outcome, beside the ways in
// which a process is told of something. In the guest whose clock counts instructions these are instructions,
// not time; lines `count NAME INSTRUCTIONS` are for Tests/VM/cost.sh.
//
// vm: guest=clock seconds=120
#include "upcall.h"

enum { ROUNDS = 2000 };

static uint64_t ticks(void) {
    uint32_t low, high;
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

// Ticks of one instruction: a loop of two, often enough that nothing else matters.
static double ticks_of_instruction(void) {
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 20; round++) {
        uint64_t count = 100000, began = ticks();
        asm volatile("1: dec %0; jnz 1b" : "+r"(count));
        uint64_t took = ticks() - began;
        best = took < best ? took : best;
    }
    return best / 200000.0;
}

static double upcall(const char *parameters) {
    struct sr_upcall_probe probe = {.upcalls = ROUNDS};
    need(module_load(parameters) == 0, "load");
    int device = module_open();
    stay_on(0);
    struct victims victims = victims_begin(1, 2000);
    int error = probe_run(device, &probe);
    victims_end(&victims);
    close(device);
    need(module_unload() == 0, "unload");
    check(!error && probe.right == ROUNDS, "ran", "%u of %u upcalls (%s)", probe.right, ROUNDS, parameters);
    return probe.cycles_min;
}

// Shortest round trip to a process of this policy and back, through two pipes, on one processor.
static double round_trip(int policy) {
    int there[2], back[2];
    char byte = 0;
    uint64_t best = UINT64_MAX;
    struct sched_param parameters = {.sched_priority = policy == SCHED_FIFO};
    need(pipe(there) == 0 && pipe(back) == 0, "pipes");
    stay_on(0);
    pid_t child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sched_setscheduler(0, policy, &parameters);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    int rounds = 0;
    for (; rounds < ROUNDS; rounds++) {
        uint64_t began = ticks();
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            break;
        uint64_t took = ticks() - began;
        best = took < best ? took : best;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check(rounds == ROUNDS, "ran", "%d round trips to a process and back", rounds);
    return best;
}

int main(void) {
    double one = ticks_of_instruction();
    double private = upcall("upcall=1 upcall_limit_us=1000000") / one;
    double shared = upcall("upcall=1 upcall_mode=shared upcall_limit_us=1000000") / one;
    double fifo = round_trip(SCHED_FIFO) / one, other = round_trip(SCHED_OTHER) / one;
    check(private > 100 && shared > 100 && private < 100000, "cost",
          "at least %.0f instructions a null upcall in mode private, %.0f in mode shared; round trip to a "
          "SCHED_FIFO "
          "process %.0f, to a SCHED_OTHER process %.0f",
          private, shared, fifo, other);
    printf("count upcall-private %.0f\ncount upcall-shared %.0f\n", private, shared);
    printf("count round-trip-fifo %.0f\ncount round-trip-other %.0f\n", fifo, other);
    return failures != 0;
}
