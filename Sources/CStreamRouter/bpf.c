#include "sr_bpf.h"

#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// A verifier's log can be megabytes long, and its end is the part that tells: of a message that does not fit,
// the last bytes are kept.
static _Thread_local char kept[128 * 1024];
static _Thread_local size_t used;

static int keep(enum libbpf_print_level level, const char *format, va_list arguments) {
    if (level > LIBBPF_WARN)
        return 0;
    va_list again;
    va_copy(again, arguments);
    int wanted = vsnprintf(NULL, 0, format, arguments);
    char *text = wanted > 0 ? malloc((size_t)wanted + 1) : NULL;
    if (text) {
        vsnprintf(text, (size_t)wanted + 1, format, again);
        size_t length = (size_t)wanted;
        const char *from = text;
        if (length > sizeof(kept) / 2) {
            from += length - sizeof(kept) / 2;
            length = sizeof(kept) / 2;
        }
        if (used + length >= sizeof(kept)) {
            // Older messages make room from their beginning on.
            size_t gone = used + length + 1 - sizeof(kept);
            memmove(kept, kept + gone, used - gone);
            used -= gone;
        }
        memcpy(kept + used, from, length);
        used += length;
        free(text);
    }
    va_end(again);
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
