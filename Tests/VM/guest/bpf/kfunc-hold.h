// What the programs of kfunc-hold.bpf.c are told, and what they count.
#pragma once

#include "streamrouter_module.h"

enum {
    HOLD_STAMPS = 8192,
    HOLD_PORT = 7000,
};

// A test packet's payload: when it is to leave, and its number.
struct hold_payload {
    __u64 release_ns;
    __u32 number;
    __u32 reserved;
};

struct hold_settings {
    // Device that packets go to; 0: straight up the stack of the one that they came in through, not held.
    __u32 ifindex;
    __u32 queue;
    __u32 flags;
    // How packets that bear no time are held.
    __u32 queues; // spread over so many from `queue` on
    __u64 delay_ns;
    __u64 spread_ns;
    // Sends packets on at once, by a helper of the kernel's.
    __u32 straight;
    __u32 reserved;
};

struct hold_tally {
    __u64 held;
    __u64 refused;
    __s64 last_error;
    __u64 stamps;
    __u64 passed;
};

struct hold_stamp {
    __u64 now_ns;
    __u64 release_ns;
    __u32 number;
    __u32 reserved;
};
