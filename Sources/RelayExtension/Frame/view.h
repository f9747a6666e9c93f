// What the SDK asks of the frame around an author's extension at user level: the same functions as in
// bpf/extension.c, on plain memory. SR_FUNCTIONS is as there. Each frame includes it once, and has
// sr_view_random(), sr_view_emit() and the entry itself.
#ifndef SR_VIEW_H
#define SR_VIEW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "sr_extension_process.h"

#define SR_INLINE __attribute__((always_inline))

#ifndef SR_FUNCTIONS
#define SR_FUNCTIONS 0
#endif

enum { SR_HASHED_BYTES = 9216 }; // as SR_HASH_BYTES of the kernel module

// What the SDK's packet stands for.
struct sr_view {
    const struct sr_datagram *datagram;
    struct sr_call *call;
    struct sr_extension_account *account;
};

extern int sr_author_relay(struct sr_view *view, const void *parameters, void *state);

SR_INLINE uint64_t sr_view_arrival_ns(const struct sr_view *view) {
    return view->call->arrival_ns;
}
SR_INLINE uint32_t sr_view_length(const struct sr_view *view) {
    return view->call->payload_length;
}
SR_INLINE uint32_t sr_view_hop(const struct sr_view *view) {
    return view->call->hop;
}
SR_INLINE uint32_t sr_view_protocol(const struct sr_view *view) {
    return view->call->protocol;
}
SR_INLINE uint32_t sr_view_stream(const struct sr_view *view) {
    return view->call->stream;
}
SR_INLINE uint32_t sr_view_sink_count(const struct sr_view *view) {
    return view->call->sink_count;
}
SR_INLINE uint32_t sr_view_is_ipv6(const struct sr_view *view) {
    return view->call->is_ipv6;
}
SR_INLINE uint32_t sr_view_source_port(const struct sr_view *view) {
    return __builtin_bswap16(view->call->source_port);
}
SR_INLINE uint32_t sr_view_dscp(const struct sr_view *view) {
    return view->call->dscp;
}
SR_INLINE void sr_view_set_dscp(struct sr_view *view, uint32_t dscp) {
    view->call->dscp = dscp & 0x3f;
}
SR_INLINE void sr_view_keep_sinks(struct sr_view *view, uint32_t sinks) {
    view->call->sinks &= sinks;
}
SR_INLINE void sr_view_count(struct sr_view *view, uint32_t counter, uint64_t amount) {
    if (counter < SR_EXTENSION_COUNTERS)
        view->account->counters[counter] += amount;
}
SR_INLINE void sr_view_record(struct sr_view *view, uint64_t value) {
    uint32_t bucket = value ? 64 - (uint32_t)__builtin_clzll(value) : 0;
    if (bucket >= SR_EXTENSION_BUCKETS)
        bucket = SR_EXTENSION_BUCKETS - 1;
    view->account->histogram[bucket]++;
    view->account->histogram_sum += value;
}

static SR_INLINE int sr_in_payload(const struct sr_view *view, uint64_t offset, uint32_t bytes) {
    return offset <= 0x3fff && offset + bytes <= view->call->payload_length;
}

#define SR_VIEW_LOAD(bits, swap)                                                                             \
    SR_INLINE uint##bits##_t sr_view_load##bits(const struct sr_view *view, uint64_t offset,                 \
                                                uint32_t *failed) {                                          \
        uint##bits##_t value;                                                                                \
        if (!sr_in_payload(view, offset, bits / 8)) {                                                        \
            *failed = 1;                                                                                     \
            return 0;                                                                                        \
        }                                                                                                    \
        memcpy(&value, view->datagram->payload + offset, sizeof(value));                                     \
        return swap(value);                                                                                  \
    }
#define SR_SAME(value) (value)
SR_VIEW_LOAD(8, SR_SAME)
SR_VIEW_LOAD(16, __builtin_bswap16)
SR_VIEW_LOAD(32, __builtin_bswap32)
SR_VIEW_LOAD(64, __builtin_bswap64)

SR_INLINE uint32_t sr_view_ip_byte(const struct sr_view *view, uint64_t offset, uint32_t *failed) {
    if (offset >= sizeof(view->datagram->ip)) {
        *failed = 1;
        return 0;
    }
    return view->datagram->ip[offset];
}

#define SR_VIEW_STORE(bits, swap)                                                                            \
    SR_INLINE uint32_t sr_view_store##bits(struct sr_view *view, uint64_t offset, uint32_t value) {          \
        if (!sr_in_payload(view, offset, bits / 8))                                                          \
            return 1;                                                                                        \
        uint##bits##_t wire = swap((uint##bits##_t)value);                                                   \
        memcpy(view->datagram->payload + offset, &wire, sizeof(wire));                                       \
        return 0;                                                                                            \
    }
// What was asked for and is there: of what needs no more than the packet, everything.
SR_INLINE uint32_t sr_view_functions(const struct sr_view *view) {
    return SR_FUNCTIONS & (view->call->functions | SR_FUNCTIONS_NATIVE);
}

SR_INLINE uint32_t sr_view_hold(struct sr_view *view, uint64_t release_ns) {
    if (!(sr_view_functions(view) & SR_FUNCTION_HOLD))
        return 1;
    view->call->release_ns = release_ns | !release_ns;
    return 0;
}

SR_INLINE uint32_t sr_view_parity(struct sr_view *view, uint64_t offset, uint64_t length, void *row,
                                  uint64_t at) {
    uint8_t *bytes = (uint8_t *)row + at;
    if (!(sr_view_functions(view) & SR_FUNCTION_PARITY) || !length ||
        length > SR_ROW_BYTES - SR_ROW_HEAD_BYTES || at >= SR_ROW_HEAD_BYTES ||
        !sr_in_payload(view, offset, (uint32_t)length))
        return 1;
    for (uint64_t i = 0; i < length; i++)
        bytes[i] ^= view->datagram->payload[offset + i];
    return 0;
}

SR_INLINE void sr_view_clear(void *row) {
    memset(row, 0, SR_ROW_BYTES);
}

static inline uint64_t sr_rotated(uint64_t word, unsigned bits) {
    return word << bits | word >> (64 - bits);
}

static inline void sr_sip_rounds(uint64_t v[4], int rounds) {
    while (rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = sr_rotated(v[1], 13) ^ v[0];
        v[3] = sr_rotated(v[3], 16) ^ v[2];
        v[0] = sr_rotated(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = sr_rotated(v[1], 17) ^ v[2];
        v[3] = sr_rotated(v[3], 21) ^ v[0];
        v[2] = sr_rotated(v[2], 32);
    }
}

// SipHash-2-4 (Aumasson and Bernstein, 2012, section 2), as the kernel module has it.
static inline uint64_t sr_sip_hash(const uint8_t *bytes, uint64_t length, uint64_t first, uint64_t second) {
    uint64_t v[4] = {first ^ 0x736f6d6570736575, second ^ 0x646f72616e646f6d, first ^ 0x6c7967656e657261,
                     second ^ 0x7465646279746573};
    uint64_t last = length << 56, word;
    for (uint64_t at = 0; at < length / 8 * 8; at += 8) {
        memcpy(&word, bytes + at, 8);
        v[3] ^= word;
        sr_sip_rounds(v, 2);
        v[0] ^= word;
    }
    for (uint64_t i = 0; i < length % 8; i++)
        last |= (uint64_t)bytes[length / 8 * 8 + i] << 8 * i;
    v[3] ^= last;
    sr_sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    sr_sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

SR_INLINE uint64_t sr_view_hash(struct sr_view *view, uint64_t offset, uint64_t length,
                                const uint64_t words[2], uint32_t *failed) {
    if (!(sr_view_functions(view) & SR_FUNCTION_HASH) || !length || length > SR_HASHED_BYTES ||
        !sr_in_payload(view, offset, (uint32_t)length)) {
        *failed = 1;
        return 0;
    }
    return sr_sip_hash(view->datagram->payload + offset, length, words[0], words[1]);
}

SR_VIEW_STORE(8, SR_SAME)
SR_VIEW_STORE(16, __builtin_bswap16)
SR_VIEW_STORE(32, __builtin_bswap32)

#endif
