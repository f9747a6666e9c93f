// An extension with pointers in its data, so that its image has relocations, and one of everything else.
#include "upcall.c"

static int forward(struct sr_view *view) {
    sr_view_count(view, 0, 1);
    return SR_VERDICT_FORWARD;
}
static int drop(struct sr_view *view) {
    sr_view_count(view, 1, 1);
    return SR_VERDICT_DROP;
}

static int (*volatile decisions[2])(struct sr_view *) = {forward, drop};
static const char *volatile text = "drop";
static uint64_t seen[16];

int sr_author_relay(struct sr_view *view, const void *parameters, void *state) {
    uint32_t failed = 0;
    (void)parameters, (void)state;
    seen[0]++;
    return decisions[sr_view_load8(view, 0, &failed) == (uint8_t)text[0] && !failed](view);
}
