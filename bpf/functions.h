// What stock BPF cannot do and the kernel module can, for the datapath and for extensions: weak functions, of
// which all answer that there is none. Where the module is loaded and an extension asks for one, the node
// links functions.bpf.c over them.
#ifndef SR_FUNCTIONS_H
#define SR_FUNCTIONS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "streamrouter_abi.h"

// Holds a copy of the packet as it is now until a time (CLOCK_MONOTONIC), for the device, or up the device's
// stack (SR_HOLD_UP). 0, or a negative errno.
int sr_function_hold(struct __sk_buff *skb, __u64 release_ns, __u32 queue, __u32 interface, __u32 flags);
// Hands the node a datagram with the packet's headers, of which `headers` bytes stand before the payload, and
// the first `length` bytes of the row as payload. It comes in where the packet came in. 0, or a negative
// errno.
int sr_function_emit(struct __sk_buff *skb, __u32 headers, struct sr_row *row, __u32 length);
// Adds (XOR) bytes of the packet to the row, from a place in its first 64 bytes on. 0, or a negative errno.
int sr_function_parity(struct __sk_buff *skb, __u32 offset, __u32 length, struct sr_row *row, __u32 at);
// SipHash-2-4 of bytes of the packet. 0, or a negative errno.
int sr_function_hash(struct __sk_buff *skb, __u32 offset, __u32 length, struct sr_key *key, __u64 *hash);

#endif
