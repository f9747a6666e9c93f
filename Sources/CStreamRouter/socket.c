#define _GNU_SOURCE
#include "sr_socket.h"

#include "address.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

// linux/udp.h clashes with netinet/udp.h in some versions; the values are part of the kernel's interface.
enum { SR_UDP_SEGMENT = 103, SR_UDP_GRO = 104 };

int sr_udp_open(const struct sr_udp_address *local, int buffer_bytes, const char **step) {
    int v4 = is_ipv4(local->address);
    union address address;
    socklen_t length = fill(&address, local);
    *step = "socket";
    int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // The FORCE forms need a privilege: without it the system's limit holds.
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes))
        set(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes))
        set(fd, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    // Kernels before 5.0 have no GRO for UDP: then each message is one datagram.
    set(fd, IPPROTO_UDP, SR_UDP_GRO, 1);
    *step = "SO_TIMESTAMPNS";
    if (set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1))
        goto failed;
    *step = "SO_RXQ_OVFL";
    if (set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1))
        goto failed;
    *step = "MTU_DISCOVER";
    if (v4 ? set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
           : set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO))
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
    return fd;
failed:;
    int error = errno;
    close(fd);
    return -error;
}

int sr_udp_set_dscp(int fd, const struct sr_udp_address *local, unsigned int dscp) {
    int v4 = is_ipv4(local->address);
    return set(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, (int)(dscp << 2)) ? -errno : 0;
}

int sr_udp_tell_hop_limit(int fd, const struct sr_udp_address *local) {
    int failed =
        is_ipv4(local->address)
            ? set(fd, IPPROTO_IP, IP_TTL, 255) || set(fd, IPPROTO_IP, IP_RECVTTL, 1)
            : set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255) || set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    return failed ? -errno : 0;
}

int sr_udp_connect(int fd, const struct sr_udp_address *peer) {
    union address address;
    socklen_t length = fill(&address, peer);
    return connect(fd, &address.any, length) ? -errno : 0;
}

int sr_udp_send(int fd, const void *bytes, unsigned int length, const struct sr_udp_address *to) {
    union address address;
    socklen_t address_length = to ? fill(&address, to) : 0;
    ssize_t sent =
        sendto(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL, to ? &address.any : NULL, address_length);
    return sent < 0 ? -errno : 0;
}

int sr_clock_is_synchronised(__u64 *error_ns) {
    struct timex clock = {.modes = 0};
    int state = adjtimex(&clock);
    *error_ns = state < 0 ? 0 : (__u64)clock.maxerror * 1000;
    return state >= 0 && state != TIME_ERROR;
}

int sr_udp_can_segment(int fd) {
    int size = 0;
    socklen_t length = sizeof(size);
    return getsockopt(fd, IPPROTO_UDP, SR_UDP_SEGMENT, &size, &length) == 0;
}

__u32 sr_udp_queue_drops(int fd) {
    __u32 memory[SK_MEMINFO_VARS] = {};
    socklen_t length = sizeof(memory);
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) ? 0 : memory[SK_MEMINFO_DROPS];
}

int sr_udp_wait_writable(int fd, int milliseconds) {
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int ready = poll(&wait, 1, milliseconds);
    // The clock of a worker ticks. Once more is enough: it counts processor time.
    if (ready < 0 && errno == EINTR)
        ready = poll(&wait, 1, milliseconds);
    return ready == 1 && wait.revents & POLLOUT;
}

// Between the rooms of two messages: without it all would begin at the same place of a page, and the first
// lines of 64 packets would compete for the same few cache sets.
enum { ROOM_STRIDE = SR_RECEIVE_BYTES + 192, RECEIVE_CONTROL = 192 };

struct sr_receiver {
    struct mmsghdr messages[SR_RECEIVE_BATCH];
    struct iovec rooms[SR_RECEIVE_BATCH];
    union address sources[SR_RECEIVE_BATCH];
    _Alignas(struct cmsghdr) char control[SR_RECEIVE_BATCH][RECEIVE_CONTROL];
    unsigned char *bytes;
};

struct sr_receiver *sr_receiver_make(void) {
    struct sr_receiver *receiver = calloc(1, sizeof(*receiver));
    if (!receiver)
        return NULL;
    receiver->bytes = malloc((size_t)SR_RECEIVE_BATCH * ROOM_STRIDE);
    if (!receiver->bytes) {
        free(receiver);
        return NULL;
    }
    for (int i = 0; i < SR_RECEIVE_BATCH; i++) {
        receiver->rooms[i] = (struct iovec){.iov_base = receiver->bytes + (size_t)i * ROOM_STRIDE,
                                            .iov_len = SR_RECEIVE_BYTES};
        receiver->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &receiver->sources[i],
            .msg_iov = &receiver->rooms[i],
            .msg_iovlen = 1,
            .msg_control = receiver->control[i],
        };
    }
    return receiver;
}

void sr_receiver_free(struct sr_receiver *receiver) {
    free(receiver->bytes);
    free(receiver);
}

static void read_source(const union address *address, struct sr_received *out) {
    if (address->any.sa_family == AF_INET) {
        out->source[0] = out->source[1] = 0;
        out->source[2] = htonl(0xffff);
        memcpy(&out->source[3], &address->v4.sin_addr, 4);
        out->source_port = address->v4.sin_port;
    } else {
        memcpy(out->source, &address->v6.sin6_addr, 16);
        out->source_port = address->v6.sin6_port;
    }
}

static void read_control(struct msghdr *header, struct sr_received *out) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(c), sizeof(time));
            out->arrival_ns = (__u64)time.tv_sec * 1000000000 + (__u64)time.tv_nsec;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&out->queue_drops, CMSG_DATA(c), sizeof(out->queue_drops));
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == SR_UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
            if (segment > 0 && (__u32)segment < out->length)
                out->segment = (__u32)segment;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            out->dscp = *CMSG_DATA(c) >> 2;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            int class;
            memcpy(&class, CMSG_DATA(c), sizeof(class));
            out->dscp = ((__u32) class & 0xff) >> 2;
        } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
                   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            int limit;
            memcpy(&limit, CMSG_DATA(c), sizeof(limit));
            out->hop_limit = (__u16)(limit & 0xff);
        }
    }
}

int sr_receive(struct sr_receiver *receiver, int fd, struct sr_received *received) {
    for (int i = 0; i < SR_RECEIVE_BATCH; i++) {
        struct msghdr *header = &receiver->messages[i].msg_hdr;
        header->msg_namelen = sizeof(union address);
        header->msg_controllen = RECEIVE_CONTROL;
    }
    int count = recvmmsg(fd, receiver->messages, SR_RECEIVE_BATCH, MSG_DONTWAIT, NULL);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        struct mmsghdr *message = &receiver->messages[i];
        received[i] = (struct sr_received){
            .bytes = receiver->rooms[i].iov_base,
            .length = message->msg_len,
            .segment = message->msg_len,
            .truncated = (message->msg_hdr.msg_flags & MSG_TRUNC) != 0,
        };
        read_source(&receiver->sources[i], &received[i]);
        read_control(&message->msg_hdr, &received[i]);
    }
    return count;
}

enum {
    SEGMENT_SPACE = CMSG_SPACE(sizeof(__u16)),
    DSCP_SPACE = CMSG_SPACE(sizeof(int)),
    SOURCE_SPACE = CMSG_SPACE(sizeof(struct in6_pktinfo)),
};

struct sr_sender {
    struct mmsghdr messages[SR_SEND_BATCH];
    // What belongs to the message stands first, what belongs to the sink behind it.
    _Alignas(struct cmsghdr) char control[SR_SEND_BATCH][SEGMENT_SPACE + DSCP_SPACE + SOURCE_SPACE];
    unsigned char own_control[SR_SEND_BATCH]; // bytes of the former
    unsigned int count;
    union address destination;
};

struct sr_sender *sr_sender_make(void) {
    return calloc(1, sizeof(struct sr_sender));
}

void sr_sender_free(struct sr_sender *sender) {
    free(sender);
}

// Writes a control message. Returns the space that it takes.
static size_t write_control(void *room, int level, int type, const void *data, size_t length) {
    struct cmsghdr *control = room;
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(control), data, length);
    return CMSG_SPACE(length);
}

void sr_sender_load(struct sr_sender *sender, const struct sr_train *trains, unsigned int count, int is_v4,
                    struct iovec *pieces) {
    sender->count = count < SR_SEND_BATCH ? count : SR_SEND_BATCH;
    for (unsigned int i = 0; i < sender->count; i++) {
        struct msghdr *header = &sender->messages[i].msg_hdr;
        header->msg_iov = &pieces[trains[i].first_piece];
        header->msg_iovlen = trains[i].pieces;
        size_t length = 0;
        if (trains[i].segment > 0) {
            __u16 size = (__u16)trains[i].segment;
            length += write_control(sender->control[i], IPPROTO_UDP, SR_UDP_SEGMENT, &size, sizeof(size));
        }
        if (trains[i].dscp > 0) {
            int class = (int)(trains[i].dscp << 2);
            length += write_control(sender->control[i] + length, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                                    is_v4 ? IP_TOS : IPV6_TCLASS, &class, sizeof(class));
        }
        sender->own_control[i] = (unsigned char)length;
    }
}

static size_t write_source(void *room, const struct sr_udp_address *source) {
    if (is_ipv4(source->address)) {
        struct in_pktinfo info = {};
        memcpy(&info.ipi_spec_dst, &source->address[3], 4);
        return write_control(room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
    struct in6_pktinfo info = {};
    memcpy(&info.ipi6_addr, source->address, 16);
    return write_control(room, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

void sr_sender_address(struct sr_sender *sender, const struct sr_udp_address *destination,
                       const struct sr_udp_address *source) {
    socklen_t length = fill(&sender->destination, destination);
    for (unsigned int i = 0; i < sender->count; i++) {
        struct msghdr *header = &sender->messages[i].msg_hdr;
        size_t own = sender->own_control[i];
        header->msg_name = &sender->destination;
        header->msg_namelen = length;
        header->msg_controllen = own + (source ? write_source(sender->control[i] + own, source) : 0);
        header->msg_control = header->msg_controllen ? sender->control[i] : NULL;
    }
}

int sr_send(struct sr_sender *sender, int fd, unsigned int first, unsigned int count) {
    int sent = sendmmsg(fd, sender->messages + first, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

int sr_watch_open(struct sr_watch *watch) {
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (watch->epoll < 0)
        return -errno;
    watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = watch->wake < 0 ? -errno : sr_watch_add(watch, watch->wake, NULL);
    if (result < 0) {
        if (watch->wake >= 0)
            close(watch->wake);
        close(watch->epoll);
    }
    return result;
}

void sr_watch_close(struct sr_watch *watch) {
    close(watch->wake);
    close(watch->epoll);
}

int sr_watch_add(const struct sr_watch *watch, int fd, void *context) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = context};
    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void sr_watch_remove(const struct sr_watch *watch, int fd) {
    epoll_ctl(watch->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void sr_watch_wake(const struct sr_watch *watch) {
    __u64 one = 1;
    // Fails only where the counter is full, and then the thread is awake anyway.
    ssize_t written = write(watch->wake, &one, sizeof(one));
    (void)written;
}

int sr_watch_wait(const struct sr_watch *watch, void **contexts, int capacity) {
    struct epoll_event events[64];
    int count = epoll_wait(watch->epoll, events, capacity < 64 ? capacity : 64, -1);
    if (count < 0)
        return -errno;
    int written = 0;
    int woken = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            contexts[written++] = events[i].data.ptr;
        else
            woken = 1;
    }
    if (woken) {
        __u64 signals;
        ssize_t taken = read(watch->wake, &signals, sizeof(signals));
        (void)taken;
        contexts[written++] = NULL;
    }
    return written;
}

int sr_thread_begin(const char *name, int cpu) {
    pthread_setname_np(pthread_self(), name);
    if (cpu < 0)
        return 0;
    cpu_set_t processors;
    CPU_ZERO(&processors);
    if (cpu >= CPU_SETSIZE)
        return -EINVAL;
    CPU_SET(cpu, &processors);
    return sched_setaffinity(0, sizeof(processors), &processors) ? -errno : 0;
}

void sr_thread_timer_slack(unsigned long nanoseconds) {
    prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}
