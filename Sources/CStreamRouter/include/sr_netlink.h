// The two route netlink requests that the node needs, and nothing else of rtnetlink.
// A shim because the NLMSG and RTA macros do not reach Swift.
#ifndef SR_NETLINK_H
#define SR_NETLINK_H

#include <linux/types.h>

struct sr_route {
    int interface;    // index of the device that the kernel would send through (lo for local addresses)
    int is_local;     // the destination is an address of this machine
    __u32 gateway[4]; // network order, IPv4-mapped; all zero: the destination is on the link
};

// What the kernel's FIB says about `destination` (network order, IPv4-mapped). 0, or a negative errno.
int sr_route_get(const __u32 destination[4], struct sr_route *route);

// Asks the kernel to resolve the link-layer address of `address` on `interface` and, where the kernel can
// (5.16), to keep it resolved as long as the entry stands. 0, or a negative errno.
int sr_neighbour_keep(const __u32 address[4], int interface);

#endif
