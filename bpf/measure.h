// From a packet to its account: streamrouter_measure.h has the arithmetic.
#ifndef SR_MEASURE_H
#define SR_MEASURE_H

#include "parse.h"
#include "streamrouter_measure.h"

// A global function, so that the verifier looks at it once. The caller holds the flow.
__noinline __u64 sr_measure_source(struct sr_flow *flow, const struct sr_rtp_arrival *packet) {
    union sr_rtp_effect_word result = {};
    if (flow && packet)
        result.effect = sr_source_effect(flow, packet);
    return result.word;
}

// Takes the flow for this processor, or gives up: a packet does not wait for another one's account. Not a BPF
// spin lock, which costs twice as much, forbids helpers while it is held, and is only ever waited for.
static __always_inline int sr_flow_take(struct sr_flow *flow) {
    for (int attempt = 0; attempt < SR_FLOW_ATTEMPTS; attempt++) {
        __u32 sequence = *(volatile __u32 *)&flow->sequence;
        if (!(sequence & 1) && __sync_bool_compare_and_swap(&flow->sequence, sequence, sequence + 1))
            return 1;
    }
    return 0;
}

// As above, but patiently: for packets that cannot do without the flow. A global function, so that the
// verifier looks at one round of attempts only.
__noinline int sr_flow_wait(struct sr_flow *flow) {
    return flow ? sr_flow_take(flow) : 0;
}

static __always_inline void sr_flow_give_back(struct sr_flow *flow) {
    // The returned value makes it an atomic with a full barrier: what was written before is seen before.
    __u32 before = __sync_fetch_and_add(&flow->sequence, 1);
    asm volatile("" : : "r"(before) : "memory");
}

// Keeps the beginning of an RTCP datagram for the node, which reads what peers report. Whatever fails here,
// the packet goes on. A global function, so that the verifier looks at it once.
__noinline int sr_keep_report(struct __sk_buff *skb, const struct sr_packet *packet, __u32 index,
                              __u32 length) {
    if (!packet)
        return 0;
    struct sr_reports *kept = bpf_map_lookup_elem(&reports, &index);
    if (!kept)
        return 0;
    if (packet->unmeasured) {
        __sync_fetch_and_add(&kept->missed, 1);
        return 0;
    }
    __u64 slot = kept->head % SR_REPORT_SLOTS;
    __u64 bytes = length < SR_REPORT_BYTES ? length : SR_REPORT_BYTES;
    // The compiler knows the upper bounds and would leave the checks out; older verifiers do not.
    asm volatile("" : "+r"(slot), "+r"(bytes));
    if (slot >= SR_REPORT_SLOTS || bytes > SR_REPORT_BYTES)
        return 0;
    // By itself: the compiler would make one test of a difference of both bounds, which the verifier cannot
    // relate.
    asm volatile("" : "+r"(bytes));
    if (bytes < 8)
        return 0;
    struct sr_report *report = &kept->report[slot];
    report->arrival_ns = packet->call.arrival_ns;
    report->length = length;
    report->kept = bytes;
    if (bpf_skb_load_bytes(skb, packet->segment_offset - length, report->bytes, bytes))
        return 0;
    sr_report_filled(kept);
    return 1;
}

// Classifies and accounts one datagram, its sequence number and time only where this processor holds the
// flow. Returns 0, or the counter of the cause to drop the packet for. A global function, so that the
// verifier looks at it once and not once for each datagram of a GSO packet.
__noinline __u32 sr_measure_segment(struct __sk_buff *skb, struct sr_packet *packet,
                                    const struct sr_relay *relay, struct sr_counters *account,
                                    struct sr_flow *flow) {
    if (!packet || !relay || !account || !flow)
        return SR_DROP_SEND;
    __u32 length = packet->left < packet->segment_length ? packet->left : packet->segment_length;
    // 8 bytes is the shortest RTCP packet (RFC 3550 section 6.4.2).
    struct sr_rtp_header header = {};
    if (length < 8)
        return SR_DROP_NOT_RTP;
    // The verifier wants a bound below the longest packet.
    __u64 offset = packet->segment_offset & 0x7fff;
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    struct sr_rtp_header *linear = data + offset;
    if (offset == packet->segment_offset && length >= sizeof(header) && (void *)(linear + 1) <= end)
        header = *linear;
    // It may lie behind the linear part: copied out, not pointed to.
    else if (length < sizeof(header)
                 ? bpf_skb_load_bytes(skb, packet->segment_offset, &header, 8)
                 : bpf_skb_load_bytes(skb, packet->segment_offset, &header, sizeof(header)))
        return SR_DROP_MALFORMED;
    packet->segment_offset += length;
    packet->left -= length;

    switch (sr_classify(&header, length, relay->protocol)) {
    case SR_MEDIA_NEITHER:
        return SR_DROP_NOT_RTP;
    case SR_MEDIA_MALFORMED:
        return SR_DROP_MALFORMED;
    case SR_MEDIA_RTCP:
        account->value[SR_RTCP_PACKETS]++;
        sr_keep_report(skb, packet, relay->index, length);
        return 0;
    case SR_MEDIA_RTP:
        break;
    }
    if (packet->unmeasured) {
        account->value[SR_UNMEASURED]++;
        return 0;
    }
    struct sr_rtp_arrival arrival = {
        .arrival_ns = packet->call.arrival_ns,
        .ssrc = header.ssrc,
        .timestamp = bpf_ntohl(header.timestamp),
        .clock_rate = relay->clock_rate ? relay->clock_rate : sr_clock_rate(header.payload_type & 0x7f),
        .sequence = bpf_ntohs(header.sequence),
    };
    sr_count_rtp(account, sr_measure_source(flow, &arrival));
    return 0;
}

// Classifies and accounts each datagram of a packet. Returns 0, or the counter of the cause to drop it for.
static __always_inline __u32 sr_measure_rtp(struct __sk_buff *skb, struct sr_packet *packet,
                                            const struct sr_relay *relay, struct sr_counters *account,
                                            struct sr_flow *flow) {
    packet->segment_offset = packet->call.udp_offset + sizeof(struct udphdr);
    packet->left = packet->call.payload_length;
    for (__u32 i = 0; i < SR_MAX_SEGMENTS; i++) {
        __u32 cause = sr_measure_segment(skb, packet, relay, account, flow);
        if (cause)
            return cause;
        if (!packet->left)
            break;
    }
    return 0;
}

// Accounts the datagrams of a packet, in the flow where it is held. Returns 0, or the counter of the cause to
// drop it for.
static __always_inline __u32 sr_measure(struct __sk_buff *skb, struct sr_packet *packet,
                                        const struct sr_relay *relay, struct sr_counters *account,
                                        struct sr_flow *flow) {
    if (relay->protocol != SR_PROTOCOL_UDP)
        return sr_measure_rtp(skb, packet, relay, account, flow);
    if (packet->unmeasured)
        account->value[SR_UNMEASURED] += packet->segments;
    else
        sr_measure_udp(flow, packet->call.arrival_ns);
    return 0;
}

#endif
