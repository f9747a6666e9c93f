// An extension built for engine `upcall`: what its image finds in memory, and is given for a packet.
//
// The image (streamrouter_module.h says what one is) stands at some address; from there on, in the same
// places for all extensions, stand what the module put there: parameters, account, state.
#ifndef SR_EXTENSION_UPCALL_H
#define SR_EXTENSION_UPCALL_H

#include "sr_extension_process.h"
#include "streamrouter_module.h"

enum sr_image_record {
    SR_IMAGE_PARAMETERS = SR_IMAGE_DATA_END,
    // Verdicts and times are counted by the module; counters and histogram are the author's.
    SR_IMAGE_ACCOUNT = SR_IMAGE_PARAMETERS + SR_EXTENSION_PARAMETER_BYTES,
    SR_IMAGE_STATE = SR_IMAGE_DATA_END + 0x1000,
};

// What the entry of an image gets the address of: `int entry(struct sr_upcall_event *)`, which answers with
// an enum sr_verdict. It is the extension's own copy.
struct sr_upcall_event {
    __u64 payload;  // address of what it is about: a struct sr_upcall_packet
    __u32 priority; // higher ones go first; those of the same priority in the order they were posted
    __u32 cookie;   // the poster's: which packet
    __u32 length;   // of the packet's payload
    __u32 reserved;
};

// What the event of a packet leads to; the payload stands behind it. All extensions share the memory of
// packets: what stands there may be what another one wrote, so an extension takes the length from its event
// and follows no pointer from here (`payload` of the datagram is none). The module reads nothing of it but
// `dscp` and `sinks` of the call once the extension has run, and the payload.
struct sr_upcall_packet {
    struct sr_call call;
    struct sr_datagram datagram;
};

_Static_assert(sizeof(struct sr_upcall_event) == 24, "size of sr_upcall_event");
_Static_assert(sizeof(struct sr_upcall_packet) == 112, "size of sr_upcall_packet");
_Static_assert((int)SR_IMAGE_ACCOUNT + sizeof(struct sr_extension_account) <= SR_IMAGE_STATE,
               "the account ends before the state");

#endif
