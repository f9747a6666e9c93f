// The frame around an author's extension in the engines process and thread. `streamrouter extension build`
// compiles it together with the Swift of one extension into a shared object whose only symbol is
// sr_extension.
#include "view.h"

SR_INLINE uint32_t sr_view_random(void) {
    static _Thread_local uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

// Nobody takes datagrams from a worker but those that it was given.
SR_INLINE uint32_t sr_view_emit(struct sr_view *view, void *row, uint64_t length) {
    (void)view, (void)row, (void)length;
    return 1;
}

__attribute__((visibility("default"))) int sr_extension(const struct sr_datagram *datagram,
                                                        struct sr_call *call, const void *parameters,
                                                        void *state, struct sr_extension_account *account) {
    struct sr_view view = {.datagram = datagram, .call = call, .account = account};
    account->runs++;
    int verdict = sr_author_relay(&view, parameters, state) & 3;
    account->verdicts[verdict]++;
    return verdict;
}
