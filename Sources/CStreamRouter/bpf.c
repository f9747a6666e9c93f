#include "sr_bpf.h"

#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// The end of a verifier log is the part that tells, but libbpf frames it at the beginning too: room for both.
static _Thread_local char kept[128 * 1024];
static _Thread_local size_t used;

static int keep(enum libbpf_print_level level, const char *format, va_list arguments) {
    if (level > LIBBPF_WARN)
        return 0;
    size_t room = sizeof(kept) - used;
    int wanted = vsnprintf(kept + used, room, format, arguments);
    if (wanted > 0)
        used += (size_t)wanted < room ? (size_t)wanted : room - 1;
    return wanted;
}

void sr_bpf_log_keep(void) {
    libbpf_set_print(keep);
}

void sr_bpf_log_take(char *text, size_t size) {
    size_t length = used < size ? used : size - 1;
    memcpy(text, kept, length);
    text[length] = 0;
    used = 0;
}

void sr_wait_for_packets(void) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}
