// Sends an RTP stream of datagrams of many lengths, or receives it and tries its parity (RFC 8627): makes
// each packet that a parity packet protects again from the others and the parity, and compares it with what
// came.
//
//   fec-repair send ADDRESS PORT PACKETS
//   fec-repair receive ADDRESS PORT      until nothing came for 8 s; 0: every parity packet was right
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, REPAIR_HEADER = 28, PARITY_TYPE = 115, LONGEST = 1400, IDLE_S = 8 };

struct packet {
    int length; // 0: did not come
    uint8_t bytes[2048];
};

static struct packet packets[65536];

static uint16_t half(const uint8_t *at) {
    return at[0] << 8 | at[1];
}

static void store(uint8_t *at, uint32_t value, int bytes) {
    while (bytes--) {
        at[bytes] = value;
        value >>= 8;
    }
}

static int open_socket(const char *address, const char *port, struct sockaddr_in *place) {
    *place = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    if (descriptor < 0 || inet_pton(AF_INET, address, &place->sin_addr) != 1) {
        perror("fec-repair: socket");
        exit(1);
    }
    return descriptor;
}

static int send_stream(const char *address, const char *port, int count) {
    struct sockaddr_in to;
    int descriptor = open_socket(address, port, &to);
    for (int index = 0; index < count; index++) {
        uint8_t bytes[LONGEST + HEADER];
        int length = HEADER + 1 + random() % LONGEST;
        for (int i = HEADER; i < length; i++)
            bytes[i] = random();
        bytes[0] = 0x80;
        bytes[1] = 96 | (random() & 1) << 7;
        store(bytes + 2, index, 2);
        store(bytes + 4, index * 180 + random() % 90, 4);
        store(bytes + 8, 0x53520077, 4);
        if (sendto(descriptor, bytes, length, 0, (void *)&to, sizeof(to)) != length)
            perror("fec-repair: send");
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return 0;
}

// One protected packet from all others of its group. 0: as it came.
static int repaired_wrongly(const struct packet *parity, uint16_t base, uint16_t mask, int lost) {
    uint8_t made[2048] = {0};
    const uint8_t *head = parity->bytes + 16;
    uint16_t first = half(head), length = half(head + 2);
    uint32_t timestamp = ntohl(*(const uint32_t *)(head + 4));
    memcpy(made + HEADER, parity->bytes + REPAIR_HEADER, parity->length - REPAIR_HEADER);
    for (int place = 0; place < 15; place++) {
        const struct packet *other = &packets[(uint16_t)(base + place)];
        if (!(mask & 0x4000 >> place) || place == lost)
            continue;
        if (!other->length)
            return 1;
        first ^= half(other->bytes);
        length ^= other->length - HEADER;
        timestamp ^= ntohl(*(const uint32_t *)(other->bytes + 4));
        for (int i = HEADER; i < other->length; i++)
            made[i] ^= other->bytes[i];
    }
    const struct packet *came = &packets[(uint16_t)(base + lost)];
    // The version is not part of the sum.
    store(made, (first & 0x3fff) | 0x8000, 2);
    store(made + 2, base + lost, 2);
    store(made + 4, timestamp, 4);
    memcpy(made + 8, parity->bytes + 12, 4);
    return !came->length || length != came->length - HEADER || memcmp(made, came->bytes, came->length) != 0;
}

static int receive_stream(const char *address, const char *port) {
    static struct packet parity[8192];
    struct sockaddr_in at;
    int descriptor = open_socket(address, port, &at), media = 0, parities = 0, repaired = 0, wrong = 0;
    struct timeval idle = {.tv_sec = IDLE_S};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &(int){1 << 22}, sizeof(int));
    if (bind(descriptor, (void *)&at, sizeof(at))) {
        perror("fec-repair: bind");
        return 1;
    }
    for (;;) {
        struct packet packet;
        packet.length = recv(descriptor, packet.bytes, sizeof(packet.bytes), 0);
        if (packet.length < HEADER) {
            // Before the stream begins there is time.
            if (media || wrong++ > 3)
                break;
            continue;
        }
        if ((packet.bytes[1] & 0x7f) != PARITY_TYPE) {
            packets[half(packet.bytes + 2)] = packet;
            media++;
        } else if (parities < 8192) {
            parity[parities++] = packet;
        }
    }
    wrong = 0;
    for (int index = 0; index < parities; index++) {
        uint16_t base = half(parity[index].bytes + 24), mask = half(parity[index].bytes + 26);
        if (half(parity[index].bytes + 2) != index || mask & 0x8000)
            wrong++;
        for (int place = 0; place < 15; place++)
            if (mask & 0x4000 >> place) {
                int is_wrong = repaired_wrongly(&parity[index], base, mask, place);
                wrong += is_wrong;
                repaired += !is_wrong;
            }
    }
    printf("%d packets, %d parity packets, %d repaired, %d wrong\n", media, parities, repaired, wrong);
    return !parities || wrong;
}

int main(int count, char **arguments) {
    if (count == 5 && !strcmp(arguments[1], "send"))
        return send_stream(arguments[2], arguments[3], atoi(arguments[4]));
    if (count == 4 && !strcmp(arguments[1], "receive"))
        return receive_stream(arguments[2], arguments[3]);
    fprintf(stderr, "fec-repair: see the head of its source\n");
    return 64;
}
