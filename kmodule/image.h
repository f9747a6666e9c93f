/* SPDX-License-Identifier: GPL-2.0 */
// An extension's image: an ELF file, checked and copied to its place. Pure functions on memory that nobody
// else writes meanwhile, so that they are fuzzed at user level from the same source.
#pragma once

#include <linux/types.h>

#include "streamrouter_module.h"

enum {
    SR_IMAGE_HEADERS = 8, // program headers
    SR_IMAGE_SEGMENTS = 4,
    SR_IMAGE_DYNAMIC_ENTRIES = 64,
    SR_IMAGE_SYMBOLS = 64,
    SR_IMAGE_RELOCATIONS = 1024,
};

// A part of the file that is copied to memory, and zeros behind it.
struct sr_image_segment {
    __u64 offset; // in the file
    __u64 address;
    __u64 file_bytes;
    __u64 memory_bytes;
    __u32 flags; // PF_R, PF_W, PF_X
    __u32 reserved;
};

struct sr_image {
    __u64 entry;
    __u64 relocations; // where they stand in the file
    __u32 relocation_count;
    __u32 segment_count;
    struct sr_image_segment segment[SR_IMAGE_SEGMENTS];
};

// Fills `image` with what the file says, where nothing is wrong with it.
enum sr_image_flaw sr_image_check(const void *file, __u64 length, struct sr_image *image);

// Copies a file that was found sound. `code` and `data` are its place as we write it, all zeros,
// SR_IMAGE_CODE and SR_IMAGE_DATA_END - SR_IMAGE_DATA bytes; `base` is where the extension sees its code.
void sr_image_place(const void *file, const struct sr_image *image, __u64 base, void *code, void *data);
