#define _GNU_SOURCE
#include "sr_module.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Seconds that an anchor waits for the first relay, since it is started before that.
enum { ANCHOR_PATIENCE_S = 10 };

int sr_module_open(void) {
    int device = open(SR_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
    return device < 0 ? -errno : device;
}

int sr_module_call(int device, __u32 command, void *argument) {
    return ioctl(device, command, argument) < 0 ? -errno : 0;
}

#define SR_TEXT(id, text) text,

const char *sr_image_flaw_text(__u32 flaw) {
    static const char *const texts[] = {"", SR_IMAGE_FLAWS(SR_TEXT)};
    return flaw < sizeof(texts) / sizeof(*texts) ? texts[flaw] : "";
}

const char *sr_abort_cause_text(__u32 cause) {
    static const char *const texts[] = {"", SR_ABORT_CAUSES(SR_TEXT)};
    return cause < sizeof(texts) / sizeof(*texts) ? texts[cause] : "";
}

// --- The anchor: only system calls, since it is the child of a process of many threads ---

static void on_tick(int signal) {
    (void)signal;
}

// A name in the network namespace that one anchor of a processor can have. The descriptor or -1.
static int take_name(int processor) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "streamrouter-anchor-%d", processor);
    int socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_ >= 0 && bind(socket_, (struct sockaddr *)&name,
                             offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)length)) {
        close(socket_);
        return -1;
    }
    return socket_;
}

static int has_relays(int device) {
    struct sr_module_list list = {.capacity = 0};
    int result = sr_module_call(device, SR_MODULE_RELAY_LIST, &list);
    return result == -ENOSPC || (!result && list.count);
}

static time_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static _Noreturn void be_anchor(int processor, int priority) {
    // A second each it looks whether it is still wanted; no restart, so that the ioctl ends.
    struct sigaction tick = {.sa_handler = on_tick};
    struct itimerval second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
    struct sched_param scheduling = {.sched_priority = priority};
    struct sr_upcall_anchor anchor;
    struct sr_module_hello hello;
    sigset_t none;
    cpu_set_t one;
    // The parent's sockets are not to live on in here.
    close_range(0, ~0U, 0);
    int name = take_name(processor);
    int device = name < 0 ? -1 : sr_module_open();
    if (device < 0)
        _exit(0);
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (sched_setaffinity(0, sizeof(one), &one))
        _exit(1);
    sched_setscheduler(0, SCHED_FIFO, &scheduling);
    prctl(PR_SET_NAME, "sr-anchor");
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigaction(SIGALRM, &tick, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setitimer(ITIMER_REAL, &second, NULL);
    sr_module_hello_fill(&hello);
    if (sr_module_call(device, SR_MODULE_HELLO, &hello))
        _exit(1);

    time_t wanted_until = now() + ANCHOR_PATIENCE_S;
    for (;;) {
        int result = sr_module_call(device, SR_MODULE_UPCALL_ANCHOR, &anchor);
        if (!result)
            continue;
        if (result == -EBUSY)
            pause(); // Another namespace's anchor serves this one too; this one stands by.
        else if (result != -EINTR)
            _exit(1);
        if (has_relays(device))
            wanted_until = now() + 2;
        else if (now() > wanted_until)
            _exit(0);
    }
}

int sr_module_start_anchor(int processor, int priority) {
    // A name that is taken says that it runs, and costs no process.
    int name = take_name(processor);
    if (name < 0)
        return 0;
    close(name);
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (!child) {
        // A session of its own, and init for its parent: nobody has to wait for it.
        setsid();
        child = fork();
        if (!child)
            be_anchor(processor, priority);
        _exit(child < 0 ? errno : 0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}
