// The names of the counters. A shim because Swift cannot expand the X-macro that declares them.
#ifndef SR_COUNTERS_H
#define SR_COUNTERS_H

#include "streamrouter_abi.h"

struct sr_counter_info {
    const char *name;
    const char *text;
    enum sr_counter_kind kind;
};

// NULL beyond the last.
const struct sr_counter_info *sr_counter_info(unsigned int counter);
const struct sr_counter_info *sr_node_counter_info(unsigned int counter);

#endif
