#define _GNU_SOURCE
#include "sr_memory_file.h"

#include <errno.h>
#include <sys/mman.h>

int sr_memory_file(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
