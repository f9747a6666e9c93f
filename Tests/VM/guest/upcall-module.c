// The module comes and goes: loaded and unloaded a hundred times, each time while processes that were
// interrupted a moment ago still have work of it to do; processors that go offline and come back while
// upcalls run; parameters that it refuses.
//
// vm: seconds=300
#include "upcall.h"

enum { RELOADS = 100, UPCALLS = 200 };

// What the kernel waits for between two loads, it waits for as short as it can.
static void hurry(void) {
    int file = open("/sys/kernel/rcu_expedited", O_WRONLY);
    need(file >= 0 && write(file, "1", 1) == 1, "rcu_expedited");
    close(file);
}

// Victims give way to the kernel's own threads, by which a module comes and goes.
static void give_way(const struct victims *victims) {
    struct sched_param last = {};
    for (int index = 0; index < victims->count; index++)
        need(sched_setscheduler(victims->pids[index], SCHED_IDLE, &last) == 0, "SCHED_IDLE");
}

static void reload(void) {
    struct victims victims = victims_begin(1, 5000);
    give_way(&victims);
    uint32_t right = 0;
    int loaded = 0, unloaded = 0, early = 0;
    uint64_t loading = 0, unloading = 0, probing = 0, t;
    stay_on(0);
    for (int round = 0; round < RELOADS; round++) {
        struct sr_upcall_probe probe = {.upcalls = UPCALLS, .interval_us = 100};
        // Every other time it is cut off by its time limit, in the middle of what waits.
        probe.timeout_ms = round % 2 ? 8 : 20000;
        t = now_ns();
        loaded += module_load(round % 4 < 2 ? "upcall=1 upcall_limit_us=200000"
                                            : "upcall=1 upcall_limit_us=200000 upcall_mode=shared") == 0;
        loading += now_ns() - t;
        t = now_ns();
        int device = module_open();
        int error = probe_run(device, &probe);
        early += error == ETIME;
        if (!error)
            right += probe.right;
        need(!error || error == ETIME, "probe: %s", strerror(error));
        if (round == 0)
            check(module_unload() == -EWOULDBLOCK, "unload", "refused while a descriptor is open");
        close(device);
        probing += now_ns() - t;
        t = now_ns();
        unloaded += module_unload() == 0;
        unloading += now_ns() - t;
    }
    struct victim_shared seen = victims_end(&victims);
    printf("# loading %llu ms, probing %llu ms, unloading %llu ms\n", (long long)loading / 1000000,
           (long long)probing / 1000000, (long long)unloading / 1000000);
    check(loaded == RELOADS && unloaded == RELOADS, "reload",
          "%d loaded, %d unloaded, %d of them cut off in the middle", loaded, unloaded, early);
    check(right == UPCALLS * (uint32_t)(RELOADS - early), "reload", "%u upcalls ran and answered", right);
    check(seen.rounds > 0 && seen.bad == 0, "reload", "%llu rounds of victims, %llu bad (first: %u)",
          (long long)seen.rounds, (long long)seen.bad, seen.first_bad);
}

static bool online(int processor, bool on) {
    char path[64];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", processor);
    int file = open(path, O_WRONLY);
    bool done = file >= 0 && write(file, on ? "1" : "0", 1) == 1;
    close(file);
    return done;
}

// The events are posted on the processor that comes and goes; those that wait there go on elsewhere.
static void hotplug(void) {
    if (processors() < 2) {
        printf("skip hotplug: there is one processor\n");
        return;
    }
    int device = module_open(), offline = 0, status, asked = 0;
    struct victims victims = victims_begin(2, 5000);
    pid_t child = fork();
    if (!child) {
        for (int round = 0; round < 8; round++) {
            struct sr_upcall_probe probe = {.upcalls = 1500, .interval_us = 100};
            cpu_set_t second = {};
            CPU_SET(1, &second);
            while (sched_setaffinity(0, sizeof(second), &second))
                usleep(5000);
            // The timer, like the process, is moved when the processor goes.
            int error = probe_run(device, &probe);
            if (error || probe.right != probe.upcalls) {
                printf("# %u of %u posted %u errno %d\n", probe.right, probe.upcalls, probe.posted, error);
                _exit(1);
            }
            if (getppid() == 1)
                break;
        }
        _exit(0);
    }
    stay_on(0);
    while (waitpid(child, &status, WNOHANG) == 0) {
        usleep(60000);
        offline += online(1, false);
        usleep(30000);
        asked += online(1, true);
    }
    struct victim_shared seen = victims_end(&victims);
    check(status == 0 && offline > 3 && asked == offline, "hotplug",
          "processor 1 went and came %d times, all upcalls ran (0x%x)", offline, status);
    check(seen.rounds > 0 && seen.bad == 0, "hotplug", "%llu rounds of victims, %llu bad (first: %u)",
          (long long)seen.rounds, (long long)seen.bad, seen.first_bad);
    close(device);
}

int main(void) {
    check(module_load("upcall=1 upcall_mode=open") == -EINVAL, "parameters", "an unknown mode is refused");
    need(module_load("upcall=0") == 0, "load");
    int device = open(SR_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
    struct sr_module_hello hello;
    struct sr_upcall_probe probe = {.upcalls = 1, .interval_us = 100, .timeout_ms = 100};
    sr_module_hello_fill(&hello);
    need(ioctl(device, SR_MODULE_HELLO, &hello) == 0, "hello");
    int error = probe_run(device, &probe);
    check(error == EOPNOTSUPP, "parameters", "what is off is refused (errno %d)", error);
    close(device);
    need(module_unload() == 0, "unload");
    hurry();
    reload();
    need(module_load("upcall=1 upcall_limit_us=200000") == 0, "load");
    hotplug();
    check(module_unload() == 0, "unload", "the module was unloaded");
    return failures != 0;
}
