#define _GNU_SOURCE
#include "sr_worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static size_t header_bytes(void) {
    return (sizeof(struct sr_worker_shared) + PAGE - 1) / PAGE * PAGE;
}

size_t sr_worker_shared_bytes(void) {
    return header_bytes() + SR_WORKER_FLOW_BYTES + (size_t)SR_MAX_EXTENSIONS * SR_WORKER_STATE_BYTES;
}

void *sr_worker_flow(struct sr_worker_shared *shared) {
    return (char *)shared + header_bytes();
}

void *sr_worker_state(struct sr_worker_shared *shared, unsigned int extension) {
    return (char *)shared + header_bytes() + SR_WORKER_FLOW_BYTES + (size_t)extension * SR_WORKER_STATE_BYTES;
}

static __u64 monotonic_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (__u64)time.tv_sec * 1000000000 + (__u64)time.tv_nsec;
}

// The IP header as far as a socket tells it.
static void describe(struct sr_datagram *datagram, const struct sr_chain *chain,
                     const struct sr_received *message, __u32 length) {
    __u8 *ip = datagram->ip;
    __u32 bytes = length + 8;
    __u8 class = (__u8)(message->dscp << 2);
    memset(ip, 0, sizeof(datagram->ip));
    if (chain->is_ipv6) {
        ip[0] = (__u8)(0x60 | class >> 4);
        ip[1] = (__u8)(class << 4);
        ip[4] = (__u8)(bytes >> 8);
        ip[5] = (__u8)bytes;
        ip[6] = 17;
        memcpy(ip + 8, message->source, 16);
        memcpy(ip + 24, chain->ingress, 16);
        return;
    }
    bytes += 20;
    ip[0] = 0x45;
    ip[1] = class;
    ip[2] = (__u8)(bytes >> 8);
    ip[3] = (__u8)bytes;
    ip[9] = 17;
    memcpy(ip + 12, &message->source[3], 4);
    memcpy(ip + 16, &chain->ingress[3], 4);
}

static int run_link(const struct sr_chain *chain, __u32 place, const struct sr_datagram *datagram,
                    struct sr_call *call) {
    volatile struct sr_worker_shared *shared = chain->shared;
    struct sr_extension_account *account = &chain->shared->extension[place];
    const struct sr_link *link = &chain->link[place];
    __u64 started = account->runs % SR_EXTENSION_SAMPLE ? 0 : monotonic_ns();
    shared->calls = shared->calls + 1;
    shared->stage = place + 1;
    int verdict = link->run(datagram, call, link->parameters, link->state, account);
    shared->stage = 0;
    if (started)
        sr_extension_timed(account, monotonic_ns() - started);
    return verdict;
}

struct sr_chain_outcome sr_chain_run(const struct sr_chain *chain, __u8 *payload, __u32 length,
                                     const struct sr_received *message, __u64 arrival_ns, int is_companion) {
    struct sr_datagram datagram = {.payload = payload};
    struct sr_chain_outcome outcome = {};
    __u32 all = (1u << chain->sink_count) - 1;
    describe(&datagram, chain, message, length);
    struct sr_call call = {
        .arrival_ns = arrival_ns,
        .payload_length = length,
        .hop = chain->hop,
        .protocol = chain->is_rtp ? is_companion ? SR_PROTOCOL_RTCP : SR_PROTOCOL_RTP : SR_PROTOCOL_UDP,
        .sink_count = chain->sink_count,
        .dscp = chain->dscp,
        .is_ipv6 = chain->is_ipv6,
        .source_port = message->source_port,
        .sinks = all,
        .stream = chain->stream,
        .functions = chain->functions,
    };
    for (__u32 place = 0; place < chain->count; place++) {
        switch (run_link(chain, place, &datagram, &call)) {
        case SR_VERDICT_FORWARD:
            break;
        case SR_VERDICT_DROP:
            outcome.cause = SR_DROP_EXTENSION;
            return outcome;
        default:
            outcome.cause = SR_DROP_EXTENSION_FAULT;
            return outcome;
        }
    }
    outcome.sinks = call.sinks & all;
    outcome.release_ns = call.release_ns;
    outcome.dscp = call.dscp == SR_DSCP_KEEP ? message->dscp : call.dscp & 0x3f;
    if (!outcome.sinks)
        outcome.cause = SR_DROP_EXTENSION;
    return outcome;
}

static volatile struct sr_worker_shared *watched;
static __u64 calls_before;

static void tick(int signal) {
    (void)signal;
    if (watched->stage && watched->calls == calls_before)
        syscall(SYS_exit_group, SR_WORKER_STUCK);
    calls_before = watched->calls;
}

int sr_chain_watch(struct sr_worker_shared *shared) {
    watched = shared;
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    struct itimerval every = {.it_interval.tv_usec = SR_WORKER_TICK_MS * 1000,
                              .it_value.tv_usec = SR_WORKER_TICK_MS * 1000};
    return sigaction(SIGPROF, &action, NULL) || setitimer(ITIMER_PROF, &every, NULL) ? -errno : 0;
}

void sr_worker_fail(struct sr_worker_shared *shared, const char *what, int error) {
    if (error)
        snprintf(shared->text, sizeof(shared->text), "%s: %s", what, strerror(error));
    else
        snprintf(shared->text, sizeof(shared->text), "%s", what);
    _exit(SR_WORKER_FAILED);
}

sr_extension_function sr_worker_load(int fd, struct sr_worker_shared *shared) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *function = object ? dlsym(object, "sr_extension") : NULL;
    if (!function)
        snprintf(shared->text, sizeof(shared->text), "%s", dlerror());
    return (sr_extension_function)function;
}

pid_t sr_worker_fork(int *pidfd) {
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0)
        *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pid;
}

int sr_memory_make(const char *name, const void *bytes, size_t length) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (ftruncate(fd, (off_t)length))
        goto failed;
    if (bytes) {
        seals |= F_SEAL_WRITE;
        for (size_t done = 0; done < length;) {
            ssize_t written = pwrite(fd, (const char *)bytes + done, length - done, (off_t)done);
            if (written < 0)
                goto failed;
            done += (size_t)written;
        }
    }
    if (fcntl(fd, F_ADD_SEALS, seals))
        goto failed;
    return fd;
failed:;
    int error = errno;
    close(fd);
    return -error;
}

pid_t sr_worker_spawn(const char *program, char *const arguments[], char *const environment[],
                      const int *descriptors, int count) {
    enum { FIRST = 3, MOST = 32 };
    int moved[MOST];
    int made = 0;
    int result = count <= MOST ? 0 : EINVAL;
    // Out of the way of the numbers that they get.
    for (; !result && made < count; made++) {
        moved[made] = fcntl(descriptors[made], F_DUPFD_CLOEXEC, FIRST + MOST);
        if (moved[made] < 0) {
            result = errno;
            break;
        }
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (int i = 0; i < made; i++)
        posix_spawn_file_actions_adddup2(&actions, moved[i], FIRST + i);
    posix_spawn_file_actions_addclosefrom_np(&actions, FIRST + count);
    pid_t pid = 0;
    if (!result)
        result = posix_spawn(&pid, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    for (int i = 0; i < made; i++)
        close(moved[i]);
    return result ? -result : pid;
}
