#define _GNU_SOURCE
#include "sr_splice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "address.h"

// linux/in.h and linux/in6.h clash with the C library's headers in some versions; the values are part of the
// kernel's interface.
enum { SR_IP_BIND_ADDRESS_NO_PORT = 24, SR_IPV6_2292PKTOPTIONS = 6 };

int sr_tcp_listen(const struct sr_udp_address *local, int backlog, const char **step) {
    int v4 = is_ipv4(local->address);
    union address address;
    socklen_t length = fill(&address, local);
    *step = "socket";
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // Connections of a former run that wait for their last segments do not hold the port.
    *step = "SO_REUSEADDR";
    if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        goto failed;
    *step = "RECVTOS";
    if (v4 ? set(fd, IPPROTO_IP, IP_RECVTOS, 1) : set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1))
        goto failed;
    *step = "IPV6_V6ONLY";
    if (!v4 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
        goto failed;
    *step = "bind";
    if (bind(fd, &address.any, length))
        goto failed;
    *step = "listen";
    if (listen(fd, backlog))
        goto failed;
    return fd;
failed:;
    int error = errno;
    close(fd);
    return -error;
}

static void read_address(const union address *in, struct sr_udp_address *out) {
    memset(out, 0, sizeof(*out));
    if (in->any.sa_family == AF_INET) {
        out->address[2] = htonl(0xffff);
        memcpy(&out->address[3], &in->v4.sin_addr, 4);
        out->port = ntohs(in->v4.sin_port);
    } else {
        memcpy(out->address, &in->v6.sin6_addr, 16);
        out->port = ntohs(in->v6.sin6_port);
    }
}

int sr_tcp_accept(int listener, struct sr_udp_address *peer) {
    union address address;
    socklen_t length = sizeof(address);
    int fd = accept4(listener, &address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    read_address(&address, peer);
    return fd;
}

// None of these fails on a socket of TCP.
void sr_tcp_prepare(int fd, int is_v4, const struct sr_keep_alive *keep_alive, unsigned int dscp) {
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, keep_alive->idle);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, keep_alive->interval);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, keep_alive->probes);
    // An accepted socket begins with 0, unless net.ipv4.tcp_reflect_tos says otherwise.
    set(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS, (int)(dscp << 2));
}

int sr_tcp_connect(const struct sr_udp_address *to, const struct sr_udp_address *from,
                   const struct sr_keep_alive *keep_alive, unsigned int dscp) {
    union address address;
    struct sr_udp_address source = *from;
    source.port = 0;
    socklen_t length = fill(&address, &source);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    sr_tcp_prepare(fd, is_ipv4(to->address), keep_alive, dscp);
    // The port is chosen with the destination known: all of them serve for each destination.
    set(fd, IPPROTO_IP, SR_IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(fd, &address.any, length))
        goto failed;
    length = fill(&address, to);
    if (connect(fd, &address.any, length) && errno != EINPROGRESS)
        goto failed;
    return fd;
failed:;
    int error = errno;
    close(fd);
    return -error;
}

unsigned int sr_tcp_dscp(int fd, int is_v4) {
    // The kernel keeps no control messages for TCP, but tells its latest value of each that was asked for.
    _Alignas(struct cmsghdr) char control[128];
    socklen_t length = sizeof(control);
    if (getsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_PKTOPTIONS : SR_IPV6_2292PKTOPTIONS,
                   control, &length))
        return 0;
    struct msghdr header = {.msg_control = control, .msg_controllen = length};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        int value = 0;
        memcpy(&value, CMSG_DATA(c), sizeof(value));
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            return ((unsigned int)value & 0xff) >> 2;
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
            return ((unsigned int)value & 0xff) >> 2;
    }
    return 0;
}

int sr_tcp_error(int fd) {
    int error = 0;
    socklen_t length = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) ? errno : error;
}

int sr_tcp_connected(int fd) {
    int error = sr_tcp_error(fd);
    if (error)
        return error;
    union address local, peer;
    socklen_t length = sizeof(local), peer_length = sizeof(peer);
    memset(&local, 0, sizeof(local));
    memset(&peer, 0, sizeof(peer));
    if (getsockname(fd, &local.any, &length) || getpeername(fd, &peer.any, &peer_length))
        return errno;
    // Where nothing listens at a port of this node from which the kernel also takes those of its own
    // connections, one can meet itself (RFC 9293 section 3.5, simultaneous open).
    return memcmp(&local, &peer, sizeof(local)) == 0 ? ECONNREFUSED : 0;
}

void sr_tcp_reset(int fd) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

int sr_tcp_state(int fd, struct sr_tcp_state *state) {
    struct tcp_info info;
    memset(&info, 0, sizeof(info));
    socklen_t length = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length))
        return -errno;
    *state = (struct sr_tcp_state){
        .round_trip_us = info.tcpi_rtt,
        .segments_in = info.tcpi_data_segs_in,
        .segments_out = info.tcpi_data_segs_out,
        .retransmitted = info.tcpi_total_retrans,
        .silent_ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv
                                                                        : info.tcpi_last_data_recv,
    };
    return 0;
}

int sr_pipe_open(struct sr_pipe *pipe, int bytes) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
        return -errno;
    // A user without privileges has a limit for each pipe, and one for all of them together
    // (fs.pipe-max-size, fs.pipe-user-pages-soft).
    while (bytes > 65536 && fcntl(ends[0], F_SETPIPE_SZ, bytes) < 0)
        bytes /= 4;
    *pipe = (struct sr_pipe){.out = ends[0], .in = ends[1]};
    return 0;
}

void sr_pipe_close(const struct sr_pipe *pipe) {
    close(pipe->out);
    close(pipe->in);
}

long sr_splice(int from, int to, unsigned long bytes) {
    ssize_t moved;
    do
        moved = splice(from, NULL, to, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

int sr_tcp_take_urgent(int fd, int pipe) {
    char byte;
    ssize_t taken = recv(fd, &byte, 1, MSG_DONTWAIT);
    if (taken <= 0)
        return taken ? -errno : 0;
    // The pipe is empty, so there is room.
    return write(pipe, &byte, 1) == 1 ? 1 : -EIO;
}

int sr_tcp_finish(int fd) {
    return shutdown(fd, SHUT_WR) ? -errno : 0;
}

int sr_ready_listen(const struct sr_watch *watch, int fd, __u64 context) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = context};
    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int sr_ready_connection(const struct sr_watch *watch, int fd, __u64 context) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
                                .data.u64 = context};
    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void sr_ready_pause(const struct sr_watch *watch, int fd, __u64 context, int is_paused) {
    struct epoll_event event = {.events = is_paused ? 0 : EPOLLIN, .data.u64 = context};
    epoll_ctl(watch->epoll, EPOLL_CTL_MOD, fd, &event);
}

int sr_ready_wait(const struct sr_watch *watch, struct sr_ready *ready, int milliseconds) {
    struct epoll_event events[SR_READY_BATCH - 1];
    int count = epoll_wait(watch->epoll, events, SR_READY_BATCH - 1, milliseconds);
    if (count < 0)
        return -errno;
    int written = 0;
    int woken = 0;
    for (int i = 0; i < count; i++) {
        __u32 happened = events[i].events;
        if (!events[i].data.u64) {
            woken = 1;
            continue;
        }
        ready[written++] = (struct sr_ready){
            .context = events[i].data.u64,
            .flags = (happened & (EPOLLIN | EPOLLRDHUP | EPOLLHUP) ? SR_READY_IN : 0) |
                     (happened & EPOLLOUT ? SR_READY_OUT : 0) | (happened & EPOLLERR ? SR_READY_ERROR : 0) |
                     (happened & EPOLLPRI ? SR_READY_URGENT : 0),
        };
    }
    if (woken) {
        __u64 signals;
        ssize_t taken = read(watch->wake, &signals, sizeof(signals));
        (void)taken;
        ready[written++] = (struct sr_ready){.context = 0};
    }
    return written;
}

unsigned long sr_open_files_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    // Where it fails, the limit in force is the one to go by.
    setrlimit(RLIMIT_NOFILE, &limit);
    return getrlimit(RLIMIT_NOFILE, &limit) ? 1024 : limit.rlim_cur;
}
