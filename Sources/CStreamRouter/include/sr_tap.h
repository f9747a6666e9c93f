// Live packet capture on one device, and the packets of a capture file, by libpcap.
// A shim because libpcap's headers declare struct bpf_insn, which linux/bpf.h, in the same module, declares
// too.
#ifndef SR_TAP_H
#define SR_TAP_H

#include <linux/types.h>

struct sr_tap;

enum sr_tap_direction { SR_TAP_IN, SR_TAP_OUT, SR_TAP_BOTH };

// Opens a device of the calling thread's network namespace, for packets that the filter (pcap-filter(7))
// matches. Stamps have nanoseconds. NULL on failure: `error`, of `capacity` bytes, then says why, and
// `permission` whether privileges are missing.
struct sr_tap *sr_tap_open(const char *device, const char *filter, enum sr_tap_direction direction,
                           int buffer_bytes, char *error, int capacity, int *permission);

// Opens a file in one of the formats that libpcap reads, for packets that the filter matches; "" matches all.
struct sr_tap *sr_tap_open_file(const char *path, const char *filter, char *error, int capacity);

void sr_tap_close(struct sr_tap *tap);

// To wait on with poll.
int sr_tap_descriptor(struct sr_tap *tap);

// LINKTYPE_ of the packets.
int sr_tap_link_type(struct sr_tap *tap);

struct sr_tapped {
    const __u8 *bytes;
    __u64 time_ns; // since 1970
    __u32 length;  // captured
    __u32 original_length;
};

// The next packet, valid until the next call: 1, 0 where none waits, -1 where the device is gone or the file
// is damaged, -2 at the end of a file.
int sr_tap_next(struct sr_tap *tap, struct sr_tapped *packet);

// Packets that matched, and those for which there was no room.
void sr_tap_counts(struct sr_tap *tap, __u64 *received, __u64 *dropped);

#endif
