#define _GNU_SOURCE
#include "sr_lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { ARCHITECTURE = AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { ARCHITECTURE = AUDIT_ARCH_AARCH64 };
#elif defined(__riscv) && __riscv_xlen == 64
enum { ARCHITECTURE = AUDIT_ARCH_RISCV64 };
#else
#error "workers are not ported to this architecture"
#endif

enum {
    NOBODY = 65534,
    // For the loader, which opens one file at a time, and above the descriptors that workers inherit.
    OPEN_FILES = 64,
    // poll(2) refuses to look at more descriptors than may be open.
    NO_MORE_FILES = 1,
    HIGHEST_DESCRIPTOR = 1024,
};

struct filter {
    struct sock_filter code[256];
    unsigned short count;
};

static void add(struct filter *filter, struct sock_filter instruction) {
    filter->code[filter->count++] = instruction;
}

static void load(struct filter *filter, size_t offset) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (__u32)offset));
}

static void decide(struct filter *filter, __u32 action) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void allow(struct filter *filter, long call) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)call, 0, 1));
    decide(filter, SECCOMP_RET_ALLOW);
}

// The low half of an argument: all that is compared here has 32 bits. x86_64 and both others are little
// endian.
static size_t argument(int number) {
    return offsetof(struct seccomp_data, args) + 8 * (size_t)number;
}

static void allow_if_equal(struct filter *filter, long call, int number, __u32 value) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)call, 0, 4));
    load(filter, argument(number));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    decide(filter, SECCOMP_RET_ALLOW);
    decide(filter, SECCOMP_RET_KILL_PROCESS);
}

static void allow_if_clear(struct filter *filter, long call, int number, __u32 bits) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)call, 0, 4));
    load(filter, argument(number));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0));
    decide(filter, SECCOMP_RET_ALLOW);
    decide(filter, SECCOMP_RET_KILL_PROCESS);
}

static void begin(struct filter *filter) {
    filter->count = 0;
    load(filter, offsetof(struct seccomp_data, arch));
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    decide(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, offsetof(struct seccomp_data, nr));
}

// What relaying takes.
static void allow_relaying(struct filter *filter) {
    allow(filter, SYS_recvmmsg);
    allow(filter, SYS_sendmmsg);
    allow(filter, SYS_epoll_pwait);
    allow(filter, SYS_ppoll);
#ifdef SYS_epoll_wait
    allow(filter, SYS_epoll_wait);
#endif
#ifdef SYS_poll
    allow(filter, SYS_poll);
#endif
    // Where the vDSO cannot read the clock.
    allow(filter, SYS_clock_gettime);
    allow(filter, SYS_rt_sigreturn);
    allow(filter, SYS_restart_syscall);
    allow(filter, SYS_exit_group);
    // Locks that are not contended, and the first use of what is initialised once.
    allow(filter, SYS_futex);
    // The allocator. How much there is to have is limited (RLIMIT_AS).
    allow(filter, SYS_brk);
    allow(filter, SYS_munmap);
    allow(filter, SYS_madvise);
    // What a trap of our own code has to say, so that it ends by its own signal.
    allow_if_equal(filter, SYS_write, 0, STDERR_FILENO);
}

// What the dynamic loader takes beside that. No constructor of an extension runs: such objects are refused
// before (NativeCode).
static void allow_loading(struct filter *filter) {
    allow_if_clear(filter, SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
    allow(filter, SYS_read);
    allow(filter, SYS_pread64);
    allow(filter, SYS_lseek);
    allow(filter, SYS_fstat);
    allow(filter, SYS_newfstatat);
    allow(filter, SYS_statx);
    allow(filter, SYS_readlinkat);
#ifdef SYS_readlink
    allow(filter, SYS_readlink);
#endif
    allow(filter, SYS_getcwd);
    allow(filter, SYS_mmap);
    allow(filter, SYS_mprotect);
    allow(filter, SYS_close);
    allow(filter, SYS_prlimit64);
    allow(filter, SYS_setitimer);
    allow(filter, SYS_rt_sigaction);
    allow(filter, SYS_rt_sigprocmask);
    allow(filter, SYS_seccomp);
}

static int install(struct filter *filter) {
    decide(filter, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {.len = filter->count, .filter = filter->code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

static int limit(int resource, rlim_t value) {
    struct rlimit former;
    if (getrlimit((__rlimit_resource_t)resource, &former))
        return -errno;
    if (value > former.rlim_max)
        value = former.rlim_max;
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    return setrlimit((__rlimit_resource_t)resource, &both) ? -errno : 0;
}

// Bytes of address space in use; 0 where /proc does not tell.
static size_t address_space(void) {
    char text[64] = {};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    return length > 0 ? strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

// No file of any file system can be opened from now on; memory without a name still can, and that is what the
// loader opens. Best where the kernel has it (Landlock, 5.13): the second filter allows no opening at all.
static int forbid_files(void) {
    struct landlock_ruleset_attr all = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                             LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    };
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);
    if (ruleset < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    int result = syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
    close(ruleset);
    return result;
}

int sr_lockdown_begin(const struct sr_lockdown *lockdown, const char **step) {
    *step = "opening /dev/null";
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDERR_FILENO) < 0)
        return -errno;
    *step = "resource limits";
    size_t memory = address_space();
    if (!memory)
        return -ENOENT;
    int result = limit(RLIMIT_AS, memory + lockdown->memory_bytes);
    if (!result)
        result = limit(RLIMIT_CORE, 0);
    if (!result)
        result = limit(RLIMIT_FSIZE, 0);
    if (!result)
        result = limit(RLIMIT_MEMLOCK, 0);
    if (!result)
        result = limit(RLIMIT_NOFILE, OPEN_FILES);
    if (result)
        return result;
    // Without capabilities root still owns root's files. A user namespace may not know nobody (EINVAL), and a
    // daemon may lack CAP_SETUID and CAP_SETGID (EPERM): what follows holds there too.
    *step = "becoming nobody";
    if (geteuid() == 0) {
        if (setgroups(0, NULL) && errno != EPERM)
            return -errno;
        if (setresgid(NOBODY, NOBODY, NOBODY) && errno != EINVAL && errno != EPERM)
            return -errno;
        if (setresuid(NOBODY, NOBODY, NOBODY) && errno != EINVAL && errno != EPERM)
            return -errno;
    }
    *step = "dropping capabilities";
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none))
        return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        return -errno;
    *step = "PR_SET_NO_NEW_PRIVS";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return -errno;
    // After the change of user, which clears it.
    *step = "PR_SET_PDEATHSIG";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
        return -errno;
    if (getppid() != lockdown->parent)
        return -ESRCH;
    *step = "landlock";
    result = forbid_files();
    if (result)
        return result;
    *step = "seccomp";
    struct filter filter;
    begin(&filter);
    allow_relaying(&filter);
    allow_loading(&filter);
    return install(&filter);
}

int sr_lockdown_finish(const struct sr_lockdown *lockdown, const char **step) {
    *step = "closing descriptors";
    for (int fd = STDERR_FILENO + 1; fd < HIGHEST_DESCRIPTOR; fd++) {
        int stays = 0;
        for (int i = 0; i < lockdown->keep_count; i++)
            stays |= lockdown->keep[i] == fd;
        if (!stays)
            close(fd);
    }
    *step = "resource limits";
    int result = limit(RLIMIT_NOFILE, NO_MORE_FILES);
    if (result)
        return result;
    *step = "seccomp";
    struct filter filter;
    begin(&filter);
    allow_relaying(&filter);
    allow_if_equal(&filter, SYS_read, 0, (__u32)lockdown->wake);
    // Memory to write, never to execute, and of no file.
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 6));
    load(&filter, argument(2));
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0));
    load(&filter, argument(3));
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1));
    decide(&filter, SECCOMP_RET_ALLOW);
    decide(&filter, SECCOMP_RET_KILL_PROCESS);
    return install(&filter);
}
