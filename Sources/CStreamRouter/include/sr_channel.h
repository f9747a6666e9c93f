// A channel: packets and events from one side, the producer, to another, the consumer, through memory that
// both map. Each side may be a process or the kernel; either may die at any instruction.
//
// The memory has two halves. A half is written by the side that made it and by nobody else: its seal
// (F_SEAL_FUTURE_WRITE) lets no further mapping write, not even a later incarnation of the same side. A new
// producer or consumer makes a half of its own, beginning with a copy of what the dead one left.
//
//     producer's half   struct sr_producer_half | allocated | ring | events | guard page | slots
//     consumer's half   struct sr_consumer_half | taken | freed
//
// Slots hold the packets. Whose a slot is, three bits say, each in a word of 64 slots that one side writes:
//
//     allocated == freed                         free
//     allocated != freed, taken == freed         the producer's, or in the ring
//     allocated != freed, taken != freed         the consumer's
//
// Each step of a slot's life flips one bit: allocating (or giving back unsent) `allocated`, receiving
// `taken`, releasing `freed`. Nothing is counted twice if a step is cut off in the midst, since the step is
// one store.
//
// The ring takes descriptors from the producer's threads to one consumer. An entry is one word that bears the
// parity of its lap, by which the consumer knows that it was written; it never reads the tail. A producer
// that died may leave entries below the tail that it reserved and never wrote: its successor fills them with
// SR_NO_SLOT.
//
// Events have SR_EVENT_PRIORITIES rings of the same kind, the lowest number the most urgent, like real-time
// signals (signal(7)): queued, in order within a priority, with a payload, bounded, and counted where one did
// not fit.
//
// Order in memory, C11: what each field needs stands beside it. "Release" is the store that publishes what
// stands before it in the program; whoever loads it with "acquire" sees all of that.
//
// A peer may be hostile. It can garble what it writes: a reader bounds every number it takes, loads it once,
// and believes nothing of the peer about its own slots, which it keeps in memory of its own.
#ifndef SR_CHANNEL_H
#define SR_CHANNEL_H

#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words that are made up of fields are little-endian here"
#endif

enum sr_channel_limits {
    SR_CHANNEL_MAGIC = 0x53524348, // "SRCH"
    // Changes whenever a structure or the meaning of a field changes.
    SR_CHANNEL_VERSION = 1,
    SR_CHANNEL_PAGE = 4096,
    SR_SLOTS_PER_WORD = 64,
    SR_MAX_CHANNEL_SLOTS = 1 << 20,
    SR_MAX_SLOT_BYTES = 1 << 15,
    SR_EVENT_PRIORITIES = 32,
    SR_MAX_QUEUED_EVENTS = 4096,
    // In a descriptor's `slot`: the lap's parity, and what remains for the slot's number.
    SR_LAP_BIT = 1 << 30,
    SR_NO_SLOT = SR_LAP_BIT - 1,
    // In an event's `code`.
    SR_MAX_EVENT_CODE = SR_LAP_BIT - 1,
};

enum sr_channel_side { SR_SIDE_PRODUCER = 1, SR_SIDE_CONSUMER = 2 };

// The first cache line of both halves; equal but for `side` and `incarnation`, and never written again.
struct sr_channel_geometry {
    __u32 magic;
    __u32 version;
    __u32 side;
    __u32 slot_bytes;    // a power of two
    __u32 slot_count;    // a power of two, at least 64
    __u32 ring_entries;  // a power of two
    __u32 queued_events; // of each priority; a power of two
    __u32 several;       // 1: several threads produce
    __u64 incarnation;   // how many of this side there were before
    __u8 reserved[24];
};

// A packet: `length` bytes from `offset` on of a slot. One word, so that it is written at once.
struct sr_descriptor {
    __u32 slot; // with the lap's parity in the ring
    __u16 offset;
    __u16 length;
};

// Release after `payload`, by the store of the word that `code` and `reserved` make up.
struct sr_event {
    __u64 payload;
    __u32 code; // with the lap's parity
    __u32 reserved;
};

struct sr_producer_half {
    struct sr_channel_geometry geometry;
    // Entries reserved since the channel began. Relaxed: only the producer's threads and a successor read it.
    __u64 tail;
    __u8 pad[56];
    // The same for each priority's events.
    __u64 event_tails[SR_EVENT_PRIORITIES];
    // Events that found their queue full. Relaxed.
    __u64 event_overflows[SR_EVENT_PRIORITIES];
    // Events posted since the channel began, and one for each successor. Release after the event: a consumer
    // that finds it as it was need not look through the queues.
    __u64 posted;
    __u8 pad2[56];
};

struct sr_consumer_half {
    struct sr_channel_geometry geometry;
    // Entries received. Release after the bits in `taken`; the producer reuses an entry after it (acquire).
    __u64 head;
    __u8 pad[56];
    // The same for each priority's events: release after the event was read.
    __u64 event_heads[SR_EVENT_PRIORITIES];
    // 1 while the consumer sleeps or is about to. Sequentially consistent with what it looks at once more
    // before it sleeps, and with the producer's look at it after it has published.
    __u32 sleeping;
    __u8 pad2[60];
};

// Where the parts of a half stand, in bytes from its beginning.
struct sr_producer_places {
    __u64
        allocated; // words. Release: giving a slot back, so that its successor sees it; only this side reads
    __u64 ring;    // struct sr_descriptor. Release after the slot's bytes; acquire by the consumer
    __u64 events;  // struct sr_event, one priority after the other
    __u64 guard;   // one page that nobody can touch
    __u64 slots;
    __u64 bytes; // of the half
};

struct sr_consumer_places {
    __u64 taken; // words. Relaxed; the head's release publishes it
    __u64 freed; // words. Release after the last read of the slot's bytes; acquire before it is written anew
    __u64 bytes;
};

static inline __u64 sr_channel_round(__u64 bytes, __u64 to) {
    return (bytes + to - 1) / to * to;
}

static inline __u64 sr_channel_bits(const struct sr_channel_geometry *geometry) {
    return sr_channel_round(geometry->slot_count / 8, 64);
}

static inline struct sr_producer_places sr_producer_places(const struct sr_channel_geometry *geometry) {
    struct sr_producer_places places;
    places.allocated = sr_channel_round(sizeof(struct sr_producer_half), 64);
    places.ring = places.allocated + sr_channel_bits(geometry);
    places.events = places.ring + (__u64)geometry->ring_entries * sizeof(struct sr_descriptor);
    places.guard = sr_channel_round(places.events + (__u64)geometry->queued_events * SR_EVENT_PRIORITIES *
                                                        sizeof(struct sr_event),
                                    SR_CHANNEL_PAGE);
    places.slots = places.guard + SR_CHANNEL_PAGE;
    places.bytes =
        places.slots + sr_channel_round((__u64)geometry->slot_count * geometry->slot_bytes, SR_CHANNEL_PAGE);
    return places;
}

static inline struct sr_consumer_places sr_consumer_places(const struct sr_channel_geometry *geometry) {
    struct sr_consumer_places places;
    places.taken = sr_channel_round(sizeof(struct sr_consumer_half), 64);
    places.freed = places.taken + sr_channel_bits(geometry);
    places.bytes = sr_channel_round(places.freed + sr_channel_bits(geometry), SR_CHANNEL_PAGE);
    return places;
}

// Asks for the cache lines of a packet that is about to be read (or written), so that several are on their
// way at once.
static inline void sr_channel_fetch(const void *bytes, __u32 length, int writes) {
    for (__u32 line = 0; line < length && line < 512; line += 64) {
        if (writes)
            __builtin_prefetch((const char *)bytes + line, 1);
        else
            __builtin_prefetch((const char *)bytes + line, 0);
    }
}

// The parity that entry `position` bears once it is written: memory begins as zeros, so the first lap's is 1.
static inline __u32 sr_lap(__u64 position, __u32 entries) {
    return (position / entries) & 1 ? 0 : SR_LAP_BIT;
}

_Static_assert(sizeof(struct sr_channel_geometry) == 64, "a cache line");
_Static_assert(sizeof(struct sr_descriptor) == 8, "one word");
_Static_assert(sizeof(struct sr_event) == 16, "two words");
_Static_assert(sizeof(struct sr_producer_half) == 192 + 16 * SR_EVENT_PRIORITIES, "no padding");
_Static_assert(sizeof(struct sr_consumer_half) == 192 + 8 * SR_EVENT_PRIORITIES, "no padding");

#ifndef __KERNEL__
#include <stddef.h>

// What follows are shims: Swift imports neither memfd_create nor the constants of its seals.

// Memory of `bytes` behind a descriptor, whose size never changes and which is never executable. A
// descriptor, or a negative errno.
int sr_channel_make(const char *name, size_t bytes);

// Lets nobody map the memory writable from now on; what is mapped stays. 0, or a negative errno.
int sr_channel_seal(int fd);

// 0 if the memory behind a descriptor has all seals and the size that `bytes` says, or -EPERM, -EMSGSIZE.
int sr_channel_check(int fd, size_t bytes);

// Maps a half between two pages that nobody can touch, with a third at `guard` where that is not 0. NULL:
// errno says why.
void *sr_channel_map(int fd, size_t bytes, size_t guard, int writable);

void sr_channel_unmap(void *half, size_t bytes);

// An eventfd(2) that never blocks. A descriptor, or a negative errno.
int sr_channel_doorbell(void);

// Passes a descriptor over a Unix socket with one byte of text, and receives it. Receiving gives a
// descriptor, -ENODATA at the end of the stream, or a negative errno.
int sr_channel_pass(int socket, int fd, char what);
int sr_channel_receive(int socket, char *what);

#endif
#endif
