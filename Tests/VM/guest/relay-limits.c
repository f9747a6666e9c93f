// What relays of engine upcall do at their limits: trains of datagrams, jumbo frames, packets without an
// extension, full queues, ways that there are not, sinks of this machine, reports of RTCP, parameters that
// change.
//
// vm: seconds=120
#include "relay.h"

#include <netinet/udp.h>

static const uint8_t parameter = 0x33;
static struct sr_relay_entry entry;
static uint32_t number;
static int sender, sink;

static void begin(uint8_t protocol, bool extended) {
    entry = relay_make(5, protocol, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    if (extended) {
        number = extension_load("obey", &parameter, 1, 8192);
        relay_use(&entry, number);
    }
    need(relay_set(&entry) == 0, "setting the relay");
    sender = udp_in("source", "10.1.0.2", 4000);
    sink = udp_in("sink", "10.2.0.2", 6000);
}

static void end(const char *name) {
    close(sender);
    close(sink);
    need(relay_remove(&entry) == 0, "removing the relay");
    if (number)
        need(extension_unload(number) == 0, "unloading");
    number = 0;
    check(packets_taken() == 0, name, "%u places of packets taken", packets_taken());
}

static void send_bytes(const void *bytes, size_t count) {
    struct sockaddr_in6 to = socket_address("10.1.0.1", 5000);
    need(sendto(sender, bytes, count, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)count,
         "sending %zu bytes", count);
}

static void send_many(size_t count, size_t bytes) {
    static uint8_t payload[65536];
    while (count--)
        send_bytes(payload, bytes);
}

// Waits until nothing more comes. Returns how many came of this length, and in `changed` how many of them the
// extension changed.
static unsigned drain(int from, size_t bytes, unsigned *changed) {
    static uint8_t payload[65536];
    unsigned count = 0, quiet = 0;
    *changed = 0;
    while (quiet < 6) {
        ssize_t came = recv(from, payload, sizeof(payload), MSG_DONTWAIT);
        if (came < 0) {
            usleep(50000);
            quiet++;
            continue;
        }
        quiet = 0;
        count += (size_t)came == bytes;
        *changed += bytes > 8 && payload[8] == parameter;
    }
    return count;
}

static uint64_t counted(enum sr_counter counter) {
    return relay_counters(5).value[counter];
}

static void without_extension(void) {
    unsigned changed;
    begin(SR_PROTOCOL_UDP, false);
    send_many(100, 200);
    unsigned came = drain(sink, 200, &changed);
    check(came == 100 && !changed && counted(SR_PACKETS_OUT) == 100, "bare", "%u of 100 packets, %u changed",
          came, changed);
    send_many(1, 0);
    check(drain(sink, 0, &changed) == 1, "bare", "a datagram without payload");
    end("bare");
}

static void train(void) {
    unsigned changed;
    uint8_t payload[100 * 40 + 30] = {};
    int bytes = 100;
    begin(SR_PROTOCOL_UDP, true);
    need(setsockopt(sender, SOL_UDP, UDP_SEGMENT, &bytes, sizeof(bytes)) == 0, "UDP_SEGMENT");
    send_bytes(payload, sizeof(payload));
    unsigned came = drain(sink, 100, &changed);
    check(came == 40 && changed == 41 && counted(SR_PACKETS_IN) == 41, "train",
          "%u of 40 datagrams, %u of 41 changed, %lu in", came, changed, counted(SR_PACKETS_IN));
    end("train");
}

static void sizes(void) {
    unsigned changed;
    run("ip link set to-source mtu 65535; ip link set to-sink mtu 9000; ip -n source link set eth0 mtu "
        "65535; "
        "ip -n sink link set eth0 mtu 9000");
    begin(SR_PROTOCOL_UDP, true);
    // More than there are large places, in all.
    unsigned came = 0, all = 0;
    for (int round = 0; round < 20; round++, all += 4) {
        send_many(4, 8900);
        came += drain(sink, 8900, &changed);
    }
    check(came == all && counted(SR_BYTES_OUT) == all * 8900ull, "size", "%u of %u jumbo frames", came, all);
    send_many(3, SR_PACKET_BYTES + 1);
    came = drain(sink, SR_PACKET_BYTES + 1, &changed);
    check(!came && counted(SR_DROP_SEND) == 3, "size", "%lu of 3 refused that are longer than a place",
          counted(SR_DROP_SEND));
    send_many(3, 9000);
    came = drain(sink, 9000, &changed);
    check(!came && counted(SR_DROP_MTU) == 3, "size", "%lu of 3 refused that are longer than the way's MTU",
          counted(SR_DROP_MTU));
    end("size");
    run("ip link set to-source mtu 1500; ip link set to-sink mtu 1500; ip -n source link set eth0 mtu 1500; "
        "ip -n sink link set eth0 mtu 1500");
}

static void anchors_signal(int signal) {
    for (int processor = 0; processor < processors(); processor++)
        kill(anchors[processor], signal);
}

static void *wait_for_end(void *argument) {
    for (;;)
        pause();
    return argument;
}

// More at once than can wait: what is not relayed is counted.
static void overflow(void) {
    unsigned changed;
    begin(SR_PROTOCOL_UDP, true);
    // A process with two threads is not interrupted, so nobody is there to take a packet to the extension.
    pthread_t other;
    anchors_signal(SIGSTOP);
    need(pthread_create(&other, NULL, wait_for_end, NULL) == 0, "a thread");
    for (int round = 0; round < 20; round++) {
        send_many(100, 200);
        usleep(2000);
    }
    usleep(100000);
    // That all places are free, which is looked at after each test, is not always so. Who else runs here for
    // a moment may have taken some packets on.
    uint32_t taken = packets_taken();
    uint64_t gone = counted(SR_PACKETS_OUT);
    pthread_cancel(other);
    pthread_join(other, NULL);
    anchors_signal(SIGCONT);
    unsigned came = drain(sink, 200, &changed);
    uint64_t in = counted(SR_PACKETS_IN), out = counted(SR_PACKETS_OUT), full = counted(SR_DROP_QUEUE);
    check(in == 2000 && out + full == in && came == out && changed == out, "overflow",
          "%lu in, %lu out, %lu counted for which a queue had no place, %u came", in, out, full, came);
    check(extension_entry(number).overflows == full && full > 0, "overflow", "%llu by the queue's own count",
          extension_entry(number).overflows);
    check(taken > 0 && taken + gone == out, "overflow", "%u places of packets taken meanwhile, %lu had left",
          taken, gone);
    send_many(10, 200);
    check(drain(sink, 200, &changed) == 10, "overflow", "then it goes on");
    end("overflow");
}

static void no_way(void) {
    unsigned changed;
    begin(SR_PROTOCOL_UDP, true);
    address_put(entry.relay.sinks[0].destination, "10.9.0.9");
    entry.relay.sinks[1] = entry.relay.sinks[0];
    address_put(entry.relay.sinks[1].destination, "10.2.0.2");
    entry.relay.sink_count = 2;
    need(relay_set(&entry) == 0, "changing the relay");
    send_many(5, 200);
    unsigned came = drain(sink, 200, &changed);
    check(came == 5 && counted(SR_DROP_ROUTE) == 5 && counted(SR_PACKETS_OUT) == 5, "route",
          "%lu of 5 dropped on the way that there is not, %u of 5 on the other", counted(SR_DROP_ROUTE),
          came);
    end("route");
}

static void local_sink(void) {
    unsigned changed;
    begin(SR_PROTOCOL_UDP, true);
    int here = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = inet_addr("10.1.0.1")};
    need(bind(here, (struct sockaddr *)&own, sizeof(own)) == 0, "binding here");
    address_put(entry.relay.sinks[0].destination, "10.1.0.1");
    entry.relay.sinks[0].destination_port = htons(7000);
    entry.relay.sinks[0].flags = SR_SINK_LOCAL;
    need(relay_set(&entry) == 0, "changing the relay");
    send_many(20, 200);
    unsigned came = drain(here, 200, &changed);
    check(came == 20 && changed == 20, "local", "%u of 20 packets to a socket of this machine", came);
    close(here);
    end("local");
}

static void reports(void) {
    // An RTCP sender report without blocks (RFC 3550 section 6.4.1).
    uint8_t report[28] = {0x80, 200, 0, 6, 0x11, 0x22, 0x33, 0x44};
    struct sr_reports kept = {};
    struct sr_relay_query query = {.index = 5, .reports = (uintptr_t)&kept};
    unsigned changed;
    begin(SR_PROTOCOL_RTP, true);
    for (int round = 0; round < 20; round++)
        send_bytes(report, sizeof(report));
    send_many(3, 200);
    unsigned came = drain(sink, sizeof(report), &changed);
    need(ioctl(device, SR_MODULE_RELAY_READ, &query) == 0, "reading reports");
    check(came == 20 && kept.head == 20 && kept.report[4].length == sizeof(report) &&
              !memcmp(kept.report[4].bytes, report, sizeof(report)) && counted(SR_RTCP_PACKETS) == 20,
          "report", "%u of 20 relayed, %llu kept", came, kept.head);
    check(counted(SR_DROP_NOT_RTP) == 3, "report", "%lu of 3 dropped that are no RTP",
          counted(SR_DROP_NOT_RTP));
    end("report");
}

static void parameters(void) {
    uint8_t other = 0x44, payload[200] = {};
    struct sr_extension_query query = {.bytes = (uintptr_t)&other, .length = 1};
    unsigned changed;
    begin(SR_PROTOCOL_UDP, true);
    send_many(10, 200);
    unsigned before = drain(sink, 200, &changed), after = 0;
    query.number = number;
    need(ioctl(device, SR_MODULE_EXTENSION_PARAMETERS, &query) == 0, "changing parameters");
    send_many(10, 200);
    usleep(500000);
    while (recv(sink, payload, sizeof(payload), MSG_DONTWAIT) == 200)
        after += payload[8] == other;
    uint64_t state[1024] = {};
    extension_account(number, state, sizeof(state));
    check(before == 10 && after == 10 && state[0] == 20, "parameters",
          "%u of 10 packets by the new ones, %lu in its state", after, state[0]);
    end("parameters");
}

int main(void) {
    setbuf(stdout, NULL);
    need(module_load("upcall=1 upcall_limit_us=200000") == 0, "loading the module");
    device = module_open();
    anchors_begin(device);
    stay_on(0);
    network_make();
    without_extension();
    train();
    sizes();
    overflow();
    no_way();
    local_sink();
    reports();
    parameters();
    network_end();
    anchors_end();
    close(device);
    check(module_unload() == 0, "unload", "the module goes");
    return failures != 0;
}
