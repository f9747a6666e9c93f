// Relays of engine upcall: 10,000 packets through an extension in ring 3, what extensions change and make,
// what is refused and what is dropped, each by its counter, extensions that misbehave, and changes under
// traffic.
//
// vm: guest=module seconds=240
#include "relay.h"

#include <linux/ip.h>
#include <linux/udp.h>
#include <poll.h>

enum { MARK = 0x5a, PAYLOAD = 200 };

struct packet {
    uint8_t what, how, zero[2];
    uint32_t sequence;
    uint8_t byte; // what the extension changes
    uint8_t rest[PAYLOAD - 9];
};

// --- Sender and receiver ---

struct receiver {
    int socket;
    uint32_t expected; // sequence numbers below
    uint8_t byte;      // what an unharmed packet has
    // What came.
    volatile uint32_t packets, in_order, changed, wrong_length, wrong_source;
    uint32_t last, astray;
    volatile bool stop;
    pthread_t thread;
};

static void *receive(void *argument) {
    struct receiver *receiver = argument;
    struct pollfd wait = {.fd = receiver->socket, .events = POLLIN};
    while (!receiver->stop) {
        uint8_t bytes[2048];
        struct packet *packet = (struct packet *)bytes;
        struct sockaddr_in6 from;
        socklen_t length = sizeof(from);
        if (poll(&wait, 1, 20) <= 0)
            continue;
        ssize_t count =
            recvfrom(receiver->socket, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &length);
        if (count < 0)
            continue;
        receiver->wrong_length += count != sizeof(*packet);
        if (receiver->packets == 0 || packet->sequence > receiver->last)
            receiver->in_order++;
        else
            receiver->astray = packet->sequence;
        receiver->changed += packet->byte == receiver->byte;
        receiver->wrong_source += ntohs(from.sin6_port) != 5000;
        receiver->last = packet->sequence;
        receiver->packets++;
    }
    return NULL;
}

static void receiver_start(struct receiver *receiver, const char *address, uint16_t port, uint8_t byte) {
    memset(receiver, 0, sizeof(*receiver));
    receiver->socket = udp_in("sink", address, port);
    receiver->byte = byte;
    need(pthread_create(&receiver->thread, NULL, receive, receiver) == 0, "a thread");
}

// Waits until nothing more comes.
static void receiver_stop(struct receiver *receiver) {
    uint32_t before;
    int quiet = 0;
    do {
        before = receiver->packets;
        usleep(100000);
        quiet = receiver->packets == before ? quiet + 1 : 0;
    } while (quiet < 5);
    receiver->stop = true;
    pthread_join(receiver->thread, NULL);
    close(receiver->socket);
}

static void send_packet(int socket, const char *to, uint16_t port, uint8_t what, uint8_t how,
                        uint32_t sequence) {
    struct sockaddr_in6 address = socket_address(to, port);
    struct packet packet = {.what = what, .how = how, .sequence = sequence, .byte = MARK};
    sendto(socket, &packet, sizeof(packet), 0, (struct sockaddr *)&address, sizeof(address));
}

// --- Programs that are interrupted ---

// Counts something that the compiler cannot foresee, and ends by itself where the parent does. Comes back
// once it counts.
static pid_t busy_start(int processor) {
    int ready[2];
    char byte = 0;
    need(pipe(ready) == 0, "a pipe");
    pid_t child = fork();
    need(child >= 0, "a process");
    if (child) {
        need(read(ready[0], &byte, 1) == 1, "a busy process");
        close(ready[0]);
        close(ready[1]);
        usleep(100000);
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    stay_on(processor);
    if (write(ready[1], &byte, 1) != 1)
        _exit(1);
    for (volatile uint64_t value = 1;; value = value * 6364136223846793005 + 1)
        ;
}

static void busy_end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// --- What is tested ---

static const uint8_t parameter = 0x33;

// Without a process that can be interrupted only the anchors take packets to the extension.
static void pass_all(const char *name, bool busy, const char *ingress, const char *source, const char *from,
                     const char *to, uint32_t count) {
    uint32_t number = extension_load("obey", &parameter, 1, 8192);
    struct sr_relay_entry entry = relay_make(7, SR_PROTOCOL_UDP, ingress, 5000, source, from, to, 6000);
    struct receiver receiver;
    struct sr_upcall_account before, after;
    relay_use(&entry, number);
    need(relay_set(&entry) == 0, "setting the relay");
    receiver_start(&receiver, to, 6000, MARK ^ parameter);
    int sender = udp_in("source", source, 4000);
    pid_t interrupted = busy ? busy_start(1) : 0;
    if (!busy)
        anchors_begin(device);
    before = account_read(device);
    uint64_t began = now_ns();
    for (uint32_t index = 0; index < count; index++) {
        send_packet(sender, ingress, 5000, 0, 0, index + 1);
        // The first one finds out the neighbours: packets that wait for them are overtaken by others.
        while (!index && !receiver.packets && now_ns() - began < 5000000000ull)
            usleep(1000);
        // Not more at a time than an extension's queue holds.
        while (index + 1 - receiver.packets > 64 && now_ns() - began < 60000000000ull)
            usleep(100);
    }
    receiver_stop(&receiver);
    after = account_read(device);
    struct sr_counters counters = relay_counters(7);
    struct sr_extension_entry status = extension_entry(number);
    struct sr_extension_account account = extension_account(number, NULL, 0);
    check(receiver.packets == count && receiver.changed == count && !receiver.wrong_length &&
              !receiver.wrong_source,
          name,
          "%u of %u packets came, %u changed by the extension, %u of a wrong length, %u of a wrong port",
          receiver.packets, count, receiver.changed, receiver.wrong_length, receiver.wrong_source);
    check(receiver.in_order == count, name, "%u of %u in order, the last one that was not is number %u",
          receiver.in_order, count, receiver.astray);
    check(counters.value[SR_PACKETS_IN] == count && counters.value[SR_PACKETS_OUT] == count &&
              counters.value[SR_BYTES_OUT] == (uint64_t)count * PAYLOAD && counters.residence_max_ns,
          name, "account: %llu in, %llu out, %llu bytes, residence at most %llu us",
          counters.value[SR_PACKETS_IN], counters.value[SR_PACKETS_OUT], counters.value[SR_BYTES_OUT],
          counters.residence_max_ns / 1000);
    check(status.runs == count && account.runs == count && account.verdicts[SR_VERDICT_FORWARD] == count &&
              account.counters[0] == count && account.histogram_sum == (uint64_t)count * PAYLOAD,
          name, "extension: %llu runs, %llu by its own count, %llu ns a run", status.runs,
          account.counters[0], status.runs ? status.run_ns / status.runs : 0);
    uint64_t from_user = after.from_user - before.from_user, from_call = after.from_call - before.from_call;
    uint64_t from_anchor = after.from_anchor - before.from_anchor, all = from_user + from_call + from_anchor;
    check(all >= count && (busy ? from_user * 100 >= all * 95 : from_anchor * 100 >= all * 80), name,
          "%lu of %lu runs from interrupted user mode, %lu from system calls, %lu from the anchor", from_user,
          all, from_call, from_anchor);
    if (busy)
        busy_end(interrupted);
    else
        anchors_end();
    close(sender);
    check(extension_unload(number) == EBUSY, name, "an extension that a relay names stays");
    need(relay_remove(&entry) == 0, "removing the relay");
    check(extension_unload(number) == 0 && extension_unload(number) == ENOENT, name, "then it goes, once");
    check(packets_taken() == 0, name, "%u places of packets taken", packets_taken());
}

// Packets of one kind each, with what they are to add to the counters.
struct datagram {
    struct iphdr ip;
    struct udphdr udp;
    uint8_t payload[64];
};

static uint16_t fold(const void *bytes, size_t count, uint32_t sum) {
    const uint16_t *words = bytes;
    for (; count > 1; count -= 2)
        sum += *words++;
    if (count)
        sum += *(const uint8_t *)words;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static struct datagram datagram_make(const char *source, uint8_t what) {
    struct datagram result = {
        .ip = {.version = 4, .ihl = 5, .tot_len = htons(sizeof(result)), .ttl = 64, .protocol = IPPROTO_UDP},
        .udp = {.source = htons(4000),
                .dest = htons(5000),
                .len = htons(sizeof(result) - sizeof(struct iphdr))},
    };
    inet_pton(AF_INET, source, &result.ip.saddr);
    inet_pton(AF_INET, "10.1.0.1", &result.ip.daddr);
    result.payload[0] = what;
    return result;
}

static void datagram_seal(struct datagram *datagram) {
    datagram->udp.check = 0;
    uint32_t pseudo = fold(&datagram->ip.saddr, 8, htons(IPPROTO_UDP) + (uint32_t)datagram->udp.len);
    datagram->udp.check = ~fold(&datagram->udp, sizeof(*datagram) - sizeof(struct iphdr), pseudo);
}

static void datagram_send(int raw, const struct datagram *datagram) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = datagram->ip.daddr};
    need(sendto(raw, datagram, sizeof(*datagram), 0, (struct sockaddr *)&to, sizeof(to)) > 0, "sending raw");
}

static void refuse_hostile(void) {
    uint32_t number = extension_load("obey", &parameter, 1, 8192);
    struct sr_relay_entry entry =
        relay_make(7, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct receiver receiver;
    int raw = socket_in("source", AF_INET, SOCK_RAW, IPPROTO_RAW);
    relay_use(&entry, number);
    need(relay_set(&entry) == 0, "setting the relay");
    receiver_start(&receiver, "10.2.0.2", 6000, 0);
    struct datagram good = datagram_make("10.1.0.2", 0), bad;
    datagram_seal(&good);
    datagram_send(raw, &good);
    // A zero checksum is none.
    good.udp.check = 0;
    datagram_send(raw, &good);
    bad = datagram_make("10.1.0.3", 0);
    datagram_seal(&bad);
    datagram_send(raw, &bad);
    bad = datagram_make("10.1.0.2", 0);
    datagram_seal(&bad);
    bad.payload[5] ^= 1;
    datagram_send(raw, &bad);
    bad = datagram_make("10.1.0.2", 0);
    bad.udp.len = htons(2000);
    datagram_send(raw, &bad);
    bad.udp.len = htons(7);
    datagram_send(raw, &bad);
    bad = datagram_make("10.1.0.2", 0);
    bad.ip.frag_off = htons(0x2000);
    datagram_send(raw, &bad);
    bad.ip.frag_off = htons(3);
    datagram_send(raw, &bad);
    bad = datagram_make("10.1.0.2", 0);
    bad.ip.ttl = 1;
    datagram_seal(&bad);
    datagram_send(raw, &bad);
    bad = datagram_make("10.1.0.2", 'D');
    datagram_seal(&bad);
    datagram_send(raw, &bad);
    bad = datagram_make("10.1.0.2", 'T');
    datagram_seal(&bad);
    datagram_send(raw, &bad);
    receiver_stop(&receiver);
    struct sr_counters counters = relay_counters(7);
    const uint64_t *value = (const uint64_t *)counters.value;
    check(receiver.packets == 2, "hostile", "%u of 2 good packets came and nothing else", receiver.packets);
    check(value[SR_DROP_SOURCE] == 1, "hostile", "%lu of 1 of another source refused", value[SR_DROP_SOURCE]);
    check(value[SR_DROP_MALFORMED] == 3, "hostile", "%lu of 3 with wrong lengths or checksum refused",
          value[SR_DROP_MALFORMED]);
    check(value[SR_DROP_FRAGMENT] == 1, "hostile", "%lu of 1 first fragment refused",
          value[SR_DROP_FRAGMENT]);
    check(value[SR_DROP_TTL] == 1, "hostile", "%lu of 1 at its last hop refused", value[SR_DROP_TTL]);
    check(value[SR_DROP_EXTENSION] == 1, "hostile", "%lu of 1 dropped by the extension",
          value[SR_DROP_EXTENSION]);
    check(value[SR_DROP_EXTENSION_FAULT] == 1, "hostile", "%lu of 1 dropped since the extension trapped",
          value[SR_DROP_EXTENSION_FAULT]);
    check(value[SR_PACKETS_IN] == 5 && value[SR_PACKETS_OUT] == 2, "hostile", "%lu in, %lu out",
          value[SR_PACKETS_IN], value[SR_PACKETS_OUT]);
    close(raw);
    need(relay_remove(&entry) == 0, "removing the relay");
    need(extension_unload(number) == 0, "unloading");
    check(packets_taken() == 0, "hostile", "%u places of packets taken", packets_taken());
}

// One of two extensions misbehaves; the other one's relay does not notice.
static void contain(uint8_t how, enum sr_abort_cause cause, const char *name) {
    uint32_t bad = extension_load("obey", &parameter, 1, 8192),
             good = extension_load("obey", &parameter, 1, 8192);
    struct sr_relay_entry first =
        relay_make(1, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct sr_relay_entry second =
        relay_make(2, SR_PROTOCOL_UDP, "10.1.0.1", 5001, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6001);
    struct receiver receiver, other;
    relay_use(&first, bad);
    relay_use(&second, good);
    second.relay.sinks[0].source_port = htons(5000);
    need(relay_set(&first) == 0 && relay_set(&second) == 0, "setting the relays");
    receiver_start(&receiver, "10.2.0.2", 6000, MARK ^ parameter);
    receiver_start(&other, "10.2.0.2", 6001, MARK ^ parameter);
    int sender = udp_in("source", "10.1.0.2", 4000);
    enum { BEFORE = 50, AFTER = 100 };
    for (uint32_t index = 0; index < BEFORE + AFTER; index++) {
        send_packet(sender, "10.1.0.1", 5000, index == BEFORE ? 'F' : 0, how, index + 1);
        send_packet(sender, "10.1.0.1", 5001, 0, 0, index + 1);
        usleep(2000);
    }
    receiver_stop(&receiver);
    receiver_stop(&other);
    struct sr_counters counters = relay_counters(1);
    struct sr_extension_entry status = extension_entry(bad), fine = extension_entry(good);
    check(status.status == SR_EXTENSION_ABORTED && status.cause == cause, name,
          "aborted by cause %u at 0x%llx, touching 0x%llx", status.cause, status.address, status.fault);
    check(receiver.packets == BEFORE && counters.value[SR_DROP_EXTENSION_FAULT] == AFTER, name,
          "%u packets before, %llu of %u from there on counted as dropped by it", receiver.packets,
          counters.value[SR_DROP_EXTENSION_FAULT], AFTER);
    check(other.packets == BEFORE + AFTER && other.changed == BEFORE + AFTER &&
              fine.status == SR_EXTENSION_RUNNING,
          name, "%u of %u packets of the other extension", other.packets, BEFORE + AFTER);
    // Loaded again it begins anew.
    uint32_t next = extension_load("obey", &parameter, 1, 8192);
    first.relay.extensions[0].slot = next;
    need(relay_set(&first) == 0, "changing the relay");
    need(extension_unload(bad) == 0, "unloading the aborted extension");
    receiver_start(&receiver, "10.2.0.2", 6000, MARK ^ parameter);
    for (uint32_t index = 0; index < 20; index++) {
        send_packet(sender, "10.1.0.1", 5000, 0, 0, index + 1);
        usleep(2000);
    }
    receiver_stop(&receiver);
    check(receiver.packets == 20, name, "%u of 20 packets once it was loaded again", receiver.packets);
    close(sender);
    need(relay_remove(&first) == 0 && relay_remove(&second) == 0, "removing the relays");
    need(extension_unload(next) == 0 && extension_unload(good) == 0, "unloading");
    check(packets_taken() == 0, name, "%u places of packets taken", packets_taken());
}

// One extension writes over everybody's packets: they are garbled, and that is all. They go where they would.
static void garble(void) {
    uint32_t bad = extension_load("obey", &parameter, 1, 8192),
             good = extension_load("obey", &parameter, 1, 8192);
    struct sr_relay_entry first =
        relay_make(1, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct sr_relay_entry second =
        relay_make(2, SR_PROTOCOL_UDP, "10.1.0.1", 5001, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6001);
    struct receiver receiver;
    enum { COUNT = 200 };
    relay_use(&first, bad);
    relay_use(&second, good);
    second.relay.sinks[0].source_port = htons(5000);
    need(relay_set(&first) == 0 && relay_set(&second) == 0, "setting the relays");
    receiver_start(&receiver, "10.2.0.2", 6001, MARK ^ parameter);
    int sender = udp_in("source", "10.1.0.2", 4000);
    for (uint32_t index = 0; index < COUNT; index++) {
        send_packet(sender, "10.1.0.1", 5001, 0, 0, index + 1);
        send_packet(sender, "10.1.0.1", 5000, 'F', 6 + index % 2, index + 1);
        send_packet(sender, "10.1.0.1", 5001, 0, 0, index + 1);
        if (index % 8 == 7)
            usleep(50000);
    }
    receiver_stop(&receiver);
    struct sr_counters counters = relay_counters(2);
    struct sr_extension_entry status = extension_entry(bad), fine = extension_entry(good);
    check(receiver.packets == 2 * COUNT && counters.value[SR_PACKETS_OUT] == 2 * COUNT &&
              status.status == SR_EXTENSION_RUNNING && fine.status == SR_EXTENSION_RUNNING,
          "garble", "%u of %u packets of the other extension, which goes on", receiver.packets, 2 * COUNT);
    check(status.runs == COUNT && receiver.packets > receiver.changed, "garble",
          "%llu times, %u packets of the other one were garbled", status.runs,
          receiver.packets - receiver.changed);
    close(sender);
    need(relay_remove(&first) == 0 && relay_remove(&second) == 0, "removing the relays");
    need(extension_unload(bad) == 0 && extension_unload(good) == 0, "unloading");
    check(packets_taken() == 0, "garble", "%u places of packets taken", packets_taken());
}

// Chains, sinks that an extension chooses, code points, and each setting anew while packets come.
static void change_under_traffic(void) {
    uint32_t now = extension_load("obey", &parameter, 1, 8192), swaps = 0, sent = 0;
    struct sr_relay_entry entry =
        relay_make(7, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct receiver receiver;
    relay_use(&entry, now);
    need(relay_set(&entry) == 0, "setting the relay");
    receiver_start(&receiver, "10.2.0.2", 6000, MARK ^ parameter);
    int sender = udp_in("source", "10.1.0.2", 4000);
    for (; swaps < 30; swaps++) {
        for (uint32_t index = 0; index < 20; index++, sent++) {
            send_packet(sender, "10.1.0.1", 5000, 0, 0, sent + 1);
            if (index % 8 == 7)
                usleep(1000);
        }
        uint32_t next = extension_load("obey", &parameter, 1, 8192);
        entry.relay.extensions[0].slot = next;
        need(relay_set(&entry) == 0, "changing the relay");
        need(extension_unload(now) == 0, "unloading the former extension");
        now = next;
    }
    receiver_stop(&receiver);
    check(receiver.packets == sent && receiver.changed == sent, "swap",
          "%u of %u packets over %u changes of the extension", receiver.packets, sent, swaps);
    // Unloaded while packets wait: all are counted.
    uint32_t burst = 0;
    receiver_start(&receiver, "10.2.0.2", 6000, MARK ^ parameter);
    struct sr_counters before = relay_counters(7);
    for (; burst < 200; burst++)
        send_packet(sender, "10.1.0.1", 5000, 0, 0, burst + 1);
    need(relay_remove(&entry) == 0, "removing the relay");
    need(extension_unload(now) == 0, "unloading under traffic");
    receiver_stop(&receiver);
    check(packets_taken() == 0 && receiver.packets <= burst, "swap",
          "unloaded while packets waited: %u of %u left, %u places taken", receiver.packets, burst,
          packets_taken());
    (void)before;
    close(sender);
}

static void choose(void) {
    uint32_t first = extension_load("obey", &parameter, 1, 8192),
             second = extension_load("obey", &parameter, 1, 8192);
    struct sr_relay_entry entry =
        relay_make(7, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct receiver receiver, other;
    entry.relay.sinks[1] = entry.relay.sinks[0];
    entry.relay.sinks[1].destination_port = htons(6001);
    entry.relay.sink_count = 2;
    relay_use(&entry, first);
    relay_use(&entry, second);
    need(relay_set(&entry) == 0, "setting the relay");
    // Changed twice it is what it was.
    receiver_start(&receiver, "10.2.0.2", 6000, MARK);
    receiver_start(&other, "10.2.0.2", 6001, MARK);
    int sender = udp_in("source", "10.1.0.2", 4000);
    for (uint32_t index = 0; index < 100; index++) {
        send_packet(sender, "10.1.0.1", 5000, index % 2 ? 'K' : 0, 1, index + 1);
        usleep(1000);
    }
    receiver_stop(&receiver);
    receiver_stop(&other);
    struct sr_counters counters = relay_counters(7);
    check(receiver.packets == 100 && receiver.changed == 100 && other.packets == 50, "chain",
          "two extensions, %u of 100 packets to the first sink, %u of 50 to the second", receiver.packets,
          other.packets);
    check(counters.value[SR_PACKETS_OUT] == 150, "chain", "%llu of 150 sent", counters.value[SR_PACKETS_OUT]);
    close(sender);
    need(relay_remove(&entry) == 0, "removing the relay");
    need(extension_unload(first) == 0 && extension_unload(second) == 0, "unloading");
}

// --- Datagrams that an extension makes ---

enum { MADE_BYTES = 300 };

// Whether the next datagram is `packet` as the extension changed it, or one of MADE_BYTES that it made.
static bool next_is(int socket, const struct packet *packet) {
    uint8_t bytes[2000], made[MADE_BYTES];
    ssize_t count = recv(socket, bytes, sizeof(bytes), 0);
    if (packet)
        return count == sizeof(*packet) && !memcmp(bytes, packet, sizeof(*packet));
    memset(made, 'm', sizeof(made));
    return count == sizeof(made) && !memcmp(bytes, made, sizeof(made));
}

// Each is followed by what was made of it, at both sinks; what claims more than it may is held to it.
static void make_datagrams(void) {
    enum { COUNT = 50 };
    static const char *const claims[] = {"no length", "a length of too much", "no kind", "a huge length"};
    uint32_t number = extension_load("obey", &parameter, 1, 8192), packets = 0, made = 0, passed = 0;
    struct sr_relay_entry entry =
        relay_make(7, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct timeval patience = {.tv_sec = 3};
    entry.relay.sinks[1] = entry.relay.sinks[0];
    entry.relay.sinks[1].destination_port = htons(6001);
    entry.relay.sink_count = 2;
    relay_use(&entry, number);
    need(relay_set(&entry) == 0, "setting the relay");
    int sinks[2] = {udp_in("sink", "10.2.0.2", 6000), udp_in("sink", "10.2.0.2", 6001)};
    for (int sink = 0; sink < 2; sink++)
        setsockopt(sinks[sink], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    int sender = udp_in("source", "10.1.0.2", 4000);
    struct sr_counters before = relay_counters(7);
    for (uint32_t index = 0; index < COUNT; index++) {
        struct packet packet = {.what = 'M', .sequence = index + 1, .byte = MARK ^ parameter};
        send_packet(sender, "10.1.0.1", 5000, 'M', 0, index + 1);
        for (int sink = 0; sink < 2; sink++) {
            packets += next_is(sinks[sink], &packet);
            made += next_is(sinks[sink], NULL);
        }
    }
    struct sr_counters after = relay_counters(7);
    struct sr_extension_account account = extension_account(number, NULL, 0);
    check(packets == 2 * COUNT && made == 2 * COUNT, "made",
          "%u of %u packets, each followed by what was made of it: %u", packets, 2 * COUNT, made);
    check(after.value[SR_PACKETS_MADE] - before.value[SR_PACKETS_MADE] == COUNT &&
              after.value[SR_PACKETS_OUT] - before.value[SR_PACKETS_OUT] == 4 * COUNT,
          "made", "%llu counted as made, %llu as sent", after.value[SR_PACKETS_MADE],
          after.value[SR_PACKETS_OUT]);
    check(account.counters[1] == 0 && account.counters[2] == COUNT && account.counters[3] == 0, "made",
          "too long %llu, once %llu, twice %llu of %u", account.counters[1], account.counters[2],
          account.counters[3], COUNT);
    // Sent by the extension with its ring's entry as no frame writes it: nothing is made, the packet passes.
    for (uint8_t how = 0; how < 4; how++) {
        struct packet packet = {.what = 'L', .how = how, .sequence = how + 1, .byte = MARK ^ parameter};
        send_packet(sender, "10.1.0.1", 5000, 'L', how, how + 1);
        bool right = next_is(sinks[0], &packet) && next_is(sinks[1], &packet);
        check(right && relay_counters(7).value[SR_PACKETS_MADE] == after.value[SR_PACKETS_MADE], "made",
              "an entry of %s makes nothing", claims[how]);
    }
    // One that claims a hundred entries: its packet is dropped as the fault that it is, the next one passes.
    struct packet packet = {.sequence = 2, .byte = MARK ^ parameter};
    send_packet(sender, "10.1.0.1", 5000, 'R', 100, 1);
    send_packet(sender, "10.1.0.1", 5000, 0, 0, 2);
    passed = next_is(sinks[0], &packet) + next_is(sinks[1], &packet);
    struct sr_counters last = relay_counters(7);
    check(passed == 2 && last.value[SR_DROP_EXTENSION_FAULT] - after.value[SR_DROP_EXTENSION_FAULT] == 1 &&
              last.value[SR_PACKETS_MADE] == after.value[SR_PACKETS_MADE],
          "made", "a ring that claims a hundred entries: %llu dropped, the next one passes",
          last.value[SR_DROP_EXTENSION_FAULT]);
    close(sender);
    close(sinks[0]);
    close(sinks[1]);
    need(relay_remove(&entry) == 0, "removing the relay");
    need(extension_unload(number) == 0, "unloading");
    check(packets_taken() == 0, "made", "%u places of packets taken", packets_taken());
}

// --- The Swift extension Rewrite, on RTP ---

struct rewrite_parameters {
    uint32_t only_ssrc, ssrc;
    uint8_t only_payload_type, payload_type;
    uint16_t sequence_offset;
    uint8_t dscp;
};

static void rewrite_rtp(void) {
    struct rewrite_parameters wanted = {.ssrc = 0xabcd1234,
                                        .only_payload_type = 128,
                                        .payload_type = 128,
                                        .sequence_offset = 1000,
                                        .dscp = 46};
    uint32_t number = extension_load("rewrite", &wanted, 13, 8), right = 0, came = 0, expedited = 0;
    struct sr_relay_entry entry =
        relay_make(9, SR_PROTOCOL_RTP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    relay_use(&entry, number);
    need(relay_set(&entry) == 0, "setting the relay");
    int sink = udp_in("sink", "10.2.0.2", 6000), sender = udp_in("source", "10.1.0.2", 4000), on = 1;
    setsockopt(sink, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
    struct sockaddr_in6 to = socket_address("10.1.0.1", 5000);
    for (uint16_t sequence = 1; sequence <= 300; sequence++) {
        uint32_t timestamp = htonl(sequence * 3000u), ssrc = htonl(0x11112222);
        uint8_t packet[172] = {0x80, 96, sequence >> 8, sequence & 0xff};
        memcpy(packet + 4, &timestamp, 4);
        memcpy(packet + 8, &ssrc, 4);
        // Three are missing, and one comes twice.
        if (sequence >= 100 && sequence < 103)
            continue;
        sendto(sender, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to));
        if (sequence == 200)
            sendto(sender, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to));
        usleep(1000);
    }
    usleep(300000);
    for (;;) {
        uint8_t packet[256], control[64];
        struct iovec part = {packet, sizeof(packet)};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        uint32_t ssrc;
        if (recvmsg(sink, &message, MSG_DONTWAIT) < 0)
            break;
        came++;
        memcpy(&ssrc, packet + 8, 4);
        uint16_t sequence = packet[2] << 8 | packet[3];
        right += ntohl(ssrc) == wanted.ssrc && sequence > 1000 && sequence <= 1300;
        for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
            if (head->cmsg_type == IP_TOS)
                expedited += *CMSG_DATA(head) >> 2 == 46;
    }
    struct sr_counters counters = relay_counters(9);
    struct sr_extension_account account = extension_account(number, NULL, 0);
    check(came == 298 && right == 298 && expedited == 298, "Swift",
          "%u of 298 packets, %u with the SSRC and sequence number of Rewrite, %u with its DSCP", came, right,
          expedited);
    check(account.counters[0] == 298, "Swift", "%llu counted by the extension", account.counters[0]);
    check(counters.value[SR_RTP_PACKETS] == 298 && counters.value[SR_RTP_MISSING] == 3 &&
              counters.value[SR_RTP_DUPLICATES] == 1,
          "Swift", "account: %llu RTP packets, %llu missing, %llu twice", counters.value[SR_RTP_PACKETS],
          counters.value[SR_RTP_MISSING], counters.value[SR_RTP_DUPLICATES]);
    close(sink);
    close(sender);
    need(relay_remove(&entry) == 0, "removing the relay");
    need(extension_unload(number) == 0, "unloading");
}

int main(void) {
    setbuf(stdout, NULL);
    need(module_load("upcall=1 upcall_limit_us=200000") == 0, "loading the module");
    device = module_open();
    network_make();
    // Packets arrive on processor 1 by an interrupt, as from a device of its own; this program is on the
    // other.
    run("echo 2 >/sys/class/net/to-source/queues/rx-0/rps_cpus");
    stay_on(0);
    pass_all("IPv4", true, "10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2", 10000);
    pass_all("IPv6", true, "fd01::1", "fd01::2", "fd02::1", "fd02::2", 2000);
    pass_all("idle", false, "10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2", 1000);
    anchors_begin(device);
    refuse_hostile();
    choose();
    make_datagrams();
    rewrite_rtp();
    change_under_traffic();
    garble();
    contain(1, SR_ABORT_PAGE, "null pointer");
    contain(2, SR_ABORT_TIME, "endless loop");
    contain(3, SR_ABORT_INSTRUCTION, "ud2");
    contain(4, SR_ABORT_PROTECTION, "hlt");
    contain(5, SR_ABORT_STACK, "stack overflow");
    network_end();
    anchors_end();
    close(device);
    check(module_unload() == 0, "unload", "the module goes");
    return failures != 0;
}
