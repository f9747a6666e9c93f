// TCP sockets of engine process: listening, connecting, and bytes that go from socket to socket by splice(2)
// without passing through this program. A shim because Swift has no splice, the packed epoll_event or the
// CMSG macros, and because its tcp_info is the C library's, which lacks what kernels tell since 4.6.
#ifndef SR_SPLICE_H
#define SR_SPLICE_H

#include <linux/types.h>

#include "sr_socket.h"

// A non-blocking listening socket; the connections that it accepts remember the code point they came with.
// Returns the descriptor or a negative errno; `step` then names the call that failed.
int sr_tcp_listen(const struct sr_udp_address *local, int backlog, const char **step);

// How a socket finds out that its peer is gone, in seconds.
struct sr_keep_alive {
    int idle;     // silence before the first probe
    int interval; // between two probes
    int probes;   // that remain without an answer
};

// The next connection that waits, non-blocking, and who began it. Returns the descriptor or a negative errno.
int sr_tcp_accept(int listener, struct sr_udp_address *peer);

// A non-blocking socket that connects to `to` from the address of `from`; the kernel chooses the port.
// `dscp`: 0 to 63. Returns the descriptor or a negative errno.
int sr_tcp_connect(const struct sr_udp_address *to, const struct sr_udp_address *from,
                   const struct sr_keep_alive *keep_alive, unsigned int dscp);

// What a socket that was accepted is set to: no delay of small segments (TCP_NODELAY), keep-alive, urgent
// bytes in their place, the code point.
void sr_tcp_prepare(int fd, int is_v4, const struct sr_keep_alive *keep_alive, unsigned int dscp);

// The code point (0 to 63) of the segment that completed an accepted connection.
unsigned int sr_tcp_dscp(int fd, int is_v4);

// 0 once a connection has come about that sr_tcp_connect() began, else why it has not, an errno.
int sr_tcp_connected(int fd);

// The error that waits on a socket, and takes it away; 0: none.
int sr_tcp_error(int fd);

// Closes so that the peer sees a reset and not an end.
void sr_tcp_reset(int fd);

// What the kernel knows of a connection.
struct sr_tcp_state {
    __u32 round_trip_us; // smoothed (RFC 6298); 0: none was measured
    __u32 segments_in;   // with payload, and out, retransmissions included
    __u32 segments_out;
    __u32 retransmitted;
    __u32 silent_ms; // since the peer was last heard of: data or an acknowledgement
};

// 0, or a negative errno.
int sr_tcp_state(int fd, struct sr_tcp_state *state);

// One pipe for bytes on their way.
struct sr_pipe {
    int out; // is read
    int in;  // is written
};

// A non-blocking pipe that takes `bytes` where the system's limits allow it, else less. 0, or a negative
// errno.
int sr_pipe_open(struct sr_pipe *pipe, int bytes);
void sr_pipe_close(const struct sr_pipe *pipe);

// Moves up to `bytes` without waiting; one of both is a pipe. Returns their number, 0 at the end of the
// input, or a negative errno.
long sr_splice(int from, int to, unsigned long bytes);

// Takes one urgent byte out of a socket, before which splice(2) stops, and puts it into the pipe. 1, 0 at the
// end, or a negative errno.
int sr_tcp_take_urgent(int fd, int pipe);

// Ends the sending side of a connection. 0, or a negative errno.
int sr_tcp_finish(int fd);

enum sr_ready_flags {
    SR_READY_IN = 1,
    SR_READY_OUT = 2,
    SR_READY_ERROR = 4,
    SR_READY_URGENT = 8,
};

struct sr_ready {
    __u64 context; // 0: the thread was woken
    __u32 flags;   // enum sr_ready_flags
};

enum { SR_READY_BATCH = 128 };

// Watches a listening socket for as long as something waits there (level-triggered). 0, or a negative errno.
int sr_ready_listen(const struct sr_watch *watch, int fd, __u64 context);
// Watches a connection for changes (edge-triggered). 0, or a negative errno.
int sr_ready_connection(const struct sr_watch *watch, int fd, __u64 context);
// Leaves a listening socket be, and takes it up again.
void sr_ready_pause(const struct sr_watch *watch, int fd, __u64 context, int is_paused);
// Waits up to `milliseconds`, without end where that is negative. Returns how many of `ready`, which has room
// for SR_READY_BATCH, are filled, or a negative errno. Takes the wake signal itself, always as the last.
int sr_ready_wait(const struct sr_watch *watch, struct sr_ready *ready, int milliseconds);

// Lets this process open as many files as it may at all (RLIMIT_NOFILE, the soft limit up to the hard one).
// Returns that number.
unsigned long sr_open_files_raise(void);

#endif
