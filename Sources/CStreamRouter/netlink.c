#include "sr_netlink.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// One request and room for its answer.
struct exchange {
    struct nlmsghdr header;
    char body[1024];
};

static void add_attribute(struct exchange *exchange, unsigned short type, const void *data, size_t length) {
    struct rtattr *attribute =
        (struct rtattr *)((char *)&exchange->header + NLMSG_ALIGN(exchange->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(length);
    memcpy(RTA_DATA(attribute), data, length);
    exchange->header.nlmsg_len = NLMSG_ALIGN(exchange->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

// Sends the request and reads the answer into the same memory. 0, or a negative errno.
static int talk(struct exchange *exchange) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    int result = 0;
    if (send(fd, exchange, exchange->header.nlmsg_len, 0) < 0) {
        result = -errno;
    } else {
        ssize_t length = recv(fd, exchange, sizeof(*exchange), 0);
        if (length < 0)
            result = -errno;
        else if (!NLMSG_OK(&exchange->header, (unsigned int)length))
            result = -EBADMSG;
        else if (exchange->header.nlmsg_type == NLMSG_ERROR)
            result = ((struct nlmsgerr *)NLMSG_DATA(&exchange->header))->error;
    }
    close(fd);
    return result;
}

static int is_ipv4(const __u32 address[4]) {
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

int sr_route_get(const __u32 destination[4], struct sr_route *route) {
    int v4 = is_ipv4(destination);
    struct exchange exchange = {
        .header =
            {
                .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                .nlmsg_type = RTM_GETROUTE,
                .nlmsg_flags = NLM_F_REQUEST,
            },
    };
    struct rtmsg *message = NLMSG_DATA(&exchange.header);
    message->rtm_family = v4 ? AF_INET : AF_INET6;
    message->rtm_dst_len = v4 ? 32 : 128;
    add_attribute(&exchange, RTA_DST, v4 ? &destination[3] : &destination[0], v4 ? 4 : 16);
    int result = talk(&exchange);
    if (result < 0)
        return result;

    memset(route, 0, sizeof(*route));
    route->is_local = message->rtm_type == RTN_LOCAL;
    if (message->rtm_type != RTN_LOCAL && message->rtm_type != RTN_UNICAST &&
        message->rtm_type != RTN_MULTICAST)
        return -ENETUNREACH;
    int left = (int)RTM_PAYLOAD(&exchange.header);
    for (struct rtattr *a = RTM_RTA(message); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        size_t length = RTA_PAYLOAD(a);
        if (a->rta_type == RTA_OIF && length == 4) {
            memcpy(&route->interface, RTA_DATA(a), 4);
        } else if (a->rta_type == RTA_GATEWAY && length == 4) {
            unsigned char mapped[16] = {[10] = 0xff, [11] = 0xff};
            memcpy(mapped + 12, RTA_DATA(a), 4);
            memcpy(route->gateway, mapped, 16);
        } else if (a->rta_type == RTA_GATEWAY && length == 16) {
            memcpy(route->gateway, RTA_DATA(a), 16);
        } else if (a->rta_type == RTA_VIA && length == 18) {
            // An IPv6 next hop of an IPv4 route (RFC 5549): the family stands before the address.
            memcpy(route->gateway, (char *)RTA_DATA(a) + 2, 16);
        }
    }
    return route->interface ? 0 : -ENETUNREACH;
}

int sr_neighbour_keep(const __u32 address[4], int interface) {
    int v4 = is_ipv4(address);
    // Kernels before 5.16 do not know NDA_FLAGS_EXT and refuse it: then NTF_USE alone resolves once.
    for (int managed = 1; managed >= 0; managed--) {
        struct exchange exchange = {
            .header =
                {
                    .nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)),
                    .nlmsg_type = RTM_NEWNEIGH,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE,
                },
        };
        struct ndmsg *message = NLMSG_DATA(&exchange.header);
        message->ndm_family = v4 ? AF_INET : AF_INET6;
        message->ndm_ifindex = interface;
        message->ndm_state = NUD_NONE;
        message->ndm_flags = managed ? 0 : NTF_USE;
        add_attribute(&exchange, NDA_DST, v4 ? &address[3] : &address[0], v4 ? 4 : 16);
        if (managed) {
            __u32 flags = NTF_EXT_MANAGED;
            add_attribute(&exchange, NDA_FLAGS_EXT, &flags, sizeof(flags));
        }
        int result = talk(&exchange);
        if (result == 0 || !managed)
            return result;
    }
    return 0;
}
