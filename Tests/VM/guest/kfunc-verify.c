// Who may speak to the module and call its functions: the handshake, what the verifier refuses, and that the
// module stays while it is in use.
//
// vm: seconds=120
#include "kfunc.h"

#include <bpf/libbpf.h>
#include <sys/stat.h>

static const char misuse[] = "kfunc-misuse.bpf.o";
static char verifier_log[1 << 16];

// The last line of the verifier's log that tells why.
static const char *reason(void) {
    static char line[200];
    const char *best = "no reason";
    for (char *next = strtok(verifier_log, "\n"); next; next = strtok(NULL, "\n"))
        if (strncmp(next, "processed ", 10) && strncmp(next, "verification time", 17) && *next)
            best = next;
    snprintf(line, sizeof line, "%s", best);
    return line;
}

struct refusal {
    const char *program;
    // What the verifiers of different kernels say of it; at least one must stand in the log.
    const char *words[4];
};

static const struct refusal refusals[] = {
    {"key_too_short",
     {"invalid indirect access to stack", "invalid write to stack", "invalid read from stack"}},
    {"row_too_short", {"invalid access to map value"}},
    {"row_unchecked", {"Possibly NULL"}},
    {"key_unchecked", {"Possibly NULL"}},
    {"no_key", {"Possibly NULL"}},
    {"size_unbounded", {"unbounded memory access", "invalid access to map value"}},
    {"frame_unchecked", {"invalid access to packet"}},
    {"no_packet", {"expected pointer to ctx", "must point to", "type=map_value"}},
    {"number_as_packet", {"expected pointer to ctx", "type=scalar", "R1"}},
    {"pointer_as_time", {"is not a scalar", "leaks addr", "R2"}},
    {"hold_in_xdp", {"not allowed"}},
    {"socket_filter", {"not allowed"}},
};

static void check_refusals(void) {
    const uint8_t packet[64] = {0};
    struct bpf_object *object = object_load(misuse, "sound", verifier_log, sizeof verifier_log);
    check(object, "verifier-takes-sound", "%s", object ? "it was loaded" : reason());
    bpf_object__close(object);
    object = object_load(misuse, "sound_in_parts", verifier_log, sizeof verifier_log);
    check(object, "verifier-takes-parts", "%s", object ? "it was loaded" : reason());
    bpf_object__close(object);
    for (size_t index = 0; index < sizeof refusals / sizeof *refusals; index++) {
        const struct refusal *refusal = &refusals[index];
        bool said = false;
        char name[80];
        object = object_load(misuse, refusal->program, verifier_log, sizeof verifier_log);
        for (int word = 0; word < 4 && refusal->words[word]; word++)
            said |= strstr(verifier_log, refusal->words[word]) != NULL;
        snprintf(name, sizeof name, "verifier-refuses-%s", refusal->program);
        if (object && strstr(refusal->words[0], "NULL")) {
            int answer = program_run(program_of(object, refusal->program), packet, sizeof packet, 1);
            check(answer == -EFAULT, name, "this kernel's lets it through, and it answered %d", answer);
        } else {
            check(!object && said, name, "%s", object ? "it was loaded" : reason());
        }
        bpf_object__close(object);
    }
    object = object_load("kfunc-license.bpf.o", NULL, verifier_log, sizeof verifier_log);
    check(!object && strstr(verifier_log, "GPL"), "verifier-refuses-license", "%s",
          object ? "it was loaded" : reason());
    bpf_object__close(object);
}

// That a call failed, and by which error.
static void refused(int answer, int error, const char *name) {
    check(answer == -1 && errno == error, name, "%d, %s", answer, answer ? strerror(errno) : "no error");
}

static void check_handshake(void) {
    struct sr_module_hello hello, own;
    struct sr_hold_query query = {0};
    int device = open(SR_MODULE_DEVICE, O_RDWR);
    need(device >= 0, "open " SR_MODULE_DEVICE);

    refused(ioctl(device, SR_MODULE_HOLD_READ, &query), EPROTO, "hello-first");
    sr_module_hello_fill(&own);
    hello = own;
    hello.sizes[SR_STRUCTURE_HOLD_QUERY]++;
    int answer = ioctl(device, SR_MODULE_HELLO, &hello);
    check(answer == -1 && errno == EPROTO &&
              hello.sizes[SR_STRUCTURE_HOLD_QUERY] == own.sizes[SR_STRUCTURE_HOLD_QUERY],
          "hello-other-size", "%s, told %u", strerror(errno), hello.sizes[SR_STRUCTURE_HOLD_QUERY]);
    hello = own;
    hello.version++;
    answer = ioctl(device, SR_MODULE_HELLO, &hello);
    check(answer == -1 && errno == EPROTO && hello.version == own.version, "hello-other-version", "%s",
          strerror(errno));
    refused(ioctl(device, SR_MODULE_HOLD_READ, &query), EPROTO, "hello-still-first");
    hello = own;
    answer = ioctl(device, SR_MODULE_HELLO, &hello);
    check(!answer && hello.parts == SR_PART_KFUNCS, "hello", "parts %u", hello.parts);
    check(!ioctl(device, SR_MODULE_HOLD_READ, &query), "ioctl-after-hello", "queue 0 held %llu",
          (unsigned long long)query.counts.held);
    query.queue = SR_HOLD_QUEUES + 1;
    refused(ioctl(device, SR_MODULE_HOLD_READ, &query), EINVAL, "ioctl-queue-bound");
    refused(ioctl(device, SR_MODULE_COMMAND(63, hello), &hello), ENOTTY, "ioctl-unknown");
    refused(ioctl(device, SR_MODULE_HOLD_READ, NULL), EFAULT, "ioctl-no-memory");
    int error = module_unload();
    check(error == -EAGAIN, "unload-refused-open-device", "%s", strerror(-error));
    close(device);

    pid_t child = fork();
    if (!child) {
        // Without root's rights, even where the file could be opened.
        if (chmod(SR_MODULE_DEVICE, 0666) || setgid(1000) || setuid(1000))
            _exit(1);
        _exit(open(SR_MODULE_DEVICE, O_RDWR) == -1 && errno == EPERM ? 0 : 1);
    }
    int status = 1;
    need(waitpid(child, &status, 0) == child, "wait");
    check(status == 0, "open-refused-unprivileged", "status %d", status);
}

static void check_unload(void) {
    struct bpf_object *object = object_load(misuse, "sound", NULL, 0);
    need(object, "load sound");
    int error = module_unload();
    check(error == -EAGAIN, "unload-refused-program", "%s", strerror(-error));
    bpf_object__close(object);
    error = module_unload_within(3000000000ull);
    check(!error, "unload-after-program", "%s", strerror(-error));
    need(!error, "unload");

    int reloads = 0;
    for (; reloads < 25 && !module_load("") && (object = object_load(misuse, "sound", NULL, 0)); reloads++) {
        bpf_object__close(object);
        if (module_unload_within(3000000000ull))
            break;
    }
    check(reloads == 25, "reload", "%d times, with a program each time", reloads);

    need(!module_load("kfuncs=0"), "load with kfuncs=0");
    object = object_load(misuse, "sound", verifier_log, sizeof verifier_log);
    check(!object, "kfuncs-off-refused", "%s", object ? "it was loaded" : reason());
    struct sr_module_hello hello;
    struct sr_hold_query query = {0};
    int device = open(SR_MODULE_DEVICE, O_RDWR);
    sr_module_hello_fill(&hello);
    check(!ioctl(device, SR_MODULE_HELLO, &hello) && hello.parts == 0, "kfuncs-off-hello", "parts %u",
          hello.parts);
    refused(ioctl(device, SR_MODULE_HOLD_READ, &query), EOPNOTSUPP, "kfuncs-off-ioctl");
    close(device);
    check(!module_unload(), "kfuncs-off-unload", "at once");
}

int main(void) {
    libbpf_set_print(be_silent);
    struct bpf_object *object = object_load(misuse, "sound", verifier_log, sizeof verifier_log);
    check(!object, "without-module-refused", "%s", object ? "it was loaded" : strerror(errno));
    bpf_object__close(object);
    need(!module_load(""), "load the module");
    check_handshake();
    check_refusals();
    check_unload();
    return failures != 0;
}
