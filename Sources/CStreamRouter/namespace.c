#define _GNU_SOURCE
#include "sr_namespace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

int sr_namespace_leave(void) {
    return unshare(CLONE_NEWNET) ? -errno : 0;
}

int sr_namespace_enter(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = setns(fd, CLONE_NEWNET) ? -errno : 0;
    close(fd);
    return result;
}

int sr_packet_socket(const char *device) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    if (fd < 0)
        return -errno;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(device),
    };
    if (!address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        int result = -errno;
        close(fd);
        return result;
    }
    return fd;
}
