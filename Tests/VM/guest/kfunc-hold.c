// Packets that are held: the limits; devices, namespaces and a module that go away meanwhile; where packets
// go.
//
// vm: seconds=120
#include "kfunc-holder.h"

#include <bpf/libbpf.h>
#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

enum { AT_ONCE = 5000 };

static void check_limits(const struct holder *holder, int dummy) {
    long before = packets_in_kernel();
    struct hold_settings set = {.ifindex = dummy, .queue = 20, .delay_ns = 8000000000ull};
    struct hold_tally tally = hold(holder, set, SR_HOLD_QUEUE_PACKETS + 100);
    check(tally.held == SR_HOLD_QUEUE_PACKETS && tally.refused == 100 && tally.last_error == -ENOBUFS,
          "limit-queue", "%llu held, %llu refused", (unsigned long long)tally.held,
          (unsigned long long)tally.refused);
    // That a packet which is held is seen as one in the kernel: else the checks of leaks would hold of
    // anything.
    long meanwhile = packets_in_kernel();
    check(meanwhile >= before + SR_HOLD_QUEUE_PACKETS - KFENCE_OBJECTS, "leak-would-be-seen",
          "%ld packets in the kernel, %ld before", meanwhile, before);
    set.queue = 21, set.queues = 8;
    tally = hold(holder, set, SR_HOLD_PACKETS);
    struct sr_hold_counts counts = all();
    check(counts.in_queue == SR_HOLD_PACKETS || counts.bytes_in_queue + 4096 > SR_HOLD_BYTES, "limit-all",
          "%llu packets, %llu bytes held, %llu refused", (unsigned long long)counts.in_queue,
          (unsigned long long)counts.bytes_in_queue, (unsigned long long)tally.refused);
    check(tally.refused && tally.last_error == -ENOBUFS && counts.refused_full >= tally.refused,
          "limit-all-counted", "%llu", (unsigned long long)counts.refused_full);

    struct sr_hold_query query = {.queue = 20};
    int device = module_open();
    need(!ioctl(device, SR_MODULE_HOLD_FLUSH, &query), "flush queue 20");
    check(!query.counts.in_queue && query.counts.dropped_flush == SR_HOLD_QUEUE_PACKETS &&
              adds_up(&query.counts),
          "flush-one", "%llu", (unsigned long long)query.counts.dropped_flush);
    query.queue = SR_HOLD_QUEUES;
    need(!ioctl(device, SR_MODULE_HOLD_FLUSH, &query), "flush all");
    check(!query.counts.in_queue && !query.counts.bytes_in_queue && adds_up(&query.counts), "flush-all",
          "%llu", (unsigned long long)query.counts.dropped_flush);
    close(device);

    // And the program itself, some at a time.
    set = (struct hold_settings){.ifindex = dummy, .queue = 22, .delay_ns = 8000000000ull};
    hold(holder, set, 1000);
    int drop_held = program_of(holder->object, "drop_held"), calls = 0;
    do
        program_run(drop_held, packet, sizeof packet, 1);
    while ((tally = tally_of(holder)).last_error > 0 && ++calls < 100);
    check(calls == 3 && !tally.held && !hold_counts(22).in_queue, "drop-by-program", "1000 in %d calls",
          calls + 1);

    static const struct {
        struct hold_settings set;
        int error;
        const char *name;
    } wrong[] = {
        {{.queue = SR_HOLD_QUEUES}, -EINVAL, "wrong-queue"},
        {{.flags = 8}, -EINVAL, "wrong-flag"},
        {{.delay_ns = (SR_HOLD_LONGEST_S + 1) * 1000000000ull}, -ERANGE, "wrong-time"},
        {{.ifindex = 9999}, -ENODEV, "wrong-device"},
    };
    for (int index = 0; index < 4; index++) {
        set = wrong[index].set;
        set.ifindex = set.ifindex ? set.ifindex : (uint32_t)dummy;
        tally = hold(holder, set, 3);
        check(tally.refused == 3 && tally.last_error == wrong[index].error, wrong[index].name, "%lld",
              (long long)tally.last_error);
    }
    long after = packets_back_to(before);
    check(same_packets(before, after), "limits-none-leaked", "%ld before, %ld after", before, after);
}

static void check_device_gone(const struct holder *holder) {
    long before = packets_in_kernel();
    shell("ip link add dummy1 type dummy && ip link set dummy1 up");
    int device = if_nametoindex("dummy1"), other = if_nametoindex("dummy0");
    hold(holder, (struct hold_settings){.ifindex = other, .queue = 30, .delay_ns = 8000000000ull}, 10);
    struct hold_tally tally = hold(
        holder, (struct hold_settings){.ifindex = device, .queue = 30, .delay_ns = 8000000000ull}, AT_ONCE);
    uint64_t held = hold_counts(30).in_queue, began = now_ns();
    shell("ip link del dummy1");
    struct sr_hold_counts counts = hold_counts(30);
    check(tally.held == AT_ONCE && held == AT_ONCE + 10 && counts.dropped_device == AT_ONCE &&
              counts.in_queue == 10,
          "device-gone", "%llu freed within %.1f s, %llu for another device stay",
          (unsigned long long)counts.dropped_device, (now_ns() - began) / 1e9,
          (unsigned long long)counts.in_queue);
    int ioctls = module_open();
    struct sr_hold_query query = {.queue = 30};
    need(!ioctl(ioctls, SR_MODULE_HOLD_FLUSH, &query), "flush");
    close(ioctls);
    long after = packets_back_to(before);
    check(same_packets(before, after), "device-gone-none-leaked", "%ld before, %ld after", before, after);
}

static void check_namespace_gone(void) {
    long before = packets_in_kernel();
    int ready[2];
    char held = 0;
    need(!pipe(ready), "pipe");
    pid_t child = fork();
    if (!child) {
        need(!unshare(CLONE_NEWNET), "a network namespace");
        shell("ip link add dummy2 type dummy && ip link set dummy2 up");
        struct holder holder = holder_load();
        struct hold_settings set = {.ifindex = if_nametoindex("dummy2"), .delay_ns = 9000000000ull};
        struct hold_tally tally = hold(&holder, set, AT_ONCE);
        held = tally.held == AT_ONCE && all().in_queue == AT_ONCE &&
               packets_in_kernel() >= before + AT_ONCE - KFENCE_OBJECTS;
        need(write(ready[1], &held, 1) == 1, "write");
        _exit(0);
    }
    need(read(ready[0], &held, 1) == 1 && waitpid(child, NULL, 0) == child, "the child");
    uint64_t began = now_ns();
    long after = packets_back_to(before);
    check(held && same_packets(before, after), "namespace-gone",
          "%ld packets in the kernel before, %ld when it was gone for %.1f s, though held for 9 s", before,
          after, (now_ns() - began) / 1e9);
}

// Straight away to where `hold_until` is told.
static void attach_hold_until(const struct holder *holder, struct hold_settings set, const char *device) {
    struct hold_tally zero = {0};
    map_write(holder->settings, &set);
    map_write(holder->tally, &zero);
    attach_ingress(if_nametoindex(device), program_of(holder->object, "hold_until"));
}

enum { STREAM = 100, LATER_NS = 30000000 };

// Sends test packets from another namespace, in pairs that leave LATER_NS after they were sent: the second
// one first, and 1 ns later the first.
static void send_from(int ready, clockid_t clock) {
    uint64_t release_ns = 0;
    struct sockaddr_in to = {AF_INET, htons(HOLD_PORT), {inet_addr("10.9.0.2")}, {0}};
    char byte;
    need(read(ready, &byte, 1) == 1, "wait for the device");
    shell("ip addr add 10.9.0.1/24 dev s0 && ip link set s0 up");
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    // Addresses are asked for with the first; one that is lost meanwhile is no loss of the queue.
    sendto(descriptor, "first", 5, 0, (void *)&to, sizeof to);
    usleep(300000);
    for (uint32_t index = 0; index < STREAM; index++) {
        bool second = index & 1;
        if (!second)
            release_ns = clock_ns(clock) + LATER_NS;
        struct hold_payload payload = {release_ns + !second, index ^ 1, 0};
        need(sendto(descriptor, &payload, sizeof payload, 0, (void *)&to, sizeof to) == sizeof payload,
             "send");
        usleep(1000);
    }
    // With this process its end of the wire goes.
    pause();
}

// Up the stack of the device that they came in through: to a socket, without meeting the program again.
static void check_up(const struct holder *holder, clockid_t clock) {
    uint32_t flags = SR_HOLD_UP | (clock == CLOCK_REALTIME ? SR_HOLD_REALTIME : 0);
    struct sockaddr_in own = {AF_INET, htons(HOLD_PORT), {0}, {0}};
    struct timeval patience = {5, 0};
    int ready[2], came = 0, early = 0, disorder = 0, descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    char command[256];
    need(!pipe(ready), "pipe");
    pid_t child = fork();
    if (!child) {
        need(!unshare(CLONE_NEWNET), "a network namespace");
        send_from(ready[0], clock);
    }
    usleep(200000);
    snprintf(command, sizeof command,
             "ip link add s0 type veth peer name r0 && ip link set s0 netns %d && ip addr add 10.9.0.2/24 "
             "dev r0 && "
             "ip link set r0 up",
             child);
    shell(command);
    attach_hold_until(
        holder, (struct hold_settings){.ifindex = if_nametoindex("r0"), .queue = 50, .flags = flags}, "r0");
    need(!bind(descriptor, (void *)&own, sizeof own), "bind");
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    need(write(ready[1], "r", 1) == 1, "write");
    while (came < STREAM) {
        struct hold_payload payload;
        ssize_t bytes = recv(descriptor, &payload, sizeof payload, 0);
        if (bytes < 0)
            break;
        if (bytes < (ssize_t)sizeof payload)
            continue;
        early += clock_ns(clock) < payload.release_ns;
        disorder += payload.number != (uint32_t)came;
        came++;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct hold_tally tally = tally_of(holder);
    check(came == STREAM && !early && !disorder && tally.held == STREAM, "up-the-stack",
          "by %s %d came at a socket, %d early, %d out of order, %llu times held",
          clock == CLOCK_REALTIME ? "CLOCK_REALTIME" : "CLOCK_MONOTONIC", came, early, disorder,
          (unsigned long long)tally.held);
    close(descriptor);
    shell("ip link del r0 2>/dev/null || true");
}

// A device whose packets have no link's header.
static void check_tunnel(const struct holder *holder) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    uint8_t frame[100] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 86}, read_back[200];
    shell("modprobe tun; mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200");
    int tunnel = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    strcpy(request.ifr_name, "t0");
    need(tunnel >= 0 && !ioctl(tunnel, TUNSETIFF, &request), "a tunnel");
    shell("ip link set t0 up");
    struct hold_settings set = {.ifindex = if_nametoindex("t0"), .queue = 51, .queues = 1, .spread_ns = 1};
    struct hold_tally zero = {0};
    map_write(holder->settings, &set);
    map_write(holder->tally, &zero);
    program_run(holder->hold_any, frame, sizeof frame, 1);
    usleep(100000);
    ssize_t bytes = read(tunnel, read_back, sizeof read_back);
    check(bytes == 86 && !memcmp(read_back, frame + 14, 86), "tunnel-without-link-header", "%zd bytes of %zu",
          bytes, sizeof frame);
    int written = program_run(program_of(holder->object, "hold_and_write"), frame, sizeof frame, 1);
    usleep(100000);
    bytes = read(tunnel, read_back, sizeof read_back);
    check(written == (frame[63] ^ 0xff) && bytes == 86 && !memcmp(read_back, frame + 14, 86),
          "bytes-of-its-own", "the program wrote %d, and %d left", written, bytes > 49 ? read_back[49] : -1);
    close(tunnel);
}

static void check_unload(struct holder *holder, int dummy) {
    long before = packets_in_kernel();
    struct hold_tally tally = hold(
        holder, (struct hold_settings){.ifindex = dummy, .queue = 40, .queues = 4, .delay_ns = 9000000000ull},
        AT_ONCE);
    int error = module_unload();
    check(error == -EAGAIN, "unload-refused", "%s", strerror(-error));
    bpf_object__close(holder->object);
    uint64_t began = now_ns();
    error = module_unload_within(5000000000ull);
    long after = packets_back_to(before);
    check(tally.held == AT_ONCE && !error && same_packets(before, after), "unload-while-held",
          "%llu held for 9 s, unloaded within %.1f s, %ld packets before, %ld after",
          (unsigned long long)tally.held, (now_ns() - began) / 1e9, before, after);
    need(!module_load(""), "load the module again");
    check(!all().in_queue && !all().held, "load-again", "nothing held");
    check(!module_unload_within(1000000000ull), "unload-again", "at once");
}

int main(void) {
    libbpf_set_print(be_silent);
    // Without packets of its own.
    shell("modprobe -a dummy veth; f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo "
          "1 >$f; "
          "ip link del dummy0 2>/dev/null; ip link add dummy0 type dummy && ip link set dummy0 up");
    need(!module_load(""), "load the module");
    int dummy = if_nametoindex("dummy0");
    struct holder holder = holder_load();
    check_limits(&holder, dummy);
    check_device_gone(&holder);
    check_namespace_gone();
    check_up(&holder, CLOCK_MONOTONIC);
    check_up(&holder, CLOCK_REALTIME);
    check_tunnel(&holder);
    check_unload(&holder, dummy);
    shell("ip link del dummy0");
    return failures != 0;
}
