// The null extension, ten thousand times in processes that are interrupted: each upcall ran, and each process
// found its registers, floating-point state, segments, red zone and memory as they were. In both modes; and,
// as a control, with the module told not to keep floating-point registers, in which the same victims see the
// damage.
//
// vm: guest=module,pti seconds=180
#include "upcall.h"

enum { UPCALLS = 10000, CONTROL = 500 };

static void run(const char *mode, bool damaged) {
    char parameters[128];
    struct sr_upcall_probe probe = {.upcalls = damaged ? CONTROL : UPCALLS};
    snprintf(parameters, sizeof(parameters), "upcall=1 upcall_mode=%s upcall_limit_us=100000%s", mode,
             damaged ? " upcall_unsaved_fpu=1" : "");
    need(module_load(parameters) == 0, "load %s", parameters);
    int device = module_open();
    struct victims victims = victims_begin(2, 20000);
    stay_on(0);
    int error = probe_run(device, &probe);
    struct victim_shared seen = victims_end(&victims);
    struct sr_upcall_account account = account_read(device);
    close(device);
    int unloaded = module_unload();

    check(!error && probe.done == probe.upcalls && probe.right == probe.upcalls, mode,
          "%u of %u null upcalls ran and answered (errno %d, cause %u)", probe.right, probe.upcalls, error,
          probe.cause);
    check(account.from_user + account.from_call >= probe.upcalls, mode,
          "%llu from interrupted user mode, %llu from system calls, %llu from anchors, %llu suspended",
          account.from_user, account.from_call, account.from_anchor, account.suspended);
    if (damaged)
        check(seen.bad > 0 && seen.first_bad >= 3, mode,
              "control: %llu of %llu rounds saw damage without the save (first: %u)", (long long)seen.bad,
              (long long)seen.rounds, seen.first_bad);
    else
        check(seen.rounds > 0 && seen.bad == 0, mode, "%llu rounds of victims, %llu bad (first: %u)",
              (long long)seen.rounds, (long long)seen.bad, seen.first_bad);
    check(unloaded == 0, mode, "the module was unloaded (%d)", unloaded);
    if (!damaged)
        printf("# %s: wait %llu to %llu us, mean %llu; cycles at least %llu\n", mode,
               probe.wait_min_ns / 1000, probe.wait_max_ns / 1000, probe.wait_sum_ns / 1000 / probe.upcalls,
               probe.cycles_min);
}

int main(void) {
    run("private", false);
    run("shared", false);
    run("private", true);
    return failures != 0;
}
