#define _GNU_SOURCE
#include "sr_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// Since Linux 6.3 and 5.1; Debian 12's headers lack the first.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static const int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;
static const int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

int sr_channel_make(const char *name, size_t bytes) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    // A kernel before 6.3 does not know the flag.
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, size_seals)) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int sr_channel_seal(int fd) {
    return fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) ? -errno : 0;
}

int sr_channel_check(int fd, size_t bytes) {
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &status))
        return -errno;
    if ((seals & all_seals) != all_seals)
        return -EPERM;
    return (size_t)status.st_size == bytes ? 0 : -EMSGSIZE;
}

void *sr_channel_map(int fd, size_t bytes, size_t guard, int writable) {
    size_t all = bytes + 2 * SR_CHANNEL_PAGE;
    char *reserved = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return NULL;
    char *half = reserved + SR_CHANNEL_PAGE;
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    if (mmap(half, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
        (guard && mprotect(half + guard, SR_CHANNEL_PAGE, PROT_NONE))) {
        int error = errno;
        munmap(reserved, all);
        errno = error;
        return NULL;
    }
    return half;
}

void sr_channel_unmap(void *half, size_t bytes) {
    munmap((char *)half - SR_CHANNEL_PAGE, bytes + 2 * SR_CHANNEL_PAGE);
}

int sr_channel_doorbell(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int sr_channel_pass(int socket, int fd, char what) {
    struct iovec text = {.iov_base = &what, .iov_len = 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int sr_channel_receive(int socket, char *what) {
    struct iovec text = {.iov_base = what, .iov_len = 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t received;
    do {
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (received == 0)
        return -ENODATA;
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(int)))
        return -EBADMSG;
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}
