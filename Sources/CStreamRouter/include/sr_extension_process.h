// An extension built for user level: what its shared object exports (symbol "sr_extension") and is given.
#ifndef SR_EXTENSION_PROCESS_H
#define SR_EXTENSION_PROCESS_H

#include "streamrouter_abi.h"

struct sr_datagram {
    __u8 *payload; // what stands behind the UDP header; `payload_length` of the call says how much
    __u8 ip[40];   // the IP header, as far as it is known; the rest is 0
};

// Returns an enum sr_verdict. `account` belongs to the calling thread.
typedef int (*sr_extension_function)(const struct sr_datagram *datagram, struct sr_call *call,
                                     const void *parameters, void *state,
                                     struct sr_extension_account *account);

#endif
