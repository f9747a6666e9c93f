// The maps, one sentence each. The node pins them, so that they and the account outlive its daemon.
#ifndef SR_MAPS_H
#define SR_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "streamrouter_abi.h"

// Who is relayed: what is not in here is not touched. The node sizes it at twice the number of relays, since
// an RTP relay listens on two ports.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 2 * SR_DEFAULT_RELAYS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct sr_relay_key);
    __type(value, struct sr_relay);
} relays SEC(".maps");

// The account of each relay by its index, a copy for each processor so that no two ever share a cache line.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SR_DEFAULT_RELAYS);
    __type(key, __u32);
    __type(value, struct sr_counters);
} counters SEC(".maps");

// Sequence and jitter state of each relay by its index: one for all processors.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SR_DEFAULT_RELAYS);
    __type(key, __u32);
    __type(value, struct sr_flow);
} flows SEC(".maps");

// The RTCP that passed last, by the relay's index: what peers report is read by the node, which makes the
// entries.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SR_DEFAULT_RELAYS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct sr_reports);
} reports SEC(".maps");

// What the FIB said about each sink of a relay, by the relay's index, a copy for each processor.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SR_DEFAULT_RELAYS);
    __type(key, __u32);
    __type(value, struct sr_routes);
} routes SEC(".maps");

// How packets of a source socket go that went the long way just now, a copy for each processor.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SR_SHORTCUT_SLOTS);
    __type(key, __u32);
    __type(value, struct sr_shortcut);
} shortcuts SEC(".maps");

// What the whole datapath of this node saw.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sr_node_counters);
} node_counters SEC(".maps");

// What the node tells the datapath.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sr_settings);
} settings SEC(".maps");

#endif
