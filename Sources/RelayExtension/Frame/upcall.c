// The frame around an author's extension in engine upcall: no library, no thread-local storage, no system
// call; what it returns goes to a gate of the module. `streamrouter extension build` compiles it together
// with the Swift of one extension and links it by upcall.ld.
#include "view.h"
#include "sr_extension_upcall.h"

// Where the image begins (upcall.ld).
extern uint8_t sr_image[] __attribute__((visibility("hidden")));

SR_INLINE uint32_t sr_view_random(void) {
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

// Compilers call these where a value is copied or filled. In assembly, since a loop in C would be made a call
// of itself.
void *memcpy(void *to, const void *from, size_t bytes) {
    void *result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return result;
}

void *memset(void *to, int value, size_t bytes) {
    void *result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t bytes) {
    if ((uintptr_t)to - (uintptr_t)from >= bytes)
        return memcpy(to, from, bytes);
    const uint8_t *source = (const uint8_t *)from + bytes - 1;
    uint8_t *target = (uint8_t *)to + bytes - 1;
    asm volatile("std; rep movsb; cld" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
    return to;
}

// The ring's next entry, for put().
static struct sr_transmit_entry *next(void) {
    struct sr_transmit_ring *ring = (struct sr_transmit_ring *)(sr_image + SR_IMAGE_RING);
    return &ring->entries[ring->produced % SR_TRANSMIT_ENTRIES];
}

static void put(void) {
    struct sr_transmit_ring *ring = (struct sr_transmit_ring *)(sr_image + SR_IMAGE_RING);
    __atomic_store_n(&ring->produced, ring->produced + 1, __ATOMIC_RELEASE);
}

// At most one for each packet.
SR_INLINE uint32_t sr_view_emit(struct sr_view *view, void *row, uint64_t length) {
    if (!(sr_view_functions(view) & SR_FUNCTION_EMIT) || view->call->made || !length || length > SR_ROW_BYTES)
        return 1;
    struct sr_transmit_entry *entry = next();
    entry->kind = SR_TRANSMIT_MADE;
    entry->length = (uint32_t)length;
    memcpy(entry->made.bytes, row, length);
    put();
    view->call->made = 1;
    return 0;
}

int sr_upcall_entry(struct sr_upcall_event *event) {
    struct sr_upcall_packet *shared = (struct sr_upcall_packet *)event->payload;
    // Copies, whose length, pointer and choices no other extension can change.
    struct sr_upcall_packet packet = *shared;
    packet.call.payload_length = event->length;
    packet.call.sinks = event->sinks;
    packet.call.dscp = event->dscp;
    packet.call.made = event->made;
    packet.call.functions = SR_FUNCTIONS_UPCALL;
    packet.datagram.payload = (uint8_t *)(shared + 1);
    struct sr_view view = {
        .datagram = &packet.datagram,
        .call = &packet.call,
        .account = (struct sr_extension_account *)(sr_image + SR_IMAGE_ACCOUNT),
    };
    int verdict = sr_author_relay(&view, sr_image + SR_IMAGE_PARAMETERS, sr_image + SR_IMAGE_STATE) & 3;
    if (verdict == SR_VERDICT_FORWARD) {
        struct sr_transmit_entry *entry = next();
        entry->kind = SR_TRANSMIT_PACKET;
        entry->sinks = packet.call.sinks;
        entry->dscp = packet.call.dscp;
        put();
    }
    return verdict;
}
