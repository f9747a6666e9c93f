// The frame around an author's extension: what `streamrouter extension build` compiles together with the
// Swift of one extension into a program that takes one of the datapath's places (extend.h).
//
// The functions without `static` are what the SDK calls (Core.swift of the SDK declares them); they are
// inlined into the program, like the author's own. Offsets and values come from the author and are checked
// here.
//
//   SR_STATE_BYTES, SR_PARAMETER_BYTES   sizes of the author's records; 0 where there is none
//   SR_FUNCTIONS                         what the author needs or likes: bits of enum sr_packet_function
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "functions.h"
#include "streamrouter_abi.h"

#define SR_INLINE __attribute__((always_inline))

#ifndef SR_FUNCTIONS
#define SR_FUNCTIONS 0
#endif

// Tables have records of a byte at least, also those that nothing is looked up in.
struct sr_state_record {
    __u8 bytes[SR_STATE_BYTES ? SR_STATE_BYTES : 1];
} __attribute__((aligned(8)));

struct sr_parameter_record {
    __u8 bytes[SR_PARAMETER_BYTES ? SR_PARAMETER_BYTES : 1];
} __attribute__((aligned(8)));

// The author's state of each relay that uses the extension: whoever holds the relay's flow works on it.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sr_state_record);
} states_XX SEC(".maps");

// What the topology says, for each relay.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_RDONLY_PROG);
    __type(key, __u32);
    __type(value, struct sr_parameter_record);
} parameters_XX SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sr_extension_account);
} accounts_XX SEC(".maps");

// What the SDK's packet stands for.
struct sr_view {
    struct __sk_buff *skb;
    struct sr_call *call;
    struct sr_extension_account *account;
};

enum {
    SR_MAX_UDP_OFFSET = 0xff, // of the UDP header in the frame, as the datapath has found it
    SR_MAX_OFFSET = 0x3fff,   // within a datagram: more than a jumbo frame
    SR_UDP_BYTES = 8,
};

// The author's code: compiled from Swift.
extern int sr_author_relay(struct sr_view *view, const void *parameters, void *state);

// MARK: What the SDK asks for

SR_INLINE __u64 sr_view_arrival_ns(const struct sr_view *view) {
    return view->call->arrival_ns;
}
SR_INLINE __u32 sr_view_length(const struct sr_view *view) {
    return view->call->payload_length;
}
SR_INLINE __u32 sr_view_hop(const struct sr_view *view) {
    return view->call->hop;
}
SR_INLINE __u32 sr_view_protocol(const struct sr_view *view) {
    return view->call->protocol;
}
SR_INLINE __u32 sr_view_stream(const struct sr_view *view) {
    return view->call->stream;
}
SR_INLINE __u32 sr_view_sink_count(const struct sr_view *view) {
    return view->call->sink_count;
}
SR_INLINE __u32 sr_view_is_ipv6(const struct sr_view *view) {
    return view->call->is_ipv6;
}
SR_INLINE __u32 sr_view_source_port(const struct sr_view *view) {
    return bpf_ntohs(view->call->source_port);
}
SR_INLINE __u32 sr_view_dscp(const struct sr_view *view) {
    return view->call->dscp;
}
SR_INLINE void sr_view_set_dscp(struct sr_view *view, __u32 dscp) {
    view->call->dscp = dscp & 0x3f;
}
SR_INLINE void sr_view_keep_sinks(struct sr_view *view, __u32 sinks) {
    view->call->sinks &= sinks;
}
SR_INLINE __u32 sr_view_random(void) {
    return bpf_get_prandom_u32();
}
SR_INLINE void sr_view_count(struct sr_view *view, __u32 counter, __u64 amount) {
    if (counter < SR_EXTENSION_COUNTERS)
        view->account->counters[counter] += amount;
}
// 1 unless the value is 0, without a branch: the verifier follows each side of every branch, and what it has
// to look at doubles with each of them.
static SR_INLINE __u64 sr_nonzero(__u64 value) {
    __u64 negative = -value;
    asm volatile("" : "+r"(negative)); // or the compiler sees through it and makes a branch of it
    return (value | negative) >> 63;
}

SR_INLINE void sr_view_record(struct sr_view *view, __u64 value) {
    // How many bits the value has.
    __u64 rest = value, bits = 0;
#pragma clang loop unroll(full)
    for (int step = 5; step >= 0; step--) {
        __u64 more = sr_nonzero(rest >> (1 << step)) << step;
        rest >>= more;
        bits += more;
    }
    bits += rest;
    __u32 bucket = bits < SR_EXTENSION_BUCKETS ? bits : SR_EXTENSION_BUCKETS - 1;
    view->account->histogram[bucket & (SR_EXTENSION_BUCKETS - 1)]++;
    view->account->histogram_sum += value;
}

// `bytes` (1, 2, 4 or 8) at an offset of the frame, in network order, wherever they lie; -1 in `*failed`.
static SR_INLINE __u64 sr_load(const struct sr_view *view, __u64 offset, __u32 bytes, __u32 *failed) {
    struct __sk_buff *skb = view->skb;
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    __u8 *from = data + offset;
    // One pointer for check and load: older verifiers do not see that two sums are the same.
    asm volatile("" : "+r"(from));
    __u64 value = 0;
    if ((void *)(from + bytes) <= end) {
        switch (bytes) {
        case 1:
            return *from;
        case 2:
            return bpf_ntohs(*(__u16 *)from);
        case 4:
            return bpf_ntohl(*(__u32 *)from);
        default:
            return bpf_be64_to_cpu(*(__u64 *)from);
        }
    }
    if (bpf_skb_load_bytes(skb, offset, &value, bytes)) {
        *failed = 1;
        return 0;
    }
    switch (bytes) {
    case 1:
        return (__u8)value;
    case 2:
        return bpf_ntohs((__u16)value);
    case 4:
        return bpf_ntohl((__u32)value);
    default:
        return bpf_be64_to_cpu(value);
    }
}

// Whether the datagram's payload has `bytes` at `offset`.
static SR_INLINE int sr_in_payload(const struct sr_view *view, __u64 offset, __u32 bytes) {
    return offset <= SR_MAX_OFFSET && offset + bytes <= view->call->payload_length;
}

// A value below a power of two. The compiler may know that it is and leave the mask out, which older
// verifiers need.
static SR_INLINE __u64 sr_bounded(__u64 value, __u64 mask) {
    asm volatile("" : "+r"(value));
    return value & mask;
}

static SR_INLINE __u64 sr_payload(const struct sr_view *view, __u64 offset) {
    return sr_bounded(view->call->udp_offset, SR_MAX_UDP_OFFSET) + SR_UDP_BYTES +
           sr_bounded(offset, SR_MAX_OFFSET);
}

#define SR_VIEW_LOAD(bits)                                                                                   \
    SR_INLINE __u##bits sr_view_load##bits(const struct sr_view *view, __u64 offset, __u32 *failed) {        \
        if (!sr_in_payload(view, offset, bits / 8)) {                                                        \
            *failed = 1;                                                                                     \
            return 0;                                                                                        \
        }                                                                                                    \
        return (__u##bits)sr_load(view, sr_payload(view, offset), bits / 8, failed);                         \
    }
SR_VIEW_LOAD(8)
SR_VIEW_LOAD(16)
SR_VIEW_LOAD(32)
SR_VIEW_LOAD(64)

// A byte of the IP header.
SR_INLINE __u32 sr_view_ip_byte(const struct sr_view *view, __u64 offset, __u32 *failed) {
    if (offset >= 40) {
        *failed = 1;
        return 0;
    }
    return sr_load(view, sr_bounded(view->call->headers_offset, SR_MAX_UDP_OFFSET) + sr_bounded(offset, 63),
                   1, failed);
}

// Writes `bytes` (1, 2, 4) in network order and keeps the UDP checksum right, which counts 16-bit words from
// the start of the UDP header: a byte is written as the half of its word that it is. Returns 0, or 1 where it
// is not the payload's or cannot be written.
static SR_INLINE __u32 sr_store(struct sr_view *view, __u64 offset, __u32 value, __u32 bytes) {
    if (!sr_in_payload(view, offset, bytes))
        return 1;
    struct __sk_buff *skb = view->skb;
    __u64 at = sr_payload(view, offset);
    __u32 failed = 0;
    __u32 before = sr_load(view, at, bytes, &failed);
    if (failed)
        return 1;
    if (before == value)
        return 0;
    union {
        __u32 word;
        __u16 half;
        __u8 byte;
    } wire = {};
    __u64 from = before, to = value;
    if (bytes == 1) {
        wire.byte = value;
        // The payload starts at an even offset of the UDP header.
        if (!(offset & 1)) {
            from <<= 8;
            to <<= 8;
        }
    } else {
        if (bytes == 2)
            wire.half = bpf_htons(value);
        else
            wire.word = bpf_htonl(value);
        // At an odd offset each byte is the other half of a word: the sum of the swapped bytes is the swapped
        // sum (RFC 1071 section 2B).
        if (offset & 1) {
            from = (from >> 8 & 0x00ff00ff) | (from << 8 & 0xff00ff00);
            to = (to >> 8 & 0x00ff00ff) | (to << 8 & 0xff00ff00);
        }
    }
    if (bpf_skb_store_bytes(skb, at, &wire, bytes, 0))
        return 1;
    __u32 check = (view->call->udp_offset & SR_MAX_UDP_OFFSET) + 6;
    return bpf_l4_csum_replace(skb, check, bpf_htonl(from), bpf_htonl(to), BPF_F_MARK_MANGLED_0 | 4) != 0;
}

SR_INLINE __u32 sr_view_store8(struct sr_view *view, __u64 offset, __u32 value) {
    return sr_store(view, offset, (__u8)value, 1);
}
SR_INLINE __u32 sr_view_store16(struct sr_view *view, __u64 offset, __u32 value) {
    return sr_store(view, offset, (__u16)value, 2);
}
SR_INLINE __u32 sr_view_store32(struct sr_view *view, __u64 offset, __u32 value) {
    return sr_store(view, offset, value, 4);
}

// MARK: What the kernel module does

// What was not asked for is not there, wherever it would be.
SR_INLINE __u32 sr_view_functions(const struct sr_view *view) {
    return SR_FUNCTIONS & view->call->functions;
}

SR_INLINE __u32 sr_view_hold(struct sr_view *view, __u64 release_ns) {
    if (!(sr_view_functions(view) & SR_FUNCTION_HOLD))
        return 1;
    // 0 would be at once, before what is held.
    view->call->release_ns = release_ns | !release_ns;
    return 0;
}

SR_INLINE __u32 sr_view_parity(struct sr_view *view, __u64 offset, __u64 length, void *row, __u64 at) {
    if (!(sr_view_functions(view) & SR_FUNCTION_PARITY) || length > SR_ROW_BYTES - SR_ROW_HEAD_BYTES ||
        at >= SR_ROW_HEAD_BYTES || !sr_in_payload(view, offset, length))
        return 1;
    return sr_function_parity(view->skb, sr_payload(view, offset), length, row, at) != 0;
}

SR_INLINE void sr_view_clear(void *row) {
    __u64 *words = row;
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < SR_ROW_BYTES / 8; i++) {
        words[i] = 0;
        asm volatile("" : : : "memory"); // or it becomes a call of memset
    }
}

SR_INLINE __u64 sr_view_hash(struct sr_view *view, __u64 offset, __u64 length, const __u64 words[2],
                             __u32 *failed) {
    struct sr_key key = {{words[0], words[1]}};
    __u64 hash = 0;
    if (!(sr_view_functions(view) & SR_FUNCTION_HASH) || length > SR_MAX_OFFSET ||
        !sr_in_payload(view, offset, length) ||
        sr_function_hash(view->skb, sr_payload(view, offset), length, &key, &hash)) {
        *failed = 1;
        return 0;
    }
    return hash;
}

// At most one for each packet that comes.
SR_INLINE __u32 sr_view_emit(struct sr_view *view, void *row, __u64 length) {
    if (!(sr_view_functions(view) & SR_FUNCTION_EMIT) || view->call->made || length > SR_ROW_BYTES ||
        sr_function_emit(view->skb, sr_payload(view, 0), row, length))
        return 1;
    view->call->made = 1;
    return 0;
}

#ifdef SR_AUTHOR_FILE
// An author's code in C, to compare with (Benchmarks/extensions).
#include SR_AUTHOR_FILE
#endif

// MARK: The function

__noinline int sr_extension_XX(struct __sk_buff *skb, struct sr_call *call) {
    if (!call)
        return SR_VERDICT_NONE;
    __u32 instance = call->instance;
    struct sr_extension_account *account = bpf_map_lookup_elem(&accounts_XX, &instance);
    if (!account)
        return SR_VERDICT_NONE;
    // A record of no bytes may be anywhere.
    const void *parameter = account;
    void *state = account;
    if (SR_PARAMETER_BYTES)
        parameter = bpf_map_lookup_elem(&parameters_XX, &instance);
    if (SR_STATE_BYTES)
        state = bpf_map_lookup_elem(&states_XX, &instance);
    if (!parameter || !state)
        return SR_VERDICT_NONE;
    struct sr_view view = {.skb = skb, .call = call, .account = account};
    __u64 started = account->runs++ % SR_EXTENSION_SAMPLE ? 0 : bpf_ktime_get_ns();
    __u32 verdict = sr_author_relay(&view, parameter, state) & 3;
    account->verdicts[verdict]++;
    if (started)
        sr_extension_timed(account, bpf_ktime_get_ns() - started);
    return verdict;
}
