// What the SDK asks of the frame around an author's extension at user level: the same functions as in
// bpf/extension.c, on plain memory. Each frame includes it once, and has sr_view_random() and the entry
// itself.
#ifndef SR_VIEW_H
#define SR_VIEW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "sr_extension_process.h"

#define SR_INLINE __attribute__((always_inline))

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
SR_VIEW_STORE(8, SR_SAME)
SR_VIEW_STORE(16, __builtin_bswap16)
SR_VIEW_STORE(32, __builtin_bswap32)

#endif
