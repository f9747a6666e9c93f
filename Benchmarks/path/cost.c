// What the relay path costs a packet in BPF_PROG_TEST_RUN, for any build of bpf/relay.bpf.c: two relays send
// a packet to each other, as `streamrouter bench --only cost` does it. run.sh compiles it and tells the
// options.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "streamrouter_abi.h"

// Below the TTL of 255, of which each repetition takes one off.
enum { REPETITIONS = 200, PAYLOAD = 200, PORT = 1024, VERDICT_REDIRECT = 7 };

static const char *network =
    "ip link set lo up && ip link add name va type veth peer name vb && ip addr add 10.77.0.1/16 dev va && "
    "ip -6 addr add fd00::1/64 dev va nodad && ip link set va up && ip link set vb up && "
    "for n in 2 3 4; do ip neigh add 10.77.0.$n lladdr 02:00:00:00:00:0$n dev va && "
    "ip neigh add fd00::$n lladdr 02:00:00:00:00:0$n dev va || exit 1; done; "
    "echo 1 >/proc/sys/net/ipv4/conf/lo/forwarding && echo 1 >/proc/sys/net/ipv6/conf/lo/forwarding";

static int fail(const char *what) {
    perror(what);
    exit(1);
}

static __u64 clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    return (*(const __u32 *)a > *(const __u32 *)b) - (*(const __u32 *)a < *(const __u32 *)b);
}

static void address(__u32 words[4], int v6, int host) {
    char text[64];
    snprintf(text, sizeof(text), v6 ? "fd00::%d" : "::ffff:10.77.0.%d", host);
    inet_pton(AF_INET6, text, words);
}

static void relay(int table, int index, int v6, int rtp, int sinks) {
    struct sr_relay_key key = {.port = htons(PORT + (index & ~1)), .protocol = IPPROTO_UDP};
    struct sr_relay value = {.index = index,
                             .protocol = rtp ? SR_PROTOCOL_RTP : SR_PROTOCOL_UDP,
                             .source_count = 1,
                             .sink_count = sinks,
                             .dscp = SR_DSCP_KEEP,
                             .generation = index + 1};
    int own = index & 1 ? 3 : 2, other = index & 1 ? 2 : 3;
    address(key.address, v6, own);
    address(value.sources[0].address, v6, other);
    memset(value.sources[0].mask, 0xff, 16);
    for (int i = 0; i < sinks; i++) {
        struct sr_sink *sink = &value.sinks[i];
        address(sink->source, v6, own);
        address(sink->destination, v6, i == sinks - 1 ? other : 4);
        sink->source_port = sink->destination_port = key.port;
    }
    if (bpf_map_update_elem(table, &key, &value, BPF_ANY))
        fail("relays");
}

static __u16 header_sum(const __u8 *header) {
    __u32 sum = 0;
    for (int i = 0; i < 20; i += 2)
        sum += header[i] << 8 | header[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return htons(~((sum & 0xffff) + (sum >> 16)));
}

// From host 3 to host 2. Returns its length.
static int packet(__u8 *frame, int v6, int rtp) {
    __u8 *ip = frame + 14, *udp = ip + (v6 ? 40 : 20);
    __u32 words[4];
    memcpy(frame + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
    memcpy(ip, v6 ? "\x60\0\0\0\0\xd0\x11\xff" : "\x45\0\0\xe4\0\0\0\0\xff\x11", v6 ? 8 : 10);
    for (int side = 0; side < 2; side++) {
        address(words, v6, side ? 2 : 3);
        memcpy(ip + (v6 ? 8 + 16 * side : 12 + 4 * side), v6 ? words : words + 3, v6 ? 16 : 4);
    }
    if (!v6)
        *(__u16 *)(ip + 10) = header_sum(ip);
    // Ports 1024, length, and a checksum that is not 0.
    memcpy(udp, "\x04\0\x04\0\0\xd0\x12\x34", 8);
    memset(udp + 8, 0x5a, PAYLOAD);
    if (rtp)
        memcpy(udp + 8, "\x80\x60\0\1\0\0\0\1SR\0\1", 12);
    return udp + 8 + PAYLOAD - frame;
}

int main(int argc, char **argv) {
    int option, v6 = 0, rtp = 0, relays = 2, sinks = 1, runs = 300;
    __u32 accounting = 1;
    while ((option = getopt(argc, argv, "6pr:s:n:a")) != -1) {
        switch (option) {
        case '6':
            v6 = 1;
            break;
        case 'p':
            rtp = 1;
            break;
        case 'r':
            relays = atoi(optarg);
            break;
        case 's':
            sinks = atoi(optarg);
            break;
        case 'n':
            runs = atoi(optarg);
            break;
        case 'a':
            accounting = 0;
            break;
        default:
            return 2;
        }
    }
    if (unshare(CLONE_NEWNET) || system(network))
        fail("network namespace");
    struct bpf_object *object = bpf_object__open_file(argv[optind], NULL);
    if (!object)
        fail("open");
    struct bpf_map *map;
    bpf_object__for_each_map(map, object) {
        const char *name = bpf_map__name(map);
        if (!strcmp(name, "relays"))
            bpf_map__set_max_entries(map, 2 * relays);
        else if (!strcmp(name, "counters") || !strcmp(name, "flows") || !strcmp(name, "routes"))
            bpf_map__set_max_entries(map, relays);
        else if (!strcmp(name, ".rodata.accounting") && !accounting)
            bpf_map__set_initial_value(map, &accounting, sizeof(accounting));
    }
    if (bpf_object__load(object))
        fail("load");
    struct sr_settings settings = {.abi_version = SR_ABI_VERSION};
    // Whole seconds by definition.
    settings.tai_minus_realtime_ns =
        (__s64)(clock_ns(CLOCK_TAI) - clock_ns(CLOCK_REALTIME) + 500000000) / 1000000000 * 1000000000;
    __u32 zero = 0;
    if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "settings"), &zero, &settings, BPF_ANY))
        fail("settings");
    for (int index = 0; index < relays; index++)
        relay(bpf_object__find_map_fd_by_name(object, "relays"), index, v6, rtp, sinks);

    __u8 frame[14 + 40 + 8 + PAYLOAD] = {0}, out[1024];
    int length = packet(frame, v6, rtp);
    int program = bpf_program__fd(bpf_object__find_program_by_name(object, "sr_relay_ingress"));
    __u32 *durations = calloc(runs, sizeof(*durations));
    for (int run = 0; run < runs; run++) {
        // As the kernel stamps packets while a node runs.
        struct __sk_buff context = {.tstamp = clock_ns(CLOCK_REALTIME)};
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = length, .data_out = out,
                    .data_size_out = sizeof(out), .ctx_in = &context, .ctx_size_in = sizeof(context),
                    .repeat = REPETITIONS);
        if (bpf_prog_test_run_opts(program, &options) || options.retval != VERDICT_REDIRECT)
            fail("test run: packet not sent");
        durations[run] = options.duration;
    }
    qsort(durations, runs, sizeof(*durations), ascending);
    printf("%u ns (10 %% below %u, 90 %% below %u)\n", durations[runs / 2], durations[runs / 10],
           durations[runs * 9 / 10]);
    return 0;
}
