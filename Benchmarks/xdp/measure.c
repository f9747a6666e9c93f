// measure OBJECT tc|xdp SOURCE RELAY SINK SECONDS RATE...
//
// Attaches the programs in the namespaces that run.sh made, offers datagrams at each rate (a second) in
// trains of UDP_SEGMENT, and prints what was offered and what arrived of it a second.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 200, TRAIN = 60 };

struct next_hop {
    uint8_t destination[6], source[6];
    uint32_t source_address, destination_address, device;
};

static void enter(const char *name) {
    char path[128];
    snprintf(path, sizeof(path), "/run/netns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET))
        error(1, errno, "namespace %s", name);
    close(fd);
}

static void hardware_address(const char *device, uint8_t *bytes) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(fd, SIOCGIFHWADDR, &request))
        error(1, errno, "address of %s", device);
    close(fd);
    memcpy(bytes, request.ifr_hwaddr.sa_data, 6);
}

static void attach(struct bpf_object *object, const char *program, const char *device, int is_xdp) {
    struct bpf_program *found = bpf_object__find_program_by_name(object, program);
    int index = (int)if_nametoindex(device);
    if (is_xdp) {
        if (bpf_xdp_attach(index, bpf_program__fd(found), XDP_FLAGS_DRV_MODE, NULL))
            error(1, errno, "XDP on %s", device);
        return;
    }
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(found), .handle = 1, .priority = 1);
    bpf_tc_hook_create(&hook);
    if (bpf_tc_attach(&hook, &options))
        error(1, errno, "TC on %s", device);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t arrived(int counts) {
    uint32_t zero = 0;
    uint64_t count = 0;
    bpf_map_lookup_elem(counts, &zero, &count);
    return count;
}

int main(int count, char **words) {
    if (count < 8)
        error(2, 0, "OBJECT tc|xdp SOURCE RELAY SINK SECONDS RATE...");
    int is_xdp = strcmp(words[2], "xdp") == 0;
    struct bpf_object *object = bpf_object__open_file(words[1], NULL);
    if (!object || bpf_object__load(object))
        error(1, errno, "loading %s", words[1]);
    struct next_hop hop = {.source_address = inet_addr("10.77.2.1"),
                           .destination_address = inet_addr("10.77.2.2")};
    enter(words[5]);
    hardware_address("from-relay", hop.destination);
    attach(object, is_xdp ? "end_xdp" : "end_tc", "from-relay", is_xdp);
    enter(words[4]);
    hardware_address("out", hop.source);
    hop.device = if_nametoindex("out");
    uint32_t zero = 0;
    bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "hop"), &zero, &hop, 0);
    bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "devices"), &zero, &hop.device, 0);
    attach(object, is_xdp ? "forward_xdp" : "forward_tc", "in", is_xdp);
    enter(words[3]);
    int counts = bpf_object__find_map_fd_by_name(object, ".bss");

    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5004)};
    to.sin_addr.s_addr = inet_addr("10.77.1.1");
    int segment = PAYLOAD;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
        setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)))
        error(1, errno, "socket");
    static char train[PAYLOAD * TRAIN];
    // After the devices' own carriers and threads.
    usleep(600000);
    double seconds = atof(words[6]);
    for (int place = 7; place < count; place++) {
        double rate = atof(words[place]);
        double begin = now(), end = begin + 0.1 + seconds;
        uint64_t sent = 0, sent_before = 0, before = 0;
        double from = 0;
        for (double time = begin; time < end; time = now()) {
            if (!from && time >= begin + 0.1) {
                from = time;
                sent_before = sent;
                before = arrived(counts);
            }
            if ((double)sent < (time - begin) * rate && send(fd, train, sizeof(train), 0) > 0)
                sent += TRAIN;
        }
        uint64_t after = arrived(counts);
        double whole = now() - from;
        printf("%.0f %.0f\n", (double)(sent - sent_before) / whole, (double)(after - before) / whole);
        usleep(100000);
    }
    bpf_object__close(object);
}
