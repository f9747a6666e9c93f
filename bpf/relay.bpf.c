// The relay datapath of engine sandbox: entry at TC ingress of each device that the streams use.
//
// A packet whose address names no relay is passed on untouched. All others end here: sent to every sink, or
// dropped for a cause that is counted.
#include "account.h"
#include "extend.h"
#include "forward.h"
#include "icmp.h"
#include "measure.h"
#include "shortcut.h"
#include "tcp.h"

char LICENSE[] SEC("license") = "GPL";

// Frames for another machine that a promiscuous device let in (linux/if_packet.h, which BPF cannot include).
enum { SR_PACKET_OTHERHOST = 3 };

// Of a mask that is not 0. BPF has no instruction that counts leading zeros.
static __always_inline __u32 sr_highest_bit(__u32 mask) {
    __u32 bit = 0;
    for (__u32 i = 1; i < SR_MAX_SINKS; i++)
        if (mask >> i & 1)
            bit = i;
    return bit;
}

static __always_inline int sr_remove_tags(struct __sk_buff *skb, struct sr_packet *packet) {
    if (sr_pop_tags(skb, packet->tags))
        return -1;
    packet->call.udp_offset -= packet->call.headers_offset - ETH_HLEN;
    packet->call.headers_offset = ETH_HLEN;
    return 0;
}

// What is no UDP: a segment of one of the node's connections, or somebody else's.
static __always_inline int sr_relay_other(struct __sk_buff *skb, struct sr_node_counters *node,
                                          struct sr_settings *setting) {
    int verdict = sr_tcp(skb, setting);
    if (verdict == SR_PASSED + SR_NODE_PASSED_NOT_UDP)
        verdict = sr_icmp_error(skb, setting);
    if (verdict < SR_PASSED) {
        node->value[SR_NODE_RELAYED]++;
        return verdict;
    }
    __u64 pass = verdict - SR_PASSED;
    asm volatile("" : "+r"(pass));
    if (pass < SR_NODE_COUNTER_COUNT)
        node->value[pass]++;
    return TC_ACT_UNSPEC;
}

SEC("tc")
int sr_relay_ingress(struct __sk_buff *skb) {
    __u32 zero = 0;
    struct sr_node_counters *node = bpf_map_lookup_elem(&node_counters, &zero);
    struct sr_settings *setting = bpf_map_lookup_elem(&settings, &zero);
    if (!node || !setting)
        return TC_ACT_UNSPEC;
    node->value[SR_NODE_SEEN]++;

    int others = skb->pkt_type == SR_PACKET_OTHERHOST;
    int verdict = others ? -1 : sr_take_shortcut(skb, setting, sr_accounting);
    if (verdict >= 0) {
        node->value[SR_NODE_RELAYED]++;
        return verdict;
    }
    struct sr_packet packet = {.hops = 1, .verdict = TC_ACT_SHOT};
    __u32 pass = others ? SR_NODE_PASSED_UNKNOWN : sr_parse(skb, &packet);
    if (pass == SR_NODE_PASSED_NOT_UDP && setting->tcp_relays)
        return sr_relay_other(skb, node, setting);
    if (pass < SR_NODE_COUNTER_COUNT) {
        node->value[pass]++;
        return TC_ACT_UNSPEC;
    }
    struct sr_relay *relay = bpf_map_lookup_elem(&relays, &packet.key);
    if (!relay) {
        node->value[SR_NODE_PASSED_UNKNOWN]++;
        return TC_ACT_UNSPEC;
    }
    node->value[SR_NODE_RELAYED]++;
    __u32 index = relay->index;
    struct sr_counters *account = bpf_map_lookup_elem(&counters, &index);
    if (!account)
        return TC_ACT_SHOT;

    if (!sr_source_allowed(relay, packet.source))
        return sr_drop(account, SR_DROP_SOURCE, packet.segments);
    if (packet.malformed)
        return sr_drop(account, SR_DROP_MALFORMED, packet.segments);
    if (packet.first_fragment)
        return sr_drop(account, SR_DROP_FRAGMENT, packet.segments);

    // The receive time stamp, where the node keeps a socket open that asks the kernel for it: it was taken
    // before the packet waited for this processor.
    packet.call.arrival_ns = skb->tstamp;
    if (!packet.call.arrival_ns)
        packet.call.arrival_ns = sr_now_ns(setting);
    // A datagram that an extension of this relay made (sr_function_emit) goes to all sinks as it is, and is
    // no packet of the stream's source.
    int made = skb->mark == SR_EMIT_MARK;
    if (made) {
        skb->mark = 0;
        account->value[SR_PACKETS_MADE]++;
    } else if (sr_accounting) {
        account->last_seen_ns = packet.call.arrival_ns;
        account->value[SR_PACKETS_IN] += packet.segments;
        account->value[SR_BYTES_IN] += packet.call.payload_length;
    }
    struct sr_flow *flow = bpf_map_lookup_elem(&flows, &index);
    if (!flow)
        return sr_drop(account, SR_DROP_SEND, packet.segments);
    packet.call.dscp = relay->dscp;
    packet.call.sinks = (1u << (relay->sink_count & 31)) - 1;
    __u32 extensions = made ? 0 : relay->extension_count;
    int held = sr_accounting ? sr_flow_take(flow) : 1;
    if (extensions)
        for (int round = 0; !held && round < SR_EXTENSION_ROUNDS; round++)
            held = sr_flow_wait(flow);
    packet.unmeasured = !held;
    __u32 cause = sr_accounting && !made ? sr_measure(skb, &packet, relay, account, flow) : 0;
    if (extensions && !cause)
        cause = held ? sr_extend(skb, &packet, relay) : SR_DROP_EXTENSION_BUSY;
    if (held && sr_accounting)
        sr_flow_give_back(flow);
    if (cause)
        return sr_drop(account, cause, packet.segments);

    packet.last_sink = relay->sink_count - 1;
    if (extensions && !(packet.call.sinks >> (packet.last_sink & 31) & 1))
        packet.last_sink = sr_highest_bit(packet.call.sinks);
    if (packet.tags && !(relay->sinks[0].flags & SR_SINK_LOCAL) && sr_remove_tags(skb, &packet))
        return sr_drop(account, SR_DROP_SEND, packet.segments);

    __u32 sent = 0;
    for (__u32 i = 0; i < SR_MAX_SINKS; i++) {
        if (i > packet.last_sink)
            break;
        if (!(packet.call.sinks >> i & 1))
            continue;
        cause = sr_send(skb, &packet, relay, i);
        // Here, and not within: with one call more the stack of 6.1 would not do.
        if (!cause && packet.call.release_ns && packet.verdict != TC_ACT_REDIRECT)
            cause = sr_send_later(skb, &packet, index, i == packet.last_sink);
        if (!cause)
            sent++;
        else
            sr_count(account, cause, packet.segments);
    }
    packet.generation = relay->generation;
    sr_keep_shortcut(&packet, relay);
    if (!sr_accounting)
        return packet.verdict;
    account->value[SR_PACKETS_OUT] += (__u64)sent * packet.segments;
    account->value[SR_BYTES_OUT] += (__u64)sent * packet.call.payload_length;
    if (sent) {
        __u64 now = sr_now_ns(setting);
        // Time that it is held counts as spent here.
        if (packet.call.release_ns > now)
            now = packet.call.release_ns;
        sr_measure_residence(account, now > packet.call.arrival_ns ? now - packet.call.arrival_ns : 0,
                             packet.segments);
    }
    return packet.verdict;
}
