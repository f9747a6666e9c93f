// From packet to the verdicts of its relay's extensions: places that extension programs take, and their
// order.
//
// Each place is a weak function. The node links a built extension, whose function has the same name and is
// not weak, into this object and loads the whole: a direct call, where a tail call would lose the relay that
// was looked up. To change an extension the node links the new one into another place, exchanges the program
// on the devices, and then writes that place's number into the relay.
#ifndef SR_EXTEND_H
#define SR_EXTEND_H

#include "functions.h"
#include "measure.h"

// Bits of enum sr_packet_function: what the node has linked in.
const volatile __u32 sr_functions SEC(".rodata.functions") = 0;

// What stands in the place of each function while nothing is linked in.
#define SR_NO_FUNCTION(name, ...)                                                                            \
    __weak __noinline int sr_function_##name(struct __sk_buff *skb, __VA_ARGS__) {                           \
        return skb ? -SR_NO_SUCH_FUNCTION : 0;                                                               \
    }
enum { SR_NO_SUCH_FUNCTION = 38 }; // ENOSYS
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-parameter"
SR_NO_FUNCTION(hold, __u64 release_ns, __u32 queue, __u32 interface, __u32 flags)
SR_NO_FUNCTION(emit, __u32 headers, struct sr_row *row, __u32 length)
SR_NO_FUNCTION(parity, __u32 offset, __u32 length, struct sr_row *row, __u32 at)
SR_NO_FUNCTION(hash, __u32 offset, __u32 length, struct sr_key *key, __u64 *hash)
#pragma clang diagnostic pop

// What stands in a place that no extension takes. Weak, so that the compiler assumes nothing about what it
// returns. The call that never happens tells the verifier that what takes the place may change the packet.
#define SR_SLOT(number, name)                                                                                \
    __weak __noinline int sr_extension_##name(struct __sk_buff *skb, struct sr_call *call) {                 \
        if (!call)                                                                                           \
            return SR_VERDICT_NONE;                                                                          \
        if (call->zero)                                                                                      \
            bpf_skb_pull_data(skb, 0);                                                                       \
        return SR_VERDICT_NONE;                                                                              \
    }
// clang-format off
#define SR_EACH_SLOT(SLOT) \
    SLOT(0, 00) SLOT(1, 01) SLOT(2, 02) SLOT(3, 03) SLOT(4, 04) SLOT(5, 05) SLOT(6, 06) SLOT(7, 07) \
    SLOT(8, 08) SLOT(9, 09) SLOT(10, 10) SLOT(11, 11) SLOT(12, 12) SLOT(13, 13) SLOT(14, 14) SLOT(15, 15) \
    SLOT(16, 16) SLOT(17, 17) SLOT(18, 18) SLOT(19, 19) SLOT(20, 20) SLOT(21, 21) SLOT(22, 22) SLOT(23, 23) \
    SLOT(24, 24) SLOT(25, 25) SLOT(26, 26) SLOT(27, 27) SLOT(28, 28) SLOT(29, 29) SLOT(30, 30) SLOT(31, 31)
// clang-format on

SR_EACH_SLOT(SR_SLOT)

static __always_inline int sr_call_extension(struct __sk_buff *skb, struct sr_call *call, __u32 slot) {
    // Most nodes have one extension or two.
    if (slot == 0)
        return sr_extension_00(skb, call);
    if (slot == 1)
        return sr_extension_01(skb, call);
    switch (slot) {
#define SR_CALL_SLOT(number, name)                                                                           \
    case number:                                                                                             \
        return sr_extension_##name(skb, call);
        SR_EACH_SLOT(SR_CALL_SLOT)
#undef SR_CALL_SLOT
    }
    return SR_VERDICT_NONE;
}

// Runs the extensions of a relay on one datagram, in their order, until one drops it. The caller holds the
// flow, and with it the state of the extensions. Returns 0, or the counter of the cause to drop the packet
// for.
static __always_inline __u32 sr_extend(struct __sk_buff *skb, struct sr_packet *packet,
                                       const struct sr_relay *relay) {
    if (packet->segments != 1)
        return SR_DROP_TRAIN;
    struct sr_call *call = &packet->call;
    __u32 sinks = call->sinks;
    call->hop = relay->hop;
    call->protocol = relay->protocol;
    call->sink_count = relay->sink_count;
    call->stream = relay->index;
    call->zero = 0;
    call->functions = sr_functions;
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < SR_MAX_EXTENSIONS; i++) {
        if (i >= relay->extension_count)
            break;
        call->instance = relay->extensions[i].instance;
        switch (sr_call_extension(skb, call, relay->extensions[i].slot)) {
        case SR_VERDICT_FORWARD:
            break;
        case SR_VERDICT_DROP:
            return SR_DROP_EXTENSION;
        default:
            return SR_DROP_EXTENSION_FAULT;
        }
    }
    // Those of the relay, whatever an extension wrote.
    call->sinks &= sinks;
    return call->sinks ? 0 : SR_DROP_EXTENSION;
}

#endif
