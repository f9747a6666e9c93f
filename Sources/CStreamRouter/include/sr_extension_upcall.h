// An extension built for engine `upcall`: what its image finds in memory, and is given for a packet.
//
// The image (streamrouter_module.h says what one is) stands at some address; from there on, in the same
// places for all extensions, stand what the module put there: parameters, account, state; and the ring by
// which the extension says what leaves.
#ifndef SR_EXTENSION_UPCALL_H
#define SR_EXTENSION_UPCALL_H

#include "sr_extension_process.h"
#include "streamrouter_module.h"

enum sr_image_record {
    SR_IMAGE_PARAMETERS = SR_IMAGE_DATA_END,
    // Verdicts and times are counted by the module; counters and histogram are the author's.
    SR_IMAGE_ACCOUNT = SR_IMAGE_PARAMETERS + SR_EXTENSION_PARAMETER_BYTES,
    SR_IMAGE_STATE = SR_IMAGE_DATA_END + 0x1000,
    SR_IMAGE_RING = SR_IMAGE_STATE + SR_EXTENSION_STATE_BYTES,
};

// What a run has leave.
enum sr_transmit_kind {
    // The packet that it was given, where its verdict is SR_VERDICT_FORWARD. Without it the packet goes on as
    // it came.
    SR_TRANSMIT_PACKET = 1,
    // A datagram that it made, once for each packet, whatever the verdict: it leaves after the packet, to all
    // sinks.
    SR_TRANSMIT_MADE = 2,
};

struct sr_transmit_entry {
    __u32 kind;
    __u32 sinks;  // of a packet, bit i: sink i gets a copy; no more than there were
    __u32 dscp;   // of a packet: written to every copy, or SR_DSCP_KEEP
    __u32 length; // of what was made: so many bytes of `made` are its payload
    struct sr_row made;
};

enum { SR_TRANSMIT_ENTRIES = 2 };

// The extension writes an entry, then `produced`. The module takes the entries out when the run has ended and
// before the next one begins, so there is room for all that one run can have leave. No other extension sees
// it. A ring that claims more than it has room for is a fault of its extension's (SR_VERDICT_TRAP).
struct sr_transmit_ring {
    __u32 produced; // ever; the next entry stands at this modulo SR_TRANSMIT_ENTRIES
    __u32 reserved;
    struct sr_transmit_entry entries[SR_TRANSMIT_ENTRIES];
};

// What the entry of an image gets the address of: `int entry(struct sr_upcall_event *)`, which answers with
// an enum sr_verdict. It is the extension's own copy.
struct sr_upcall_event {
    __u64 payload;  // address of what it is about: a struct sr_upcall_packet
    __u32 priority; // higher ones go first; those of the same priority in the order they were posted
    __u32 cookie;   // the poster's: which packet
    __u32 length;   // of the packet's payload
    // What the relay and the extensions before chose, and whether one of them made a datagram.
    __u16 sinks;
    __u8 dscp;
    __u8 made;
};

// What the event of a packet leads to; the payload stands behind it. All extensions share the memory of
// packets: what stands there may be what another one wrote, so an extension takes length, sinks, code point
// and `made` from its event and follows no pointer from here (`payload` of the datagram is none). The module
// reads nothing of it but the payload.
struct sr_upcall_packet {
    struct sr_call call;
    struct sr_datagram datagram;
};

_Static_assert(sizeof(struct sr_upcall_event) == 24, "size of sr_upcall_event");
_Static_assert(sizeof(struct sr_upcall_packet) == 112, "size of sr_upcall_packet");
_Static_assert((int)SR_IMAGE_ACCOUNT + sizeof(struct sr_extension_account) <= SR_IMAGE_STATE,
               "the account ends before the state");
_Static_assert(sizeof(struct sr_transmit_entry) == 16 + SR_ROW_BYTES, "size of sr_transmit_entry");
_Static_assert(sizeof(struct sr_transmit_ring) == 8 + 2 * (16 + SR_ROW_BYTES), "size of sr_transmit_ring");

#endif
