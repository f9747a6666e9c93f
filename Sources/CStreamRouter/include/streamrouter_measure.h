// What sequence numbers and arrival times tell: loss, reordering, duplicates, interarrival jitter. Arithmetic
// on the structures of streamrouter_abi.h, for bpf/ and kmodule/. JitterStats in Swift does the same for
// engine process; a test feeds both the same packets.
#ifndef STREAMROUTER_MEASURE_H
#define STREAMROUTER_MEASURE_H

#include "streamrouter_abi.h"

#define SR_NS_PER_SECOND 1000000000ull
// A longer pause is a new beginning, not a delay.
#define SR_DISCONTINUITY_NS (10 * SR_NS_PER_SECOND)

// RFC 3550 section 5.1, the fixed part.
struct sr_rtp_header {
    __u8 flags;        // version in bits 7-6, CSRC count in bits 3-0
    __u8 payload_type; // marker in bit 7
    __be16 sequence;
    __be32 timestamp;
    __be32 ssrc;
};

enum sr_media { SR_MEDIA_RTP, SR_MEDIA_RTCP, SR_MEDIA_NEITHER, SR_MEDIA_MALFORMED };

// Which of the two a datagram with version 2 is: payload types 64 to 95 with the marker bit are RTCP
// (RFC 5761 section 4).
static __always_inline enum sr_media sr_classify(const struct sr_rtp_header *header, __u32 length,
                                                 __u8 protocol) {
    if (header->flags >> 6 != 2)
        return SR_MEDIA_NEITHER;
    if (header->payload_type >= 192 && header->payload_type <= 223)
        return SR_MEDIA_RTCP;
    if (protocol == SR_PROTOCOL_RTCP)
        return SR_MEDIA_NEITHER;
    if (length < sizeof(*header))
        return SR_MEDIA_NEITHER;
    if (length < sizeof(*header) + 4u * (header->flags & 0xf))
        return SR_MEDIA_MALFORMED;
    return SR_MEDIA_RTP;
}

// RTP clock rates of the static payload types (RFC 3551 tables 4 and 5); 90,000 for all others.
static __always_inline __u32 sr_clock_rate(__u8 payload_type) {
    switch (payload_type) {
    case 6:
        return 16000;
    case 10:
    case 11:
        return 44100;
    case 14:
        return 90000;
    case 16:
        return 11025;
    case 17:
        return 22050;
    }
    return payload_type <= 18 ? 8000 : 90000;
}

// One step of the estimator of RFC 3550 section 6.4.1, in 1/16 ns as appendix A.8 does it.
static __always_inline void sr_jitter_step(struct sr_source_state *source, __u64 difference_ns) {
    source->jitter_q4_ns += difference_ns - ((source->jitter_q4_ns + 8) >> 4);
    if (source->jitter_q4_ns > source->jitter_max_q4_ns)
        source->jitter_max_q4_ns = source->jitter_q4_ns;
}

static __always_inline void sr_measure_jitter(struct sr_flow *flow, struct sr_source_state *source,
                                              __u32 timestamp, __u64 arrival_ns) {
    __s64 arrival_step = (__s64)(arrival_ns - source->last_arrival_ns);
    __s32 ticks = (__s32)(timestamp - source->timestamp);
    __u64 magnitude = ticks < 0 ? -(__s64)ticks : ticks;
    __s64 media_step = (__s64)(magnitude * SR_NS_PER_SECOND / source->clock_rate);
    if (ticks < 0)
        media_step = -media_step;
    __s64 difference = arrival_step - media_step;
    __u64 distance = difference < 0 ? -difference : difference;
    if (distance > SR_DISCONTINUITY_NS) {
        source->variation_ns = 0;
        return;
    }
    sr_jitter_step(source, distance);
    sr_variation_add(&flow->variations.ipdv, distance, arrival_ns);
    __s64 drift = arrival_step > 0 ? arrival_step >> SR_VARIATION_DRIFT_LOG2 : 0;
    __s64 variation = (__s64)source->variation_ns + difference - drift;
    source->variation_ns = variation > 0 ? variation : 0;
    sr_variation_add(&flow->variations.pdv, source->variation_ns, arrival_ns);
}

// Bit `back` of the window: whether the sequence number that many before the highest has arrived.
static __always_inline int sr_window_test_and_set(struct sr_source_state *source, __u32 back) {
    __u64 bit = 1ull << (back & 63);
    __u64 *word = back < 64 ? &source->window[0] : &source->window[1];
    int was = (*word & bit) != 0;
    *word |= bit;
    return was;
}

static __always_inline void sr_window_shift(struct sr_source_state *source, __u32 steps) {
    if (steps < 64) {
        source->window[1] = source->window[1] << steps | source->window[0] >> (64 - steps);
        source->window[0] <<= steps;
    } else if (steps < SR_SEQUENCE_WINDOW) {
        source->window[1] = source->window[0] << (steps - 64);
        source->window[0] = 0;
    } else {
        source->window[0] = source->window[1] = 0;
    }
    source->window[0] |= 1;
}

// The slot of an SSRC, or the free or longest silent one made ready for it.
static __always_inline __u32 sr_source_slot(struct sr_flow *flow, __u32 ssrc) {
    __u32 newest = flow->newest & (SR_SSRC_SLOTS - 1);
    if (flow->source[newest].packets && flow->source[newest].ssrc == ssrc)
        return newest;
    __u32 oldest = 0;
    __u64 oldest_ns = ~0ull;
    for (__u32 i = 0; i < SR_SSRC_SLOTS; i++) {
        struct sr_source_state *source = &flow->source[i];
        if (source->packets && source->ssrc == ssrc)
            return i;
        __u64 last = source->packets ? source->last_arrival_ns : 0;
        if (last < oldest_ns) {
            oldest = i;
            oldest_ns = last;
        }
    }
    flow->source[oldest].packets = 0;
    return oldest;
}

// What one RTP packet changed, for the counters, which are written outside the lock.
struct sr_rtp_effect {
    __u32 missing;
    __u8 late;
    __u8 duplicate;
    __u8 restart;
    __u8 zero;
};

// One RTP packet as the account sees it.
struct sr_rtp_arrival {
    __u64 arrival_ns;
    __u32 ssrc; // network order
    __u32 timestamp;
    __u32 clock_rate; // Hz
    __u16 sequence;
    __u16 zero;
};

static __always_inline struct sr_rtp_effect sr_source_effect(struct sr_flow *flow,
                                                             const struct sr_rtp_arrival *packet) {
    struct sr_rtp_effect effect = {};
    __u32 ssrc = packet->ssrc, timestamp = packet->timestamp, clock_rate = packet->clock_rate;
    __u16 sequence = packet->sequence;
    __u64 arrival_ns = packet->arrival_ns;
    __u32 slot = sr_source_slot(flow, ssrc);
    slot &= SR_SSRC_SLOTS - 1;
    struct sr_source_state *source = &flow->source[slot];

    if (!source->packets) {
        // A first SSRC is no restart; another one beside it or in its place is.
        for (__u32 i = 0; i < SR_SSRC_SLOTS; i++)
            if (flow->source[i].packets)
                effect.restart = 1;
        if (source->clock_rate)
            effect.restart = 1;
        source->ssrc = ssrc;
        source->packets = 1;
        source->clock_rate = clock_rate;
        source->highest = sequence;
        source->window[0] = 1;
        source->window[1] = 0;
        source->jitter_q4_ns = 0;
        source->jitter_max_q4_ns = 0;
        source->restart_pending = 0;
        source->variation_ns = 0;
        source->timestamp = timestamp;
        source->last_arrival_ns = arrival_ns;
        flow->newest = slot;
        return effect;
    }

    __u16 step = sequence - source->highest;
    flow->newest = slot;
    if (step == 0) {
        effect.duplicate = 1;
        return effect;
    }
    if (step < SR_MAX_DROPOUT) {
        effect.missing = step - 1;
        sr_window_shift(source, step);
        source->highest = sequence;
        source->restart_pending = 0;
        sr_measure_jitter(flow, source, timestamp, arrival_ns);
    } else if (step >= 65536 - SR_MAX_MISORDER) {
        if (sr_window_test_and_set(source, 65536 - step)) {
            effect.duplicate = 1;
            return effect;
        }
        effect.late = 1;
        sr_measure_jitter(flow, source, timestamp, arrival_ns);
    } else if (source->restart_pending && source->restart == sequence) {
        effect.restart = 1;
        source->highest = sequence;
        source->window[0] = 1;
        source->window[1] = 0;
        source->restart_pending = 0;
        source->variation_ns = 0;
    } else {
        // Whether the source restarted or one packet is astray, the next packet tells.
        source->restart = sequence + 1;
        source->restart_pending = 1;
        return effect;
    }
    source->timestamp = timestamp;
    source->last_arrival_ns = arrival_ns;
    if (!++source->packets)
        source->packets = 1;
    return effect;
}

// The effect as one word: global functions return numbers only.
union sr_rtp_effect_word {
    struct sr_rtp_effect effect;
    __u64 word;
};

static __always_inline void sr_count_rtp(struct sr_counters *account, __u64 word) {
    account->value[SR_RTP_PACKETS]++;
    if (!word)
        return;
    union sr_rtp_effect_word result = {.word = word};
    account->value[SR_RTP_MISSING] += result.effect.missing;
    account->value[SR_RTP_LATE] += result.effect.late;
    account->value[SR_RTP_DUPLICATES] += result.effect.duplicate;
    account->value[SR_RTP_RESTARTS] += result.effect.restart;
}

// Protocol udp has no timestamps: the same filter over the change of the interarrival time.
static __always_inline void sr_measure_udp(struct sr_flow *flow, __u64 arrival_ns) {
    struct sr_source_state *source = &flow->source[0];
    __u64 gap = arrival_ns - source->last_arrival_ns;
    if (source->packets >= 2) {
        __s64 change = (__s64)(gap - source->last_gap_ns);
        __u64 distance = change < 0 ? -change : change;
        if (distance <= SR_DISCONTINUITY_NS) {
            sr_jitter_step(source, distance);
            sr_variation_add(&flow->variations.ipdv, distance, arrival_ns);
        }
    }
    source->last_gap_ns = gap;
    source->last_arrival_ns = arrival_ns;
    if (!++source->packets)
        source->packets = 2;
}

static __always_inline void sr_measure_residence(struct sr_counters *account, __u64 residence_ns,
                                                 __u32 packets) {
    account->residence_sum_ns += residence_ns * packets;
    if (residence_ns > account->residence_max_ns)
        account->residence_max_ns = residence_ns;
    __u64 bucket = sr_residence_bucket(residence_ns);
    // The compiler knows the bound and would leave the check out; older verifiers do not.
    asm volatile("" : "+r"(bucket));
    if (bucket < SR_RESIDENCE_BUCKETS)
        account->residence[bucket] += packets;
}

#endif
