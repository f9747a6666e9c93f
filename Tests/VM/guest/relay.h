// What the tests of engine upcall's relays and images share: extensions, relays, and a network of three
// namespaces:
//
//   source 10.1.0.2, .3 --veth-- 10.1.0.1 [relay] 10.2.0.1 --veth-- 10.2.0.2 sink     and fd01::, fd02::
//   alike
#pragma once

#include "upcall.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "sr_extension_upcall.h"

static int device = -1;

// By dash, since busybox's shell prefers its own ip to the real one.
static inline void run(const char *command) {
    int status;
    pid_t child = fork();
    if (!child) {
        execlp("dash", "dash", "-c", command, NULL);
        _exit(127);
    }
    need(waitpid(child, &status, 0) == child && !status, "%s", command);
}

// --- Extensions ---

static inline size_t file_read(const char *path, void *bytes, size_t capacity) {
    FILE *file = fopen(path, "r");
    need(file, "opening %s", path);
    size_t count = fread(bytes, 1, capacity, file);
    fclose(file);
    return count;
}

// 0 and the number, or an errno; `flaw` may be NULL.
static inline int extension_load_bytes(const void *image, size_t bytes, const char *name,
                                       const void *parameters, size_t parameter_bytes, size_t state_bytes,
                                       uint32_t *number, uint32_t *flaw) {
    struct sr_extension_load load = {
        .image = (uintptr_t)image,
        .image_bytes = bytes,
        .parameters = (uintptr_t)parameters,
        .parameter_bytes = parameter_bytes,
        .state_bytes = state_bytes,
    };
    snprintf(load.name, sizeof(load.name), "%s", name);
    int error = ioctl(device, SR_MODULE_EXTENSION_LOAD, &load) ? errno : 0;
    *number = load.number;
    if (flaw)
        *flaw = load.flaw;
    return error;
}

static inline uint32_t extension_load(const char *name, const void *parameters, size_t parameter_bytes,
                                      size_t state_bytes) {
    static char image[SR_IMAGE_BYTES];
    char path[128];
    uint32_t number, flaw;
    snprintf(path, sizeof(path), "/tests/%s.image", name);
    size_t bytes = file_read(path, image, sizeof(image));
    int error =
        extension_load_bytes(image, bytes, name, parameters, parameter_bytes, state_bytes, &number, &flaw);
    errno = error;
    need(!error, "loading %s, flaw %u", name, flaw);
    return number;
}

static inline int extension_unload(uint32_t number) {
    struct sr_extension_number which = {.number = number};
    return ioctl(device, SR_MODULE_EXTENSION_UNLOAD, &which) ? errno : 0;
}

static inline struct sr_extension_entry extension_entry(uint32_t number) {
    struct sr_extension_entry entries[SR_MODULE_EXTENSIONS];
    struct sr_module_list list = {.entries = (uintptr_t)entries, .capacity = SR_MODULE_EXTENSIONS};
    need(ioctl(device, SR_MODULE_EXTENSION_LIST, &list) == 0, "listing extensions");
    for (uint32_t place = 0; place < list.count; place++)
        if (entries[place].number == number)
            return entries[place];
    return (struct sr_extension_entry){};
}

static inline struct sr_extension_account extension_account(uint32_t number, void *state,
                                                            size_t state_bytes) {
    struct sr_extension_account account = {};
    struct sr_extension_query query = {
        .number = number, .bytes = (uintptr_t)state, .length = state_bytes, .account = (uintptr_t)&account};
    need(ioctl(device, SR_MODULE_EXTENSION_READ, &query) == 0, "reading extension %u", number);
    return account;
}

// --- Relays ---

static inline void address_put(__u32 words[4], const char *text) {
    struct in6_addr address;
    char mapped[64];
    snprintf(mapped, sizeof(mapped), strchr(text, ':') ? "%s" : "::ffff:%s", text);
    need(inet_pton(AF_INET6, mapped, &address) == 1, "address %s", text);
    memcpy(words, &address, 16);
}

// A relay with one sink and one allowed source.
static inline struct sr_relay_entry relay_make(uint32_t index, uint8_t protocol, const char *ingress,
                                               uint16_t port, const char *source, const char *from,
                                               const char *to, uint16_t to_port) {
    struct sr_relay_entry entry = {.key = {.port = htons(port), .protocol = IPPROTO_UDP}};
    struct sr_relay *relay = &entry.relay;
    address_put(entry.key.address, ingress);
    relay->index = index;
    relay->protocol = protocol;
    relay->source_count = relay->sink_count = 1;
    relay->dscp = SR_DSCP_KEEP;
    address_put(relay->sources[0].address, source);
    memset(relay->sources[0].mask, 0xff, 16);
    address_put(relay->sinks[0].source, from);
    address_put(relay->sinks[0].destination, to);
    relay->sinks[0].source_port = htons(port);
    relay->sinks[0].destination_port = htons(to_port);
    snprintf(relay->stream, sizeof(relay->stream), "stream-%u", index);
    return entry;
}

static inline void relay_use(struct sr_relay_entry *entry, uint32_t number) {
    entry->relay.extensions[entry->relay.extension_count++].slot = number;
}

static inline int relay_set(struct sr_relay_entry *entry) {
    return ioctl(device, SR_MODULE_RELAY_SET, entry) ? errno : 0;
}

static inline int relay_remove(struct sr_relay_entry *entry) {
    return ioctl(device, SR_MODULE_RELAY_REMOVE, entry) ? errno : 0;
}

static inline struct sr_counters relay_counters(uint32_t index) {
    struct sr_counters counters = {};
    struct sr_relay_query query = {.index = index, .counters = (uintptr_t)&counters};
    need(ioctl(device, SR_MODULE_RELAY_READ, &query) == 0, "reading relay %u", index);
    return counters;
}

// Places of packets that are taken now.
static inline uint32_t packets_taken(void) {
    struct sr_datapath_query query = {};
    need(ioctl(device, SR_MODULE_DATAPATH_READ, &query) == 0, "reading the datapath");
    return query.taken;
}

// --- The network ---

static inline void network_make(void) {
    static const char *const ends[2][2] = {{"source", "1"}, {"sink", "2"}};
    // Other tests of the same boot turn it off.
    run("f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 0 >$f");
    for (int end = 0; end < 2; end++) {
        char command[1024];
        const char *name = ends[end][0], *net = ends[end][1];
        snprintf(command, sizeof(command),
                 "ip netns add %s && ip link add to-%s type veth peer name eth0 netns %s && "
                 "ip addr add 10.%s.0.1/24 dev to-%s && ip addr add fd0%s::1/64 dev to-%s nodad && "
                 "ip link set to-%s up && ip -n %s addr add 10.%s.0.2/24 dev eth0 && "
                 "ip -n %s addr add 10.%s.0.3/24 dev eth0 && ip -n %s addr add fd0%s::2/64 dev eth0 nodad && "
                 "ip -n %s link set lo up && ip -n %s link set eth0 up",
                 name, name, name, net, name, net, name, name, name, net, name, net, name, net, name, name);
        run(command);
    }
}

static inline void network_end(void) {
    run("ip netns del source; ip netns del sink; true");
}

// A socket in a namespace, from a thread of its own, since threads stay where they went.
struct socket_wish {
    const char *space;
    int family, type, protocol, result;
};

static inline void *socket_there(void *argument) {
    struct socket_wish *wish = argument;
    char path[64];
    snprintf(path, sizeof(path), "/run/netns/%s", wish->space);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    wish->result = -1;
    if (space >= 0 && setns(space, CLONE_NEWNET) == 0)
        wish->result = socket(wish->family, wish->type | SOCK_CLOEXEC, wish->protocol);
    close(space);
    return NULL;
}

static inline int socket_in(const char *space, int family, int type, int protocol) {
    struct socket_wish wish = {space, family, type, protocol, -1};
    pthread_t thread;
    need(pthread_create(&thread, NULL, socket_there, &wish) == 0, "a thread");
    pthread_join(thread, NULL);
    need(wish.result >= 0, "a socket in %s", space);
    return wish.result;
}

static inline struct sockaddr_in6 socket_address(const char *text, uint16_t port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    address_put((__u32 *)&address.sin6_addr, text);
    return address;
}

// A UDP socket, for either family, bound.
static inline int udp_in(const char *space, const char *address, uint16_t port) {
    int result = socket_in(space, AF_INET6, SOCK_DGRAM, 0), off = 0, bytes = 8 << 20;
    struct sockaddr_in6 own = socket_address(address, port);
    setsockopt(result, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    setsockopt(result, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    need(bind(result, (struct sockaddr *)&own, sizeof(own)) == 0, "binding to %s", address);
    return result;
}
