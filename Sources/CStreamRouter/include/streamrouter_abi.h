// The contract between the datapath in the kernel (bpf/, later kmodule/) and the node in Swift.
//
// Every structure that crosses that border stands here, once. bpf/*.bpf.c includes this file, and so does
// the Swift module CStreamRouter: no second copy exists, in any language. Sizes and offsets are asserted
// below, so that a compiler which lays something out differently refuses to build.
//
// How the datapath works, in the order in which a packet meets it:
//
//   1. `relays`    hash: (address, port, protocol) -> struct sr_relay. What is not found is not ours and is
//                  passed on untouched.
//   2. the relay's `sources`: a packet from anywhere else is dropped and counted.
//   3. `flows`     array by relay index: sequence and jitter state for each SSRC, and how the delay varies.
//                  One state however many processors the stream's packets meet, and so held by one of them at
//                  a time.
//   4. `counters`  per-CPU array by relay index: struct sr_counters, summed by whoever reads it.
//   5. `reports`   hash by relay index: struct sr_reports, the RTCP that passed last, for the node to read.
//   6. the relay's `sinks`: one copy each, rewritten, looked up in the kernel's FIB, sent. What the FIB said
//                  is kept in `routes`, for each processor, for SR_ROUTE_VALID_NS.
//   7. `shortcuts` per-CPU array: struct sr_shortcut, by which further packets like this one skip 1, 2 and 6.
//
// A segment of TCP goes another way (bpf/tcp.h): `connections` says by its addresses and ports whose it is
// and what they become; a SYN makes the entry. Segments from the sink find it through `replies`.
//
// Byte order: fields whose comment says "network order" hold the bytes as they stand in a packet; all else is
// host order. Addresses are 16 bytes in network order; IPv4 is mapped (::ffff:a.b.c.d, RFC 4291 section
// 2.5.5.2). Times are nanoseconds of CLOCK_REALTIME unless a name says otherwise.
#ifndef STREAMROUTER_ABI_H
#define STREAMROUTER_ABI_H

#include <linux/types.h>

// All limits, in one place.
enum sr_limits {
    // Changes whenever a structure or the meaning of a field below changes.
    SR_ABI_VERSION = 5,
    SR_MAX_SINKS = 16,
    SR_MAX_SOURCES = 16,
    // SSRCs of one relay whose state is kept apart; one more takes the place of the longest silent.
    SR_SSRC_SLOTS = 4,
    SR_NAME_BYTES = 64,
    // How many sequence numbers back a late packet is still told from a duplicate.
    SR_SEQUENCE_WINDOW = 128,
    // RFC 3550 appendix A.1: larger steps forward or back mean that the source restarted.
    SR_MAX_DROPOUT = 3000,
    SR_MAX_MISORDER = 100,
    // Clocks up to 122 millionths apart do not make a delay grow.
    SR_VARIATION_DRIFT_LOG2 = 13,
    // How long an answer of the FIB serves: a changed route or neighbour is obeyed that much later.
    SR_ROUTE_VALID_NS = 10000000,
    // Source sockets whose way is kept on each processor; a power of two.
    SR_SHORTCUT_SLOTS = 1024,
    // How often a processor tries to take a flow that another one holds.
    SR_FLOW_ATTEMPTS = 64,
    // Datagrams of one GSO packet that are looked at (UDP_MAX_SEGMENTS is 64, 128 from kernel 6.9).
    SR_MAX_SEGMENTS = 128,
    // Residence histogram: SR_RESIDENCE_STEPS buckets for each power of two from 2^SR_RESIDENCE_FIRST_LOG2
    // ns.
    SR_RESIDENCE_FIRST_LOG2 = 6,
    SR_RESIDENCE_STEPS_LOG2 = 2,
    SR_RESIDENCE_STEPS = 4,
    SR_RESIDENCE_BUCKETS = 112,
    // RTCP datagrams of one relay that are kept for the node, and how much of each: sender report, twenty
    // report blocks. With the head of the hash's entry they fill 8 kB of memory.
    SR_REPORT_SLOTS = 15,
    SR_REPORT_BYTES = 496,
    // Extensions of one relay, run one after the other.
    SR_MAX_EXTENSIONS = 4,
    // Places for extension programs in the datapath of a node: so many versions can stand there at once.
    SR_EXTENSION_SLOTS = 32,
    // Changes whenever what a built extension relies on changes: struct sr_call, the slots' signature, and
    // what an image of engine upcall finds in memory.
    SR_EXTENSION_ABI_VERSION = 3,
    // So many times SR_FLOW_ATTEMPTS where an extension's state belongs to the flow: its packets wait for
    // each other.
    SR_EXTENSION_ROUNDS = 64,
    // Relays that the maps hold unless the node is told otherwise.
    SR_DEFAULT_RELAYS = 4096,
    // TCP connections that a node knows at once; one more takes the place of the longest silent.
    SR_DEFAULT_CONNECTIONS = 8192,
    // Source ports that are tried for a connection.
    SR_PORT_ATTEMPTS = 32,
    // How long a connection is remembered that is silent, in seconds: one that both ends have agreed upon
    // (RFC 5382 section 5, REQ-5: two hours and four minutes), one that begins or ends (four minutes), one
    // that both sides have closed (2 MSL as Linux takes it), and one that was reset.
    SR_ESTABLISHED_SECONDS = 7440,
    SR_TRANSITORY_SECONDS = 240,
    SR_CLOSED_SECONDS = 60,
    SR_RESET_SECONDS = 10,
};

// What a relay does with the bytes behind the UDP header.
enum sr_protocol {
    SR_PROTOCOL_UDP = 0,
    SR_PROTOCOL_RTP = 1,
    // The companion of an RTP relay on the next higher port (RFC 3550 section 11).
    SR_PROTOCOL_RTCP = 2,
    // Segments of connections, in packet mode.
    SR_PROTOCOL_TCP = 3,
};

// The counters of a relay, declared once: this list makes the map layout, the names in JSON and metrics, the
// columns of the monitor and their explanation.
//   SR_COUNTER(identifier, "name", kind, "what it counts")
// Kinds: SR_FLOW what went through, SR_RTP what the sequence numbers of RTP tell, SR_TCP what connections
// did, SR_DROP one cause of loss at this hop.
#define SR_COUNTERS(SR_COUNTER)                                                                              \
    SR_COUNTER(PACKETS_IN, "packets_in", SR_FLOW, "datagrams or segments from an allowed source")            \
    SR_COUNTER(BYTES_IN, "bytes_in", SR_FLOW, "payload bytes of those")                                      \
    SR_COUNTER(PACKETS_OUT, "packets_out", SR_FLOW, "of them sent or delivered, all sinks together")         \
    SR_COUNTER(BYTES_OUT, "bytes_out", SR_FLOW, "payload bytes sent or delivered")                           \
    SR_COUNTER(RTP_PACKETS, "rtp_packets", SR_RTP, "RTP packets among packets_in")                           \
    SR_COUNTER(RTCP_PACKETS, "rtcp_packets", SR_RTP, "RTCP packets among packets_in")                        \
    SR_COUNTER(PACKETS_MADE, "packets_made", SR_FLOW, "datagrams that extensions made, beside packets_in")   \
    SR_COUNTER(UNMEASURED, "unmeasured", SR_FLOW, "datagrams not looked at: another processor was at it")    \
    SR_COUNTER(RTP_MISSING, "rtp_missing", SR_RTP, "sequence numbers skipped when a later one arrived")      \
    SR_COUNTER(RTP_LATE, "rtp_late", SR_RTP, "skipped packets that arrived after all, out of order")         \
    SR_COUNTER(RTP_DUPLICATES, "rtp_duplicates", SR_RTP, "packets whose sequence number had arrived before") \
    SR_COUNTER(RTP_RESTARTS, "rtp_restarts", SR_RTP, "new SSRCs and jumps of the sequence number")           \
    SR_COUNTER(REPLY_PACKETS, "reply_packets", SR_TCP, "segments from the sink, passed on")                  \
    SR_COUNTER(REPLY_BYTES, "reply_bytes", SR_TCP, "payload bytes from the sink, passed on")                 \
    SR_COUNTER(TCP_OPENED, "tcp_opened", SR_TCP, "connections that allowed sources began")                   \
    SR_COUNTER(TCP_ESTABLISHED, "tcp_established", SR_TCP, "connections that the sink accepted")             \
    SR_COUNTER(TCP_REFUSED, "tcp_refused", SR_TCP, "connections that the sink refused or could not be had")  \
    SR_COUNTER(TCP_CLOSED, "tcp_closed", SR_TCP, "connections that both sides closed")                       \
    SR_COUNTER(TCP_RESET, "tcp_reset", SR_TCP, "accepted connections that one side reset")                   \
    SR_COUNTER(TCP_EXPIRED, "tcp_expired", SR_TCP, "connections forgotten after a silence")                  \
    SR_COUNTER(TCP_RETRANSMITTED, "tcp_retransmitted", SR_TCP,                                               \
               "segments towards the sink whose bytes had passed before")                                    \
    SR_COUNTER(TCP_REPLY_RETRANSMITTED, "tcp_reply_retransmitted", SR_TCP,                                   \
               "segments from the sink whose bytes had passed before")                                       \
    SR_COUNTER(TCP_GAPS, "tcp_gaps", SR_TCP, "segments, either way, before which bytes were missing")        \
    SR_COUNTER(TCP_STRAY, "tcp_stray", SR_TCP, "segments of no connection, left to this node to reset")      \
    SR_COUNTER(TCP_CLAMPED, "tcp_clamped", SR_TCP, "SYNs whose MSS was lowered to what the links carry")     \
    SR_COUNTER(ICMP_TRANSLATED, "icmp_translated", SR_TCP, "ICMP errors passed on to a connection's end")    \
    SR_COUNTER(DROP_SOURCE, "drop_source", SR_DROP, "source address that the stream does not allow")         \
    SR_COUNTER(DROP_MALFORMED, "drop_malformed", SR_DROP,                                                    \
               "lengths in the headers that contradict the packet")                                          \
    SR_COUNTER(DROP_FRAGMENT, "drop_fragment", SR_DROP, "first fragment of a fragmented datagram")           \
    SR_COUNTER(DROP_NOT_RTP, "drop_not_rtp", SR_DROP, "neither RTP nor RTCP version 2 on an RTP relay")      \
    SR_COUNTER(DROP_TTL, "drop_ttl", SR_DROP, "TTL or hop limit used up")                                    \
    SR_COUNTER(DROP_ROUTE, "drop_route", SR_DROP, "no route to the sink")                                    \
    SR_COUNTER(DROP_NEIGHBOUR, "drop_neighbour", SR_DROP,                                                    \
               "link-layer address of the next hop not known yet")                                           \
    SR_COUNTER(DROP_MTU, "drop_mtu", SR_DROP, "datagram larger than the MTU towards the sink")               \
    SR_COUNTER(DROP_SEND, "drop_send", SR_DROP, "the kernel refused to send or to copy the packet")          \
    SR_COUNTER(DROP_EXTENSION, "drop_extension", SR_DROP, "an extension of the stream decided so")           \
    SR_COUNTER(DROP_EXTENSION_FAULT, "drop_fault", SR_DROP, "an extension trapped, crashed, or is missing")  \
    SR_COUNTER(DROP_EXTENSION_BUSY, "drop_busy", SR_DROP, "another processor held the extensions' state")    \
    SR_COUNTER(DROP_HOLD, "drop_hold", SR_DROP, "hold queue full, or the time of release too far")           \
    SR_COUNTER(DROP_TRAIN, "drop_train", SR_DROP, "GSO packet for extensions, which see single datagrams")   \
    SR_COUNTER(DROP_PORTS, "drop_ports", SR_DROP, "no source port left for another connection to the sink")  \
    SR_COUNTER(DROP_QUEUE, "drop_queue", SR_DROP, "receive queue full before the relay could read it")

// What a node's datapath saw, relays or not.
#define SR_NODE_COUNTERS(SR_COUNTER)                                                                         \
    SR_COUNTER(SEEN, "seen", SR_FLOW, "packets that entered the datapath")                                   \
    SR_COUNTER(RELAYED, "relayed", SR_FLOW, "packets whose address names a relay, dropped ones included")    \
    SR_COUNTER(PASSED_NOT_IP, "passed_not_ip", SR_FLOW, "neither IPv4 nor IPv6")                             \
    SR_COUNTER(PASSED_NOT_UDP, "passed_not_udp", SR_FLOW,                                                    \
               "another transport protocol, or an IPv6 extension")                                           \
    SR_COUNTER(PASSED_SHORT, "passed_short", SR_FLOW, "headers cut short or of an impossible length")        \
    SR_COUNTER(PASSED_FRAGMENT, "passed_fragment", SR_FLOW, "later fragments, which carry no ports")         \
    SR_COUNTER(PASSED_UNKNOWN, "passed_unknown", SR_FLOW, "UDP or TCP to an address that names no relay")

enum sr_counter_kind { SR_FLOW = 0, SR_RTP = 1, SR_DROP = 2, SR_TCP = 3 };

#define SR_COUNTER_ID(id, name, kind, text) SR_##id,
#define SR_NODE_COUNTER_ID(id, name, kind, text) SR_NODE_##id,
enum sr_counter { SR_COUNTERS(SR_COUNTER_ID) SR_COUNTER_COUNT };
enum sr_node_counter { SR_NODE_COUNTERS(SR_NODE_COUNTER_ID) SR_NODE_COUNTER_COUNT };
#undef SR_COUNTER_ID
#undef SR_NODE_COUNTER_ID

// Where a relay listens.
struct sr_relay_key {
    __u32 address[4]; // network order
    __u16 port;       // network order
    __u8 protocol;    // IPPROTO_UDP or IPPROTO_TCP
    __u8 zero;
};

struct sr_prefix {
    __u32 address[4]; // network order, already masked
    __u32 mask[4];    // network order
};

enum sr_sink_flags {
    // The destination is an address of this node: the packet goes up the stack, its source left as it was.
    SR_SINK_LOCAL = 1,
};

struct sr_sink {
    __u32 destination[4];   // network order
    __u32 source[4];        // network order; an address of this node
    __u16 destination_port; // network order
    __u16 source_port;      // network order
    __u8 flags;             // enum sr_sink_flags
    __u8 zero[3];
};

enum { SR_DSCP_KEEP = 0xff };

// One extension of a relay.
struct sr_extension_use {
    __u32 slot;     // which of SR_EXTENSION_SLOTS its program replaces
    __u32 instance; // which record of its tables is this relay's
};

struct sr_relay {
    __u32 index;       // into counters and flows
    __u8 protocol;     // enum sr_protocol
    __u8 source_count; // 1 to SR_MAX_SOURCES
    __u8 sink_count;   // 1 to SR_MAX_SINKS; a local sink stands last
    __u8 dscp;         // 0 to 63 written to every copy, or SR_DSCP_KEEP
    __u32 clock_rate;  // Hz of RTP timestamps; 0: by payload type (RFC 3551)
    __u32 hop;         // 0 at the node where the stream enters
    __u32 generation;  // another number with every change: kept routes of former sinks serve no more
    __u32 extension_count;
    struct sr_extension_use extensions[SR_MAX_EXTENSIONS];
    struct sr_prefix sources[SR_MAX_SOURCES];
    struct sr_sink sinks[SR_MAX_SINKS];
    char stream[SR_NAME_BYTES]; // name in the topology, NUL-terminated: who the counters belong to
};

// Counters and the residence histogram of one relay on one processor.
struct sr_counters {
    __u64 value[SR_COUNTER_COUNT];
    __u64 residence_max_ns;
    __u64 residence_sum_ns;
    __u64 last_seen_ns;
    __u64 residence[SR_RESIDENCE_BUCKETS]; // sr_residence_bucket() says which
};

struct sr_node_counters {
    __u64 value[SR_NODE_COUNTER_COUNT];
};

// Sequence and jitter state of one SSRC. For protocol udp slot 0 serves, with no sequence numbers.
struct sr_source_state {
    __u32 ssrc;
    __u32 packets; // 0: the slot is free
    __u64 last_arrival_ns;
    __u64 window[2];    // bit i of 128: whether sequence number highest - i arrived
    __u64 jitter_q4_ns; // interarrival jitter in 1/16 ns (RFC 3550 section 6.4.1 and appendix A.8)
    __u64 jitter_max_q4_ns;
    __u64 last_gap_ns; // protocol udp: the interarrival time before this one
    __u32 timestamp;
    __u16 highest; // sequence number
    __u16 restart; // sequence number that would confirm a restart (RFC 3550 appendix A.1, bad_seq)
    __u32 restart_pending;
    __u32 clock_rate; // Hz
    // How much longer the latest packet took than the quickest so far (RFC 5481 section 4.2). The quickest is
    // forgotten by 1/2^SR_VARIATION_DRIFT_LOG2 of the time that passes: clocks of two machines drift apart.
    __u64 variation_ns;
};

// Durations of one kind, all sources of a relay together.
struct sr_variation {
    __u64 max_ns;
    __u64 max_at_ns; // arrival of that packet
    __u64 sum_ns;
    __u64 bucket[SR_RESIDENCE_BUCKETS]; // sr_residence_bucket() says which
};

// How the delay of packets varies that arrive at a relay.
struct sr_variations {
    // Protocol tcp: the round trip between this hop and the sink, by TCP timestamps (RFC 7323 section 4),
    // the sink's own time until it acknowledges included.
    //
    // Between two packets that arrive one after the other, without its sign: |D(i-1, i)| of RFC 3550 section
    // 6.4.1, the inter-packet delay variation of RFC 3393. Protocol udp: the change of the interarrival time.
    struct sr_variation ipdv;
    // Against the quickest packet (RFC 5481 section 4.2); protocol rtp. Protocol tcp: the round trip between
    // this hop and the source.
    struct sr_variation pdv;
};

struct sr_flow {
    // Odd while a processor writes. A reader that finds the same even number before and after has read one
    // moment.
    __u32 sequence;
    __u32 newest; // slot of the packet seen last
    struct sr_source_state source[SR_SSRC_SLOTS];
    struct sr_variations variations;
};

// The beginning of one RTCP datagram.
struct sr_report {
    __u64 arrival_ns;
    __u32 length; // of the datagram
    __u32 kept;   // bytes of it that stand here
    __u8 bytes[SR_REPORT_BYTES];
};

// The RTCP datagrams of a relay that came last; the entry is made by the node, for relays of protocol rtp.
// Number i stands in slot i % SR_REPORT_SLOTS. Whoever holds the flow writes; a reader copies all of it,
// reads `head` again, and leaves out what was or may have been written meanwhile: numbers up to head -
// SR_REPORT_SLOTS.
struct sr_reports {
    __u64 head;   // datagrams that were kept so far
    __u64 missed; // and those that were not: another processor held the flow
    struct sr_report report[SR_REPORT_SLOTS];
};

// What the FIB said about a sink, kept by each processor for itself.
struct sr_kept_route {
    __u64 until_ns; // 0: nothing is kept
    __u32 generation;
    __u32 interface;
    __u32 mtu;
    __u8 destination[6]; // link-layer address of the next hop
    __u8 source[6];      // of the interface
};

struct sr_routes {
    struct sr_kept_route sink[SR_MAX_SINKS];
};

// A segment by its addresses and ports, all in network order.
struct sr_connection_key {
    __u32 source[4];
    __u32 destination[4];
    __u16 source_port;
    __u16 destination_port;
};

// What segments of one way tell.
struct sr_segments {
    __u32 next;       // sequence number behind the highest that was seen; host order
    __u32 timestamp;  // TSval whose echo is waited for; host order
    __u64 stamped_ns; // when it passed; 0: none is waited for
};

enum sr_connection_flags {
    SR_CONNECTION_ANSWERED = 1,  // the sink sent SYN and ACK
    SR_CONNECTION_FIN = 2,       // the source sent FIN
    SR_CONNECTION_REPLY_FIN = 4, // the sink sent FIN
    SR_CONNECTION_RESET = 8,     // one of them sent RST
    SR_CONNECTION_ENDED = 16,    // counted as over
};

// One TCP connection through a relay: from the source to the relay's ingress, and under an address and port
// of this node onwards to the sink. Entry of `connections` by what segments from the source carry; `replies`
// leads to that key by what segments from the sink carry.
struct sr_connection {
    struct sr_relay_key relay;         // the ingress
    __u32 index;                       // of the relay
    __u32 generation;                  // of the relay when its sources were last checked
    __u32 flags;                       // enum sr_connection_flags
    __u64 seen_ns;                     // the latest segment, either way
    __u64 refreshed_ns;                // when `replies` was last seen to lead here
    struct sr_sink sink;               // where it goes, and as whom; a deploy does not move it
    struct sr_segments forward, reply; // towards the sink, and from it
    struct sr_kept_route to_sink, to_source;
    __u32 address_change, port_change; // of a checksum, towards the sink (RFC 1624), folded to 32 bits
    __u32 reply_address_change, reply_port_change;
};

// What the node found when it last went through the connections of a relay.
struct sr_sweep {
    __u64 expired; // removed since the relay began
    __u64 open;    // neither over nor expired
};

// All that sends the packets of one source socket to a relay of one sink, IPv4 and without extensions, kept
// by each processor for itself.
struct sr_shortcut {
    __u64 until_ns; // 0: nothing is kept
    __u32 edition;  // of the relays, when this one was looked up
    // Which packets: addresses and both ports of the UDP header as they stand in the packet.
    __u32 from;
    __u32 to;
    __u32 ports;
    __u32 index;
    __u32 clock_rate;
    __u32 interface;
    __u32 mtu;
    // What is written over them.
    __u32 source;
    __u32 destination;
    __u32 new_ports;
    __u32 address_change; // of a one's-complement sum over the addresses
    __u32 port_change;    // over the ports
    __u8 link_addresses[12];
    __u8 protocol; // enum sr_protocol
    __u8 dscp;
    __u8 zero[6];
};

// What an extension decided about a packet.
enum sr_verdict {
    SR_VERDICT_NONE = 0, // no extension stands in the slot
    SR_VERDICT_FORWARD = 1,
    SR_VERDICT_DROP = 2,
    SR_VERDICT_TRAP =
        3, // the extension's own code found a fault in itself: overflow, division by zero, bounds
};

// What an extension can ask for beyond bytes of its packet, as bits; which of them there are depends on the
// engine, and in engine sandbox on the kernel module.
enum sr_packet_function {
    SR_FUNCTION_HOLD = 1,
    SR_FUNCTION_EMIT = 2,
    SR_FUNCTION_PARITY = 4,
    SR_FUNCTION_HASH = 8,
    // Those that need nothing but the packet: they are there in every engine of user level.
    SR_FUNCTIONS_NATIVE = SR_FUNCTION_PARITY | SR_FUNCTION_HASH,
    // Those of engine upcall.
    SR_FUNCTIONS_UPCALL = SR_FUNCTIONS_NATIVE | SR_FUNCTION_EMIT,
};

// Room for the XOR of datagrams. They are added from a place within the first SR_ROW_HEAD_BYTES on, before
// which headers of whatever is made of it can stand; what is added is as long as the rest of the row at most.
// A multiple of 8, so that it needs no padding.
enum { SR_ROW_BYTES = 1536, SR_ROW_HEAD_BYTES = 64 };
struct sr_row {
    __u8 bytes[SR_ROW_BYTES];
};

// Key of SipHash-2-4, as the two words that its 16 bytes are in little-endian order.
struct sr_key {
    __u64 words[2];
};

// What the datapath and an extension tell each other about one datagram. Built extensions rely on this
// layout.
struct sr_call {
    __u64 arrival_ns;
    __u32 instance;       // the extension's record for this relay
    __u32 headers_offset; // of the IP header, from the start of the frame
    __u32 udp_offset;     // of the UDP header
    __u32 payload_length; // bytes behind the UDP header
    __u16 hop;
    __u8 protocol;   // enum sr_protocol
    __u8 sink_count; // how many sinks the relay has
    __u8 dscp;       // written to every copy, or SR_DSCP_KEEP; an extension may change it
    __u8 is_ipv6;
    __u16 source_port; // network order
    __u32 sinks;       // bit i: sink i gets a copy; an extension may clear bits
    __u32 stream;      // a number that tells streams of this node apart
    __u64 zero;
    // When all copies shall leave, in ns since 1970; 0: at once. An extension may set it where it can hold.
    __u64 release_ns;
    __u32 functions; // bits of enum sr_packet_function that are there
    __u32 made;      // datagrams that extensions made of this one
};

enum { SR_EXTENSION_COUNTERS = 16, SR_EXTENSION_BUCKETS = 32, SR_EXTENSION_SAMPLE = 256 };

// The account of one extension for one relay on one processor.
struct sr_extension_account {
    __u64 runs;
    __u64 verdicts[4]; // by enum sr_verdict
    // Every SR_EXTENSION_SAMPLE-th run is timed: reading the clock costs more than a short extension.
    __u64 timed;
    __u64 timed_sum_ns;
    __u64 timed_max_ns;
    __u64 counters[SR_EXTENSION_COUNTERS]; // the author's, by the order of its enum
    __u64 histogram_sum;
    __u64 histogram[SR_EXTENSION_BUCKETS]; // bucket i: values below 2^i that no earlier bucket holds
};

// One record in the map `settings`: what the node tells the datapath, and how they check each other.
struct sr_settings {
    __u32 abi_version;
    __u32 relay_capacity;
    __s64 tai_minus_realtime_ns; // CLOCK_TAI - CLOCK_REALTIME, since BPF can read the former only
    // Source ports for connections, host order: those outside net.ipv4.ip_local_port_range, so that the
    // kernel's own connections never meet them. First the lower range, then the upper.
    __u16 port_first[2];
    __u16 port_count[2];
    __u32 tcp_relays; // 0: segments of TCP are nobody's, and not looked at
    __u32 edition;    // another number after every change of the relays: ends all shortcuts
};

#define SR_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " changed its size")
SR_ASSERT_SIZE(sr_relay_key, 20);
SR_ASSERT_SIZE(sr_prefix, 32);
SR_ASSERT_SIZE(sr_sink, 40);
SR_ASSERT_SIZE(sr_extension_use, 8);
SR_ASSERT_SIZE(sr_call, 64);
SR_ASSERT_SIZE(sr_extension_account, 8 * (1 + 4 + 3 + 16 + 1 + 32));
SR_ASSERT_SIZE(sr_relay, 24 + 4 * 8 + 16 * 32 + 16 * 40 + 64);
SR_ASSERT_SIZE(sr_counters, 8 * (SR_COUNTER_COUNT + 3 + SR_RESIDENCE_BUCKETS));
SR_ASSERT_SIZE(sr_source_state, 80);
SR_ASSERT_SIZE(sr_variation, 8 * (3 + SR_RESIDENCE_BUCKETS));
SR_ASSERT_SIZE(sr_flow, 8 + 4 * 80 + 2 * 8 * (3 + SR_RESIDENCE_BUCKETS));
SR_ASSERT_SIZE(sr_report, 512);
SR_ASSERT_SIZE(sr_reports, 16 + 15 * 512);
SR_ASSERT_SIZE(sr_kept_route, 32);
SR_ASSERT_SIZE(sr_settings, 32);
SR_ASSERT_SIZE(sr_connection_key, 36);
SR_ASSERT_SIZE(sr_segments, 16);
SR_ASSERT_SIZE(sr_connection, 32 + 16 + 40 + 2 * 16 + 2 * 32 + 16);
SR_ASSERT_SIZE(sr_sweep, 16);
SR_ASSERT_SIZE(sr_shortcut, 80);
#undef SR_ASSERT_SIZE

// Puts the duration of a timed run into an extension's account.
static inline __attribute__((always_inline)) void sr_extension_timed(struct sr_extension_account *account,
                                                                     __u64 took_ns) {
    account->timed++;
    account->timed_sum_ns += took_ns;
    if (took_ns > account->timed_max_ns)
        account->timed_max_ns = took_ns;
}

// Index of the residence bucket that holds `ns`: four steps for each power of two, so a bound is at most 25 %
// above the value. Below 2^6 ns all is bucket 0; the last bucket holds everything above about 17 s.
static inline __attribute__((always_inline)) __u32 sr_residence_bucket(__u64 ns) {
    if (ns < (1ull << SR_RESIDENCE_FIRST_LOG2))
        return 0;
    __u32 log2 = 0;
    __u64 rest = ns;
    // Spelled out, because BPF has no count-leading-zeros instruction and this needs six tests.
    if (rest >> 32) {
        log2 += 32;
        rest >>= 32;
    }
    if (rest >> 16) {
        log2 += 16;
        rest >>= 16;
    }
    if (rest >> 8) {
        log2 += 8;
        rest >>= 8;
    }
    if (rest >> 4) {
        log2 += 4;
        rest >>= 4;
    }
    if (rest >> 2) {
        log2 += 2;
        rest >>= 2;
    }
    log2 += (__u32)(rest >> 1);
    __u32 step = (__u32)(ns >> (log2 - SR_RESIDENCE_STEPS_LOG2)) & (SR_RESIDENCE_STEPS - 1);
    __u32 bucket = (log2 - SR_RESIDENCE_FIRST_LOG2) * SR_RESIDENCE_STEPS + step;
    return bucket < SR_RESIDENCE_BUCKETS ? bucket : SR_RESIDENCE_BUCKETS - 1;
}

// Says that the slot at `head` is filled.
static inline __attribute__((always_inline)) void sr_report_filled(struct sr_reports *reports) {
    // The returned value makes it an atomic with a full barrier: what was written before is seen before.
    __u64 before = __sync_fetch_and_add(&reports->head, 1);
    asm volatile("" : : "r"(before) : "memory");
}

// How long a connection in this state is remembered in silence.
static inline __attribute__((always_inline)) __u64 sr_connection_lifetime_ns(__u32 flags) {
    const __u32 closed = SR_CONNECTION_FIN | SR_CONNECTION_REPLY_FIN;
    if (flags & SR_CONNECTION_RESET)
        return SR_RESET_SECONDS * 1000000000ull;
    if ((flags & closed) == closed)
        return SR_CLOSED_SECONDS * 1000000000ull;
    if (!(flags & SR_CONNECTION_ANSWERED) || flags & closed)
        return SR_TRANSITORY_SECONDS * 1000000000ull;
    return SR_ESTABLISHED_SECONDS * 1000000000ull;
}

// Whether it is to be forgotten. A clock that was set back ends none.
static inline __attribute__((always_inline)) int sr_connection_expired(const struct sr_connection *connection,
                                                                       __u64 now_ns) {
    return now_ns > connection->seen_ns &&
           now_ns - connection->seen_ns > sr_connection_lifetime_ns(connection->flags);
}

#ifndef __bpf__
// As sr_keep_report() of bpf/measure.h does it, at user level.
static inline void sr_report_keep(struct sr_reports *reports, const void *payload, __u32 length,
                                  __u64 arrival_ns) {
    struct sr_report *report = &reports->report[reports->head % SR_REPORT_SLOTS];
    report->arrival_ns = arrival_ns;
    report->length = length;
    report->kept = length < SR_REPORT_BYTES ? length : SR_REPORT_BYTES;
    __builtin_memcpy(report->bytes, payload, report->kept);
    sr_report_filled(reports);
}

// For a reader that has copied: `head` as it is now.
static inline __u64 sr_reports_head(const struct sr_reports *reports) {
    __sync_synchronize();
    return *(const volatile __u64 *)&reports->head;
}
#endif

// Puts a duration into an account.
static inline __attribute__((always_inline)) void sr_variation_add(struct sr_variation *account, __u64 ns,
                                                                   __u64 at_ns) {
    account->sum_ns += ns;
    if (ns > account->max_ns) {
        account->max_ns = ns;
        account->max_at_ns = at_ns;
    }
    __u64 bucket = sr_residence_bucket(ns);
    // The compiler knows the bound and would leave the check out; older verifiers do not.
    asm volatile("" : "+r"(bucket));
    if (bucket < SR_RESIDENCE_BUCKETS)
        account->bucket[bucket]++;
}

#endif
