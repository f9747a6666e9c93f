// Extensions/Dedup.swift by hand.
struct dedup {
    __u32 restart_ms;
    __u8 count_only;
};

struct dedup_source {
    __u32 ssrc;
    __u32 newest;
    __u64 arrival_ns;
};

struct dedup_state {
    struct dedup_source sources[4];
    __u32 seen[8192];
};

enum { DEDUP_COPIES, DEDUP_FILLED, DEDUP_OUTSIDE, DEDUP_RESTARTS, DEDUP_SOURCES };

static SR_INLINE void dedup_begin(struct dedup_state *state, __u32 place, __u32 ssrc, __u16 sequence,
                                  __u64 now) {
    place &= 3;
    __u32 number = ((state->sources[place].newest & 0xffff0000) + 0x20000) | sequence;
    state->sources[place] = (struct dedup_source){ssrc, number, now};
    state->seen[place * 2048 | (number & 2047)] = number;
}

SR_INLINE int sr_author_relay(struct sr_view *view, const void *parameters, void *memory) {
    const struct dedup *dedup = parameters;
    struct dedup_state *state = memory;
    int copy = dedup->count_only ? SR_VERDICT_FORWARD : SR_VERDICT_DROP;
    __u32 failed = 0;
    if (view->call->protocol != SR_PROTOCOL_RTP)
        return SR_VERDICT_FORWARD;
    __u32 word = sr_view_load32(view, 0, &failed);
    __u32 kind = word >> 16 & 0xff;
    sr_view_load32(view, 4, &failed);
    __u32 ssrc = sr_view_load32(view, 8, &failed);
    if (failed || word >> 30 != 2 || (kind >= 192 && kind <= 223))
        return SR_VERDICT_FORWARD;
    __u16 sequence = word;
    __u64 now = view->call->arrival_ns;
    __u32 place = 4;
    for (__u32 i = 0; i < 4; i++) {
        if (state->sources[i].ssrc == ssrc && state->sources[i].newest) {
            place = i;
            break;
        }
    }
    if (place == 4) {
        __u32 oldest = 0;
        for (__u32 i = 1; i < 4; i++)
            if (state->sources[i].arrival_ns < state->sources[oldest & 3].arrival_ns)
                oldest = i;
        sr_view_count(view, DEDUP_SOURCES, 1);
        dedup_begin(state, oldest, ssrc, sequence, now);
        return SR_VERDICT_FORWARD;
    }
    place &= 3;
    struct dedup_source *source = &state->sources[place];
    __s32 step = (__s16)(sequence - (__u16)source->newest);
    if (step <= -2048 || step >= 8192) {
        __s64 passed = now - source->arrival_ns;
        if (passed < (__s64)dedup->restart_ms * 1000000 && passed >= -1000000000ll) {
            sr_view_count(view, DEDUP_OUTSIDE, 1);
            return copy;
        }
        sr_view_count(view, DEDUP_RESTARTS, 1);
        dedup_begin(state, place, ssrc, sequence, now);
        return SR_VERDICT_FORWARD;
    }
    __u32 number = source->newest + step;
    __u32 cell = place * 2048 | (number & 2047);
    if (state->seen[cell] == number) {
        sr_view_count(view, DEDUP_COPIES, 1);
        sr_view_record(view, (__u32)-step);
        return copy;
    }
    state->seen[cell] = number;
    if (step > 0) {
        source->newest = number;
        source->arrival_ns = now;
    } else {
        sr_view_count(view, DEDUP_FILLED, 1);
    }
    return SR_VERDICT_FORWARD;
}
