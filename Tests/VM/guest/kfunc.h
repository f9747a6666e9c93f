// What the tests of kernel functions share: saying what came of a check, the module, BPF objects, held
// packets. Programs that include this are linked with libbpf.
#pragma once

// For namespaces.
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "streamrouter_module.h"

static int failures;

// One line of the test's report.
__attribute__((format(printf, 3, 4))) static void check(bool holds, const char *name, const char *format,
                                                        ...) {
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
__attribute__((format(printf, 2, 3))) static void need(bool holds, const char *format, ...) {
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

static inline uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static inline uint64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static inline void sleep_until(uint64_t ns) {
    struct timespec until = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

// Runs a command; dash, since the shell of busybox prefers its own ip to the real one.
static inline void shell(const char *command) {
    int status = -1;
    pid_t child = fork();
    if (!child) {
        execlp("dash", "dash", "-c", command, NULL);
        _exit(127);
    }
    need(child > 0 && waitpid(child, &status, 0) == child && status == 0, "%s", command);
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

// Programs let go of the module some time after the last descriptor of theirs was closed.
static inline int module_unload_within(uint64_t ns) {
    uint64_t end = now_ns() + ns;
    int error;
    while ((error = module_unload()) == -EAGAIN && now_ns() < end)
        usleep(10000);
    return error;
}

// An open, greeted descriptor.
static inline int module_open(void) {
    struct sr_module_hello hello;
    int device = open(SR_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
    need(device >= 0, "open " SR_MODULE_DEVICE);
    sr_module_hello_fill(&hello);
    need(!ioctl(device, SR_MODULE_HELLO, &hello), "hello");
    return device;
}

// The counts of a queue of this network namespace, or of all for SR_HOLD_QUEUES.
static inline struct sr_hold_counts hold_counts(uint32_t queue) {
    struct sr_hold_query query = {.queue = queue};
    int device = module_open();
    need(!ioctl(device, SR_MODULE_HOLD_READ, &query), "read queue %u", queue);
    close(device);
    return query.counts;
}

// Objects of packets' heads that the kernel has in use. Those that are free but kept aside count too until
// the cache is shrunk.
static inline long packets_in_kernel(void) {
    static const char *const caches[] = {"skbuff_head_cache", "skbuff_fclone_cache"};
    long sum = 0;
    for (int index = 0; index < 2; index++) {
        char path[128];
        long objects = 0;
        snprintf(path, sizeof path, "/sys/kernel/slab/%s/shrink", caches[index]);
        FILE *file = fopen(path, "w");
        if (file) {
            fputs("1", file);
            fclose(file);
        }
        snprintf(path, sizeof path, "/sys/kernel/slab/%s/objects", caches[index]);
        file = fopen(path, "r");
        need(file && fscanf(file, "%ld", &objects) == 1, "%s", path);
        fclose(file);
        sum += objects;
    }
    return sum;
}

// --- BPF ---

static inline int be_silent(enum libbpf_print_level level, const char *format, va_list arguments) {
    (void)level, (void)format, (void)arguments;
    return 0;
}

// Loads one program of an object, or all for NULL. NULL where that was refused; `log` then has why.
static inline struct bpf_object *object_load(const char *path, const char *only, char *log,
                                             size_t log_bytes) {
    struct bpf_program *program;
    struct bpf_object *object = bpf_object__open_file(path, NULL);
    need(object, "open %s", path);
    bpf_object__for_each_program(program, object) {
        bool wanted = !only || !strcmp(only, bpf_program__name(program));
        bpf_program__set_autoload(program, wanted);
        if (wanted && log) {
            *log = 0;
            bpf_program__set_log_buf(program, log, log_bytes);
        }
    }
    if (!bpf_object__load(object))
        return object;
    int error = errno;
    bpf_object__close(object);
    errno = error;
    return NULL;
}

static inline int program_of(struct bpf_object *object, const char *name) {
    struct bpf_program *program = bpf_object__find_program_by_name(object, name);
    need(program && bpf_program__fd(program) >= 0, "no program %s", name);
    return bpf_program__fd(program);
}

static inline int map_of(struct bpf_object *object, const char *name) {
    int map = bpf_object__find_map_fd_by_name(object, name);
    need(map >= 0, "no map %s", name);
    return map;
}

static inline void map_write(int map, const void *value) {
    uint32_t zero = 0;
    need(!bpf_map_update_elem(map, &zero, value, 0), "write a map");
}

static inline void map_read(int map, void *value) {
    uint32_t zero = 0;
    need(!bpf_map_lookup_elem(map, &zero, value), "read a map");
}

// Attaches at a device's ingress, which it makes ready.
static inline void attach_ingress(int ifindex, int program) {
    DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
    DECLARE_LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .handle = 1, .priority = 1,
                        .flags = BPF_TC_F_REPLACE);
    int error = bpf_tc_hook_create(&hook);
    need(!error || error == -EEXIST, "qdisc of device %d: %d", ifindex, error);
    error = bpf_tc_attach(&hook, &options);
    need(!error, "attach at device %d: %d", ifindex, error);
}

static inline void detach_ingress(int ifindex) {
    DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
                        .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    bpf_tc_hook_destroy(&hook);
}

// Runs a program on a packet as often as told. Answers the program's last verdict.
static inline int program_run(int program, const void *packet, uint32_t bytes, uint32_t times) {
    DECLARE_LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = bytes, .repeat = times);
    need(!bpf_prog_test_run_opts(program, &run), "run a program");
    return run.retval;
}
