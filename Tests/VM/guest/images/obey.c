// An extension that does what the packet says: drop it, change it, or misbehave. Byte 0 says what, byte 1
// how.
#include "upcall.c"

struct obey_state {
    uint64_t packets;
    uint64_t fill[1000];
};

static uint64_t deep(uint64_t depth) {
    volatile uint64_t frame[64];
    frame[depth & 63] = depth;
    return depth == ~0ull ? 0 : deep(depth + 1) + frame[depth & 63];
}

// All packets of all extensions.
static void garble(const struct sr_view *view) {
    const uintptr_t bytes = 4 << 20;
    memset((void *)((uintptr_t)view->datagram->payload & ~(bytes - 1)), 0xff, bytes);
}

static void misbehave(const struct sr_view *view, uint8_t how) {
    switch (how) {
    case 1:
        *(volatile uint64_t *)8 = 1;
        break;
    case 2:
        for (;;)
            asm volatile("");
    case 3:
        asm volatile("ud2");
        break;
    case 4:
        asm volatile("hlt");
        break;
    case 5:
        deep(0);
        break;
    case 6:
        garble(view);
        break;
    }
}

int sr_author_relay(struct sr_view *view, const void *parameters, void *state) {
    struct obey_state *own = state;
    uint32_t failed = 0;
    own->packets++;
    own->fill[own->packets % 1000]++;
    uint8_t what = sr_view_load8(view, 0, &failed), how = sr_view_load8(view, 1, &failed);
    uint8_t byte = sr_view_load8(view, 8, &failed);
    sr_view_count(view, 0, 1);
    if (failed)
        return SR_VERDICT_FORWARD;
    if (what == 'D')
        return SR_VERDICT_DROP;
    if (what == 'T')
        return SR_VERDICT_TRAP;
    if (what == 'F')
        misbehave(view, how);
    if (what == 'K')
        sr_view_keep_sinks(view, how);
    if (what == 'C')
        sr_view_set_dscp(view, how);
    sr_view_store8(view, 8, byte ^ *(const uint8_t *)parameters);
    sr_view_record(view, sr_view_length(view));
    return SR_VERDICT_FORWARD;
}
