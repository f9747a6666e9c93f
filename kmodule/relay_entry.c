// SPDX-License-Identifier: GPL-2.0
// Whether what a program calls a relay is one: after this no count of it needs to be looked at again.
#include <linux/in.h>
#include <linux/string.h>

#include "relay.h"

static bool is_ipv4(const u32 address[4]) {
    return !address[0] && !address[1] && address[2] == (__force u32)htonl(0xffff);
}

static bool sources_hold(const struct sr_relay *relay) {
    u32 place, word;

    for (place = 0; place < relay->source_count; place++)
        for (word = 0; word < 4; word++)
            if (relay->sources[place].address[word] & ~relay->sources[place].mask[word])
                return false;
    return true;
}

static bool sinks_hold(const struct sr_relay *relay, bool ipv4) {
    u32 place;

    for (place = 0; place < relay->sink_count; place++) {
        const struct sr_sink *sink = &relay->sinks[place];

        if (is_ipv4(sink->destination) != ipv4 || is_ipv4(sink->source) != ipv4 || !sink->destination_port ||
            sink->flags & ~SR_SINK_LOCAL)
            return false;
    }
    return true;
}

bool sr_relay_entry_holds(const struct sr_relay_entry *entry) {
    const struct sr_relay *relay = &entry->relay;
    u32 place;

    if (entry->reserved || entry->key.zero || entry->key.protocol != IPPROTO_UDP || !entry->key.port ||
        relay->protocol > SR_PROTOCOL_RTCP || !relay->source_count || relay->source_count > SR_MAX_SOURCES ||
        !relay->sink_count || relay->sink_count > SR_MAX_SINKS ||
        (relay->dscp > 63 && relay->dscp != SR_DSCP_KEEP) || relay->extension_count > SR_MAX_EXTENSIONS ||
        strnlen(relay->stream, SR_NAME_BYTES) == SR_NAME_BYTES)
        return false;
    for (place = 0; place < relay->extension_count; place++)
        if (relay->extensions[place].instance)
            return false;
    return sources_hold(relay) && sinks_hold(relay, is_ipv4(entry->key.address));
}
