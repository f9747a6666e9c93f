// What ends while packets come: extensions, relays, their network namespace, the module, each many times
// over. And mode shared, in which relays are the same.
//
// vm: guest=module seconds=200
#include "relay.h"

static const uint8_t parameter = 0x33;

// Sends without a pause until it is killed.
static pid_t flood_start(void) {
    int sender = udp_in("source", "10.1.0.2", 4000);
    pid_t child = fork();
    need(child >= 0, "a process");
    if (!child) {
        struct sockaddr_in6 to = socket_address("10.1.0.1", 5000);
        uint8_t payload[200] = {};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (uint32_t count = 0;; count++) {
            sendto(sender, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to));
            if (count % 16 == 0)
                usleep(100);
        }
    }
    close(sender);
    return child;
}

static void flood_end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static unsigned received(int sink) {
    uint8_t payload[2048];
    unsigned changed = 0;
    while (recv(sink, payload, sizeof(payload), MSG_DONTWAIT) == 200)
        changed += payload[8] == parameter;
    return changed;
}

// Waits until packets come through.
static bool comes(int sink) {
    received(sink);
    for (int round = 0; round < 200; round++) {
        usleep(10000);
        if (received(sink))
            return true;
    }
    return false;
}

static uint32_t relay_begin(struct sr_relay_entry *entry) {
    uint32_t number = extension_load("obey", &parameter, 1, 8192);
    *entry = relay_make(5, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    relay_use(entry, number);
    need(relay_set(entry) == 0, "setting the relay");
    return number;
}

static void begin(const char *parameters) {
    char text[128];
    snprintf(text, sizeof(text), "upcall=1 upcall_limit_us=200000 %s", parameters);
    need(module_load(text) == 0, "loading the module");
    device = module_open();
    anchors_begin(device);
}

static void end(void) {
    anchors_end();
    close(device);
    need(module_unload() == 0, "unloading the module");
}

// Extension and relay are taken away while the extension's queue is full.
static void unload_extensions(int sink) {
    struct sr_relay_entry entry;
    int rounds = 0, passed = 0;
    begin("");
    for (; rounds < 30; rounds++) {
        uint32_t number = relay_begin(&entry);
        passed += rounds % 10 ? 1 : comes(sink);
        need(relay_remove(&entry) == 0, "removing the relay");
        need(extension_unload(number) == 0, "unloading");
    }
    usleep(100000);
    check(passed == rounds && packets_taken() == 0, "extension", "%d times, %u places of packets taken",
          rounds, packets_taken());
    end();
}

static void unload_module(int sink, const char *parameters, const char *name, int rounds) {
    struct sr_relay_entry entry;
    int passed = 0;
    for (int round = 0; round < rounds; round++) {
        begin(parameters);
        relay_begin(&entry);
        passed += comes(sink);
        end();
    }
    check(passed == rounds, name, "unloaded %d times while packets came, which %d times came through", rounds,
          passed);
}

// The namespace that is the relay's goes, with packets of it in the queue of an extension.
static void end_namespaces(void) {
    int ended = 0, rounds = 10;
    begin("");
    uint32_t number = extension_load("obey", &parameter, 1, 8192);
    for (int round = 0; round < rounds; round++) {
        pid_t child = fork();
        if (!child) {
            struct sr_relay_entry entry = relay_make(1, SR_PROTOCOL_UDP, "127.0.0.1", 5000, "127.0.0.1",
                                                     "127.0.0.1", "127.0.0.1", 6000);
            relay_use(&entry, number);
            need(unshare(CLONE_NEWNET) == 0, "a namespace");
            run("ip link set lo up");
            need(relay_set(&entry) == 0, "a relay elsewhere");
            int sender = socket(AF_INET, SOCK_DGRAM, 0);
            struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(5000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            uint8_t payload[200] = {};
            for (int count = 0; count < 200; count++)
                sendto(sender, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to));
            _exit(0);
        }
        waitpid(child, NULL, 0);
        for (int wait = 0; wait < 200 && extension_entry(number).relays; wait++)
            usleep(20000);
        ended += !extension_entry(number).relays;
    }
    usleep(200000);
    uint64_t runs = extension_entry(number).runs;
    check(ended == rounds && runs > 0 && packets_taken() == 0, "namespace",
          "%d ended with their relays, after %lu packets, %u places taken", ended, runs, packets_taken());
    need(extension_unload(number) == 0, "unloading");
    end();
}

int main(void) {
    setbuf(stdout, NULL);
    stay_on(0);
    network_make();
    int sink = udp_in("sink", "10.2.0.2", 6000);
    pid_t flood = flood_start();
    unload_extensions(sink);
    unload_module(sink, "", "module", 5);
    unload_module(sink, "upcall_mode=shared", "mode shared", 3);
    flood_end(flood);
    end_namespaces();
    network_end();
    return failures != 0;
}
