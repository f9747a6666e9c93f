// Extensions/Police.swift by hand.
struct police {
    __u64 bits_per_second;
    __u64 packets_per_second;
    __u32 burst_ms;
};

struct police_state {
    __u64 last_tick;
    __u64 bits;
    __u64 packets;
};

enum { POLICE_TOO_MANY_BITS, POLICE_TOO_MANY_PACKETS };
#define POLICE_ONE 1953125ull

static SR_INLINE __u64 police_filled(__u64 level, __u64 rate, __u64 elapsed, __u64 full, __u64 cost) {
    __u64 now = level + elapsed * 2 * rate;
    __u64 most = full * 2 * rate > cost ? full * 2 * rate : cost;
    return now < most ? now : most;
}

SR_INLINE int sr_author_relay(struct sr_view *view, const void *parameters, void *state) {
    const struct police *police = parameters;
    struct police_state *bucket = state;
    __u64 full = (__u64)police->burst_ms * 977;
    __u64 tick = view->call->arrival_ns >> 10, elapsed = 0;
    if (tick >= bucket->last_tick) {
        elapsed = tick - bucket->last_tick;
        bucket->last_tick = tick;
    } else if (bucket->last_tick - tick > full) {
        bucket->last_tick = tick;
    }
    if (elapsed > 1 << 20)
        elapsed = 1 << 20;
    __u64 cost = (__u64)view->call->payload_length * 8 * POLICE_ONE;
    __u64 bits = police_filled(bucket->bits, police->bits_per_second, elapsed, full, cost);
    __u64 packets = police_filled(bucket->packets, police->packets_per_second, elapsed, full, POLICE_ONE);
    bucket->bits = bits;
    bucket->packets = packets;
    if (police->bits_per_second && bits < cost) {
        sr_view_count(view, POLICE_TOO_MANY_BITS, 1);
        return SR_VERDICT_DROP;
    }
    if (police->packets_per_second && packets < POLICE_ONE) {
        sr_view_count(view, POLICE_TOO_MANY_PACKETS, 1);
        return SR_VERDICT_DROP;
    }
    if (police->bits_per_second)
        bucket->bits = bits - cost;
    if (police->packets_per_second)
        bucket->packets = packets - POLICE_ONE;
    return SR_VERDICT_FORWARD;
}
