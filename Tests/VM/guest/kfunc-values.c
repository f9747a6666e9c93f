// What the kernel functions compute: SipHash-2-4 against its reference vectors and against the definition,
// parity that restores a lost packet, in packets of one piece and of several, and their limits.
//
// vm: seconds=60
#include "kfunc.h"

#include <bpf/libbpf.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "kfunc-values.h"

static struct values ask;
static int values_map, hash_packet, xor_packet;

// --- SipHash-2-4 as its authors define it (https://www.aumasson.jp/siphash/siphash.pdf, section 2) ---

static uint64_t rotate(uint64_t word, int bits) {
    return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t siphash(const uint8_t *bytes, size_t count, const uint8_t key[16]) {
    uint64_t k[2], word;
    memcpy(k, key, 16);
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261,
                     k[1] ^ 0x7465646279746573};
    for (size_t index = 0; index <= count / 8; index++) {
        word = 0;
        memcpy(&word, bytes + 8 * index, index < count / 8 ? 8 : count % 8);
        if (index == count / 8)
            word |= (uint64_t)count << 56;
        v[3] ^= word;
        sip_round(v), sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int round = 0; round < 4; round++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// --- The hash ---

static uint64_t ask_hash(const uint8_t *packet, uint32_t bytes, uint32_t offset, uint32_t length) {
    ask.offset = offset, ask.length = length, ask.hash = 0, ask.runs = 0;
    map_write(values_map, &ask);
    program_run(hash_packet, packet, bytes, 1);
    map_read(values_map, &ask);
    need(ask.runs == 1, "hash_packet ran %u times", ask.runs);
    return ask.hash;
}

static void check_vectors(void) {
    // Of the reference implementation, vectors.h: bytes 0, 1, ... with key 0, 1, ... 15.
    static const struct {
        uint32_t count;
        uint64_t hash;
    } vectors[] = {
        {1, 0x74f839c593dc67fd}, {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572}};
    uint8_t packet[128] = {0};
    for (int index = 0; index < 16; index++)
        ask.key.bytes[index] = index;
    for (int index = 0; index < 64; index++)
        packet[14 + index] = index;
    for (int index = 0; index < 4; index++) {
        uint32_t count = vectors[index].count;
        uint64_t hash = ask_hash(packet, sizeof packet, 14, count),
                 own = siphash(packet + 14, count, ask.key.bytes);
        char name[40];
        snprintf(name, sizeof name, "siphash-vector-%u", count);
        check(!ask.error && hash == vectors[index].hash && own == hash, name, "%016llx",
              (unsigned long long)hash);
    }
    uint64_t before = ask_hash(packet, sizeof packet, 14, 15);
    packet[20] ^= 1;
    uint64_t other_byte = ask_hash(packet, sizeof packet, 14, 15);
    packet[20] ^= 1;
    ask.key.bytes[3] ^= 1;
    uint64_t other_key = ask_hash(packet, sizeof packet, 14, 15);
    check(before != other_byte && before != other_key && other_byte != other_key, "siphash-one-bit",
          "another packet or key has another hash");
}

static void check_limits(void) {
    static const uint32_t wrong[][2] = {{0, 0},   {0, 129},        {128, 1},        {129, 1},
                                        {1, 128}, {4294967295, 2}, {2, 4294967295}, {0, SR_HASH_BYTES + 1}};
    uint8_t packet[128] = {0};
    int right = 0;
    for (int index = 0; index < 8; index++) {
        ask_hash(packet, sizeof packet, wrong[index][0], wrong[index][1]);
        right += ask.error == -EMSGSIZE;
        ask.runs = 0;
        program_run(xor_packet, packet, sizeof packet, 1);
        map_read(values_map, &ask);
        right += ask.error == -EMSGSIZE;
    }
    check(right == 16, "ranges-refused", "%d of 16", right);
    ask_hash(packet, sizeof packet, 0, 128);
    check(!ask.error, "range-whole", "128 of 128 bytes");
    static uint8_t jumbo[4000];
    ask.offset = 0, ask.length = sizeof ask.row + 1;
    map_write(values_map, &ask);
    program_run(xor_packet, jumbo, 3000, 1);
    map_read(values_map, &ask);
    check(ask.error == -EMSGSIZE, "row-too-short-refused", "%d", ask.error);
}

// --- Parity ---

enum { ROW = 10, LONGEST = 1500 };

static uint8_t packets[ROW + 1][LONGEST];
static uint32_t lengths[ROW + 1];

// Adds a packet without its link's header to the row.
static void add(int index) {
    map_read(values_map, &ask);
    ask.offset = 14, ask.length = lengths[index] - 14;
    map_write(values_map, &ask);
    program_run(xor_packet, packets[index], lengths[index], 1);
    map_read(values_map, &ask);
    need(!ask.error, "xor of packet %d: %d", index, ask.error);
}

static void clear_row(void) {
    memset(ask.row, 0, sizeof ask.row);
    ask.runs = 0;
    map_write(values_map, &ask);
}

static void check_parity(void) {
    uint32_t longest = 0, sum = 0, restored = 0, seed = 7;
    for (int index = 0; index < ROW; index++) {
        lengths[index] = 60 + (seed = seed * 1103515245 + 12345) / 65536 % (LONGEST - 60);
        longest = lengths[index] > longest ? lengths[index] : longest;
        sum ^= lengths[index];
        for (uint32_t byte = 14; byte < lengths[index]; byte++)
            packets[index][byte] = (seed = seed * 1103515245 + 12345) >> 16;
    }
    clear_row();
    for (int index = 0; index < ROW; index++)
        add(index);
    check(ask.runs == ROW, "parity-adds", "%u packets of up to %u bytes", ask.runs, longest);
    lengths[ROW] = longest;
    memcpy(packets[ROW] + 14, ask.row, longest - 14);

    for (int lost = 0; lost < ROW; lost++) {
        // RFC 8627, section 6.3.2: the length of the lost one is what the others and the parity leave of the
        // sum.
        uint32_t length = sum;
        clear_row();
        for (int index = 0; index <= ROW; index++) {
            if (index == lost)
                continue;
            add(index);
            length ^= index < ROW ? lengths[index] : 0;
        }
        restored += length == lengths[lost] && !memcmp(ask.row, packets[lost] + 14, length - 14);
    }
    check(restored == ROW, "parity-restores", "%u of %d, each lost in turn", restored, ROW);
    clear_row();
    for (int index = 2; index <= ROW; index++)
        add(index);
    check(memcmp(ask.row, packets[0] + 14, 40), "parity-two-lost", "what is left is neither of them");
}

// --- Memory, and packets of several pieces ---

static void check_memory(struct bpf_object *object) {
    uint8_t frame[64], sum[64];
    clear_row();
    for (int index = 0; index < 64; index++)
        frame[index] = 3 * index, ask.row[index] = sum[index] = 200 - index;
    map_write(values_map, &ask);
    program_run(program_of(object, "bytes_in_tc"), frame, sizeof frame, 1);
    map_read(values_map, &ask);
    check(ask.runs == 1 && !ask.error && ask.hash == siphash(sum, 64, ask.key.bytes), "memory-in-tc",
          "%016llx", (unsigned long long)ask.hash);
    program_run(program_of(object, "bytes_in_xdp"), frame, sizeof frame, 1);
    map_read(values_map, &ask);
    for (int index = 0; index < 64; index++)
        sum[index] ^= frame[index];
    check(ask.runs == 2 && !ask.error && ask.hash == siphash(frame, 64, ask.key.bytes) &&
              !memcmp(ask.row, sum, 64),
          "memory-in-xdp", "%016llx", (unsigned long long)ask.hash);
}

// A datagram that the network card is asked to cut: its payload lies in pages beside the packet's head.
static void send_pieces(const uint8_t *payload, size_t bytes) {
    enum { SEGMENT = 103 }; // UDP_SEGMENT of linux/udp.h
    struct sockaddr_in to = {AF_INET, htons(7000), {inet_addr("10.9.0.9")}, {0}};
    int size = 1400, descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    need(descriptor >= 0 && !setsockopt(descriptor, IPPROTO_UDP, SEGMENT, &size, sizeof size), "UDP_SEGMENT");
    need(sendto(descriptor, payload, bytes, 0, (void *)&to, sizeof to) == (ssize_t)bytes, "send");
    close(descriptor);
    usleep(100000);
}

static void check_pieces(void) {
    static uint8_t payload[11200];
    for (size_t index = 0; index < sizeof payload; index++)
        payload[index] = index * 31 + (index >> 8);
    // Without packets of the devices' own.
    shell("f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 >$f; ip link add s0 type "
          "veth peer name r0 && ip addr add 10.9.0.1/24 dev s0 && ip link set s0 up && "
          "ip link set r0 up && ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev s0");
    int device = if_nametoindex("r0");
    enum { HEADERS = 42, LENGTH = 9000 };

    clear_row();
    ask.offset = HEADERS + 7, ask.length = LENGTH;
    map_write(values_map, &ask);
    attach_ingress(device, hash_packet);
    send_pieces(payload, sizeof payload);
    map_read(values_map, &ask);
    check(ask.runs == 1 && ask.linear_bytes < HEADERS + 7 + LENGTH &&
              ask.packet_bytes == HEADERS + sizeof payload && !ask.error &&
              ask.hash == siphash(payload + 7, LENGTH, ask.key.bytes),
          "siphash-in-pieces", "%u of %u bytes in the first piece, %016llx", ask.linear_bytes,
          ask.packet_bytes, (unsigned long long)ask.hash);
    detach_ingress(device);

    clear_row();
    ask.offset = HEADERS + 7, ask.length = 2000;
    map_write(values_map, &ask);
    attach_ingress(device, xor_packet);
    send_pieces(payload, sizeof payload);
    map_read(values_map, &ask);
    check(ask.runs == 1 && ask.linear_bytes < HEADERS + 7 + 2000 && !ask.error &&
              !memcmp(ask.row, payload + 7, 2000),
          "parity-in-pieces", "%u of %u bytes in the first piece", ask.linear_bytes, ask.packet_bytes);
    detach_ingress(device);
    shell("ip link del s0");
}

int main(void) {
    libbpf_set_print(be_silent);
    shell("modprobe veth");
    need(!module_load(""), "load the module");
    struct bpf_object *object = object_load("kfunc-values.bpf.o", NULL, NULL, 0);
    need(object, "load the programs");
    values_map = map_of(object, "values");
    hash_packet = program_of(object, "hash_packet");
    xor_packet = program_of(object, "xor_packet");
    check_vectors();
    check_limits();
    check_parity();
    check_memory(object);
    check_pieces();
    bpf_object__close(object);
    check(!module_unload_within(3000000000ull), "unload", "after the programs");
    return failures != 0;
}
