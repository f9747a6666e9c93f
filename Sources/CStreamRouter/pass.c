#define _GNU_SOURCE
#include "sr_pass.h"

#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Prepares an array of messages for sendmmsg or recvmmsg.
static void lay_out(struct mmsghdr *headers, struct iovec *parts, char *messages, size_t bytes,
                    unsigned int count) {
    for (unsigned int i = 0; i < count; i++) {
        parts[i] = (struct iovec){.iov_base = messages + i * bytes, .iov_len = bytes};
        headers[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
    }
}

int sr_pass_send(int fd, enum sr_pass_kind kind, void *messages, size_t bytes, unsigned int count) {
    struct mmsghdr headers[SR_PASS_MOST];
    struct iovec parts[SR_PASS_MOST];
    char *next = messages;
    unsigned int sent = 0;
    if (count > SR_PASS_MOST)
        return -EINVAL;
    switch (kind) {
    case SR_PASS_STREAM:
        for (size_t rest = bytes * count; rest > 0;) {
            ssize_t written = write(fd, next, rest);
            if (written < 0 && errno != EINTR)
                return -errno;
            if (written > 0) {
                next += written;
                rest -= (size_t)written;
            }
        }
        return 0;
    case SR_PASS_DATAGRAM:
        while (sent < count) {
            if (send(fd, next + sent * bytes, bytes, MSG_NOSIGNAL) == (ssize_t)bytes)
                sent++;
            else if (errno != EINTR)
                return -errno;
        }
        return 0;
    case SR_PASS_DATAGRAMS:
        lay_out(headers, parts, next, bytes, count);
        while (sent < count) {
            int some = sendmmsg(fd, headers + sent, count - sent, MSG_NOSIGNAL);
            if (some < 0 && errno != EINTR)
                return -errno;
            if (some > 0)
                sent += (unsigned int)some;
        }
        return 0;
    }
    return -EINVAL;
}

int sr_pass_receive(int fd, enum sr_pass_kind kind, void *messages, size_t bytes, unsigned int count) {
    struct mmsghdr headers[SR_PASS_MOST];
    struct iovec parts[SR_PASS_MOST];
    if (count > SR_PASS_MOST)
        return -EINVAL;
    if (kind == SR_PASS_DATAGRAMS) {
        lay_out(headers, parts, messages, bytes, count);
        int received = recvmmsg(fd, headers, count, MSG_WAITFORONE, NULL);
        return received < 0 ? -errno : received;
    }
    size_t most = kind == SR_PASS_STREAM ? bytes * count : bytes;
    size_t got = 0;
    // A stream may end a call in the midst of a message.
    do {
        ssize_t some = read(fd, (char *)messages + got, got ? bytes - got % bytes : most);
        if (some < 0 && errno != EINTR)
            return -errno;
        if (some == 0)
            return -ENODATA;
        if (some > 0)
            got += (size_t)some;
    } while (got == 0 || got % bytes);
    return (int)(got / bytes);
}

int sr_pass_end_with_parent(void) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL) ? -errno : 0;
}

struct sr_pass_ring {
    struct io_uring ring;
};

struct sr_pass_ring *sr_pass_ring_open(unsigned int entries) {
    struct sr_pass_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return NULL;
    int result = io_uring_queue_init(entries, &ring->ring, 0);
    if (result) {
        free(ring);
        errno = -result;
        return NULL;
    }
    return ring;
}

int sr_pass_ring_fd(const struct sr_pass_ring *ring) {
    return ring->ring.ring_fd;
}

int sr_pass_ring_take(int pid, int fd) {
    // By their numbers, since Debian 12's C library has no functions for them.
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        return -errno;
    int taken = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    int error = errno;
    close(process);
    return taken < 0 ? -error : taken;
}

void sr_pass_ring_close(struct sr_pass_ring *ring) {
    io_uring_queue_exit(&ring->ring);
    free(ring);
}

int sr_pass_ring_send(struct sr_pass_ring *ring, int target, const __u64 *words, unsigned int count) {
    unsigned int done = 0;
    while (done < count) {
        unsigned int asked = 0;
        for (; done + asked < count; asked++) {
            struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
            if (!entry)
                break;
            // The other ring's user_data is the word; this one's completion says whether it had room.
            io_uring_prep_msg_ring(entry, target, 1, words[done + asked], 0);
        }
        int result = io_uring_submit_and_wait(&ring->ring, asked);
        if (result < 0 && result != -EINTR)
            return result;
        unsigned int taken = 0;
        for (unsigned int i = 0; i < asked; i++) {
            struct io_uring_cqe *answer;
            result = io_uring_wait_cqe(&ring->ring, &answer);
            if (result)
                return result;
            int outcome = answer->res;
            io_uring_cqe_seen(&ring->ring, answer);
            if (outcome >= 0)
                taken++;
            else if (outcome != -EOVERFLOW && outcome != -EAGAIN)
                return outcome;
        }
        // Those that found no room are the last ones, since the kernel takes them in their order.
        done += taken;
    }
    return 0;
}

int sr_pass_ring_receive(struct sr_pass_ring *ring, __u64 *words, unsigned int count) {
    struct io_uring_cqe *answers[SR_PASS_MOST];
    struct io_uring_cqe *first;
    int result = io_uring_wait_cqe(&ring->ring, &first);
    if (result)
        return result;
    unsigned int got =
        io_uring_peek_batch_cqe(&ring->ring, answers, count < SR_PASS_MOST ? count : SR_PASS_MOST);
    for (unsigned int i = 0; i < got; i++)
        words[i] = answers[i]->user_data;
    io_uring_cq_advance(&ring->ring, got);
    return (int)got;
}
