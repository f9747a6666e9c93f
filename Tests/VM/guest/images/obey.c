// An extension that does what the packet says: drop it, change it, or misbehave. Byte 0 says what, byte 1
// how.
#define SR_FUNCTIONS SR_FUNCTION_EMIT
#include "upcall.c"

enum { MADE_BYTES = 300 };

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
static void garble(const struct sr_view *view, int byte) {
    const uintptr_t bytes = 4 << 20;
    memset((void *)((uintptr_t)view->datagram->payload & ~(bytes - 1)), byte, bytes);
}

// What no frame would write: a datagram of no length or too much of it, or of no kind.
static void claim(uint8_t how) {
    struct sr_transmit_entry *entry = next();
    entry->kind = how == 2 ? 77 : SR_TRANSMIT_MADE;
    entry->length = how == 1 ? SR_ROW_BYTES + 1 : how == 3 ? ~0u : 0;
    put();
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
        garble(view, 0xff);
        break;
    case 7:
        garble(view, 0);
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
    if (what == 'M') {
        // More than one, of which the first counts.
        static struct sr_row row;
        memset(row.bytes, 'm', sizeof(row.bytes));
        sr_view_count(view, 1, !sr_view_emit(view, &row, sizeof(row.bytes) + 1));
        sr_view_count(view, 2, !sr_view_emit(view, &row, MADE_BYTES));
        // It was copied.
        memset(row.bytes, 'n', sizeof(row.bytes));
        sr_view_count(view, 3, !sr_view_emit(view, &row, MADE_BYTES));
    }
    if (what == 'R')
        ((struct sr_transmit_ring *)(sr_image + SR_IMAGE_RING))->produced += how;
    if (what == 'L')
        claim(how);
    sr_view_store8(view, 8, byte ^ *(const uint8_t *)parameters);
    sr_view_record(view, sr_view_length(view));
    return SR_VERDICT_FORWARD;
}
