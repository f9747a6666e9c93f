#include "sr_bpf.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The end of a verifier log is the part that tells, but libbpf frames it at the beginning too: room for both.
static _Thread_local char kept[128 * 1024];
static _Thread_local size_t used;

static int keep(enum libbpf_print_level level, const char *format, va_list arguments) {
    if (level > LIBBPF_WARN)
        return 0;
    size_t room = sizeof(kept) - used;
    va_list again;
    va_copy(again, arguments);
    int wanted = vsnprintf(kept + used, room, format, arguments);
    if (wanted > 0 && (size_t)wanted >= room) {
        // A log of many megabytes: its end takes the place of what is in the middle.
        char *whole = malloc((size_t)wanted + 1);
        size_t tail = room / 4 * 3;
        if (whole && vsnprintf(whole, (size_t)wanted + 1, format, again) == wanted)
            memcpy(kept + sizeof(kept) - tail, whole + wanted + 1 - tail, tail);
        free(whole);
        used = sizeof(kept) - 1;
    } else if (wanted > 0) {
        used += (size_t)wanted;
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
