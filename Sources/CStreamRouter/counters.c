#include "sr_counters.h"

#include <stddef.h>

#define SR_COUNTER_INFO(id, name, kind, text) {name, text, kind},

static const struct sr_counter_info relay_counters[] = {SR_COUNTERS(SR_COUNTER_INFO)};
static const struct sr_counter_info node_counters[] = {SR_NODE_COUNTERS(SR_COUNTER_INFO)};

const struct sr_counter_info *sr_counter_info(unsigned int counter) {
    return counter < SR_COUNTER_COUNT ? &relay_counters[counter] : NULL;
}

const struct sr_counter_info *sr_node_counter_info(unsigned int counter) {
    return counter < SR_NODE_COUNTER_COUNT ? &node_counters[counter] : NULL;
}
