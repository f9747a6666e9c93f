// Datagram sockets of engine process: batched calls and control messages.
// A shim because Swift imports neither recvmmsg's GNU declaration nor the CMSG macros nor the packed
// epoll_event. All memory is taken when a receiver or sender is made; the calls on it allocate nothing.
#ifndef SR_SOCKET_H
#define SR_SOCKET_H

#include <linux/types.h>
#include <sys/uio.h>

enum sr_socket_limits {
    // Messages that one receive call takes at most; with UDP GRO each may hold many datagrams.
    SR_RECEIVE_BATCH = 64,
    // Room for one message. The largest UDP payload is 65,507 bytes.
    SR_RECEIVE_BYTES = 65536,
    // Messages that one send call takes at most: UIO_MAXIOV, the kernel's own limit.
    SR_SEND_BATCH = 1024,
    // Datagrams in one message with UDP_SEGMENT: UDP_MAX_SEGMENTS of kernels before 6.9.
    SR_TRAIN_SEGMENTS = 64,
    // Bytes of such a message: below 65,535 with room for the headers of either family.
    SR_TRAIN_BYTES = 65000,
};

// The address of a socket, also of TCP.
struct sr_udp_address {
    __u32 address[4]; // network order, IPv4-mapped
    __u16 port;       // host order
};

// Opens a non-blocking socket bound to `local` that stamps arrivals, reports queue overflows and takes
// datagrams in trains where the kernel can (UDP_GRO). Datagrams larger than the path's MTU are refused, not
// fragmented. `buffer_bytes` is asked of both queues; without CAP_NET_ADMIN net.core.rmem_max and wmem_max
// limit it. Returns the descriptor or a negative errno; `step` then names the call that failed.
int sr_udp_open(const struct sr_udp_address *local, int buffer_bytes, const char **step);

// The code point (0 to 63) that packets sent on the socket carry. 0, or a negative errno.
int sr_udp_set_dscp(int fd, const struct sr_udp_address *local, unsigned int dscp);

// Packets leave with the hop limit 255, and sr_receive() tells with which they came. 0, or a negative errno.
int sr_udp_tell_hop_limit(int fd, const struct sr_udp_address *local);

// The socket's only peer from here on; ICMP errors about it are reported by its next call. 0, or a negative
// errno.
int sr_udp_connect(int fd, const struct sr_udp_address *peer);

// Sends one datagram, to the socket's peer where `to` is NULL, and never waits. 0, or a negative errno.
int sr_udp_send(int fd, const void *bytes, unsigned int length, const struct sr_udp_address *to);

// 1 where something keeps this machine's clock with UTC. `error_ns` is how far it may be off all the same, or
// how far the kernel believes so at most. A shim because adjtimex's structure does not reach Swift.
int sr_clock_is_synchronised(__u64 *error_ns);

// 1 where the kernel knows UDP_SEGMENT (4.18 and later).
int sr_udp_can_segment(int fd);

// Waits until the socket can send again, at most `milliseconds`. 1 if it can.
int sr_udp_wait_writable(int fd, int milliseconds);

// How many datagrams the socket's receive queue has refused since it was opened (SO_MEMINFO, kernel 4.12); 0
// where the kernel does not say.
__u32 sr_udp_queue_drops(int fd);

// What one message brought: a datagram, or a train of them that lie one behind the other.
struct sr_received {
    __u8 *bytes;
    __u64 arrival_ns; // kernel receive time, CLOCK_REALTIME; 0 where the kernel gave none
    __u32 source[4];  // network order, IPv4-mapped
    __u32 length;
    __u32 segment;     // bytes of each datagram but the last; equal to length where there is one
    __u32 queue_drops; // as sr_udp_queue_drops() at the time the message came; 0 where not said
    __u32 dscp;        // code point it came with, 0 to 63
    __u32 truncated;   // the message was longer than SR_RECEIVE_BYTES
    __u16 source_port; // network order
    __u16 hop_limit;   // with which it came; 0 without sr_udp_tell_hop_limit()
};

struct sr_receiver;
struct sr_receiver *sr_receiver_make(void);
void sr_receiver_free(struct sr_receiver *receiver);

// Takes what is waiting, at most SR_RECEIVE_BATCH messages, into memory of the receiver that stays valid
// until the next call. Returns their number or a negative errno.
int sr_receive(struct sr_receiver *receiver, int fd, struct sr_received *received);

// One message to send: pieces[first_piece] and what follows, cut into datagrams of `segment` bytes by the
// kernel, or one datagram where `segment` is 0. Carries the code point `dscp`, or where that is 0 the
// socket's.
struct sr_train {
    __u32 first_piece;
    __u32 pieces;
    __u32 segment;
    __u32 dscp;
};

struct sr_sender;
struct sr_sender *sr_sender_make(void);
void sr_sender_free(struct sr_sender *sender);

// Takes at most SR_SEND_BATCH messages for a socket of IPv4 or else IPv6. The pieces must stay until they are
// sent.
void sr_sender_load(struct sr_sender *sender, const struct sr_train *trains, unsigned int count, int is_v4,
                    struct iovec *pieces);

// Where the loaded messages go next. `source` (its port is ignored) makes them leave from another address of
// this machine than the socket's own; NULL: from the socket's.
void sr_sender_address(struct sr_sender *sender, const struct sr_udp_address *destination,
                       const struct sr_udp_address *source);

// Sends messages `first` and following. Returns how many were sent, at least one, or a negative errno for the
// first.
int sr_send(struct sr_sender *sender, int fd, unsigned int first, unsigned int count);

// An epoll descriptor and, watched by it with the context NULL, an eventfd to wake its thread.
struct sr_watch {
    int epoll;
    int wake;
};

// 0, or a negative errno.
int sr_watch_open(struct sr_watch *watch);
void sr_watch_close(struct sr_watch *watch);
int sr_watch_add(const struct sr_watch *watch, int fd, void *context);
void sr_watch_remove(const struct sr_watch *watch, int fd);
void sr_watch_wake(const struct sr_watch *watch);
// Waits without end; writes the contexts of what can be read. Returns their number or a negative errno. Takes
// the wake signal itself, always as the last context.
int sr_watch_wait(const struct sr_watch *watch, void **contexts, int capacity);

// Names the calling thread (15 bytes at most) and, where `cpu` is 0 or more, binds it to that processor. A
// shim because the affinity macros do not reach Swift. 0, or a negative errno.
int sr_thread_begin(const char *name, int cpu);

// How much later than asked the calling thread's sleeps may end, where it is of ordinary priority. A shim
// because prctl takes variable arguments.
void sr_thread_timer_slack(unsigned long nanoseconds);

#endif
