// Messages from one process to another by what every system has: the ways that a channel is measured beside.
// Shims because sendmmsg's arrays, and liburing's inline functions, are C.
#ifndef SR_PASS_H
#define SR_PASS_H

#include <linux/types.h>
#include <stddef.h>

enum sr_pass_kind {
    SR_PASS_STREAM = 0,    // a pipe or a stream socket: many messages a call
    SR_PASS_DATAGRAM = 1,  // a datagram socket: one message a call
    SR_PASS_DATAGRAMS = 2, // a datagram socket: sendmmsg(2), recvmmsg(2)
};

enum { SR_PASS_MOST = 64 };

// Sends `count` messages of `bytes` each, which stand one after the other, and waits until all are taken. 0,
// or a negative errno.
int sr_pass_send(int fd, enum sr_pass_kind kind, void *messages, size_t bytes, unsigned int count);

// Receives up to `count` messages of `bytes` each, at least one. How many, or a negative errno; -ENODATA at
// the end.
int sr_pass_receive(int fd, enum sr_pass_kind kind, void *messages, size_t bytes, unsigned int count);

// Has the kernel kill this process when the thread that started it ends. 0, or a negative errno.
int sr_pass_end_with_parent(void);

// A ring of io_uring(7) that messages are sent to (IORING_OP_MSG_RING) and from. NULL: errno says why.
struct sr_pass_ring;
struct sr_pass_ring *sr_pass_ring_open(unsigned int entries);
int sr_pass_ring_fd(const struct sr_pass_ring *ring);
// The descriptor of another process's ring, by pidfd_getfd(2): a socket does not pass one on. A descriptor,
// or a negative errno.
int sr_pass_ring_take(int pid, int fd);
void sr_pass_ring_close(struct sr_pass_ring *ring);

// Sends `count` words to the ring behind a descriptor, and waits until the kernel has taken them. 0, or a
// negative errno.
int sr_pass_ring_send(struct sr_pass_ring *ring, int target, const __u64 *words, unsigned int count);

// Receives up to `count` words, at least one. How many, or a negative errno.
int sr_pass_ring_receive(struct sr_pass_ring *ring, __u64 *words, unsigned int count);

#endif
