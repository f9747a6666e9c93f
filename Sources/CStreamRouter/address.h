// Socket addresses from and to the form in which Swift has them. Private to this target.
#ifndef SR_ADDRESS_H
#define SR_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sr_socket.h"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static inline int is_ipv4(const __u32 address[4]) {
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

static inline socklen_t fill(union address *out, const struct sr_udp_address *in) {
    memset(out, 0, sizeof(*out));
    if (is_ipv4(in->address)) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(in->port);
        memcpy(&out->v4.sin_addr, &in->address[3], 4);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(in->port);
    memcpy(&out->v6.sin6_addr, in->address, 16);
    return sizeof(out->v6);
}

static inline int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value));
}

#endif
