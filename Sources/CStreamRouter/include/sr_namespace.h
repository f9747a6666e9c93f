// Network namespaces and packet sockets, for benchmarks and tests that build their own network.
// A shim because Swift imports neither unshare and setns (GNU declarations) nor sockaddr_ll.
#ifndef SR_NAMESPACE_H
#define SR_NAMESPACE_H

// Moves the calling thread to a new network namespace. 0, or a negative errno.
int sr_namespace_leave(void);

// Moves the calling thread to the network namespace that `path` names (/run/netns/NAME). 0, or a negative
// errno.
int sr_namespace_enter(const char *path);

// A raw packet socket for all protocols on a device. A descriptor, or a negative errno.
int sr_packet_socket(const char *device);

#endif
