// What the programs of kfunc-values.bpf.c are asked, and what they answered.
#pragma once

#include "streamrouter_module.h"

struct values {
    __u32 offset;
    __u32 length;
    __s32 error;
    __u32 packet_bytes;
    __u32 linear_bytes;
    __u32 runs;
    __u64 hash;
    struct sr_hash_key key;
    __u8 row[2048];
};
