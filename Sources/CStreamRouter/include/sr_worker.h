// The worker of a relay with extensions in engine process: the memory that it shares with the daemon, the
// chain that it runs, and what it takes to start it. Shims because Swift imports neither fork nor
// memfd_create, and so that extension code is called from code that the Swift runtime has no part in.
//
// Three processes: the daemon starts a keeper, which forks the worker proper. The keeper holds everything
// ready, so that a worker which crashed is replaced within a millisecond. Only the worker runs extension
// code, and only after sr_lockdown.h has taken everything from it but its sockets and this memory.
#ifndef SR_WORKER_H
#define SR_WORKER_H

#include <stddef.h>
#include <sys/types.h>

#include "sr_extension_process.h"
#include "sr_socket.h"
#include "streamrouter_abi.h"

enum sr_worker_limits {
    SR_WORKER_TEXT_BYTES = 256,
    // Room for the sequence and jitter state, which only the worker reads.
    SR_WORKER_FLOW_BYTES = 4096,
    // Room for the state of one extension.
    SR_WORKER_STATE_BYTES = 65536,
    // Processor time after which the worker looks whether an extension still runs. It ends itself when it
    // finds the same run twice: after one to two of these.
    SR_WORKER_TICK_MS = 15,
};

// How a worker ends when no signal ended it.
enum sr_worker_exit {
    SR_WORKER_LEFT = 0,   // as ordered
    SR_WORKER_STUCK = 41, // an extension did not return
    SR_WORKER_FAILED = 42 // before it took packets; `text` says why
};

enum sr_worker_order { SR_ORDER_NONE = 0, SR_ORDER_LEAVE = 1, SR_ORDER_DRAIN = 2 };

// What the keeper tells the daemon.
enum sr_worker_event {
    SR_WORKER_READY = 1,   // locked down and waiting for leave to take packets
    SR_WORKER_REFUSED = 2, // did not get that far, and will not; `text` says why
    SR_WORKER_ENDED = 3,   // crashed; is started again after `pause_ms`
};

struct sr_worker_report {
    __u32 event;
    __s32 status; // as waitpid gives it
    __u32 stage;  // of the worker that ended
    __u32 pause_ms;
    __u64 lost; // datagrams that were with it
};

// Written by the worker, which may be in the hands of hostile code: whoever reads it takes its numbers for
// numbers and nothing else. Behind it stand the flow state and the extensions' states.
struct sr_worker_shared {
    __u32 ready; // locked down
    __u32 order; // enum sr_worker_order; written by the keeper
    __u32 stage; // 0: the relay's own code; 1 + i: extension i
    __u64 calls; // runs of extensions that were started
    __u32 flow_is_kept;
    // Of the sockets, as far as they are counted: the ingress and RTCP, then those of the former ingress.
    __u32 queue_drops[4];
    __u32 has_ssrc;
    __u32 ssrc;
    __u64 jitter_q4_ns;
    __u64 jitter_max_q4_ns;
    // Of the batch in hand: datagrams (and bytes) not yet looked at, and datagrams neither sent nor dropped.
    __u64 unread;
    __u64 unread_bytes;
    __u64 unsettled;
    struct sr_counters counters;
    struct sr_variations variations;
    struct sr_reports reports; // the RTCP that came last
    struct sr_extension_account extension[SR_MAX_EXTENSIONS];
    char text[SR_WORKER_TEXT_BYTES];
};

size_t sr_worker_shared_bytes(void);
void *sr_worker_flow(struct sr_worker_shared *shared);
void *sr_worker_state(struct sr_worker_shared *shared, unsigned int extension);

// One extension in the chain.
struct sr_link {
    sr_extension_function run;
    const void *parameters;
    void *state;
};

// What the extensions of a relay are given.
struct sr_chain {
    struct sr_worker_shared *shared;
    struct sr_link link[SR_MAX_EXTENSIONS];
    __u32 count;
    __u32 stream;
    __u32 ingress[4]; // network order, IPv4-mapped
    __u16 hop;
    __u8 is_rtp;
    __u8 is_ipv6;
    __u8 sink_count;
    __u8 dscp;       // the relay's, or SR_DSCP_KEEP
    __u32 functions; // bits of enum sr_packet_function that are there beside those of every engine
};

// What the extensions of a relay decided about a datagram.
struct sr_chain_outcome {
    __u32 cause; // 0, or the counter of the cause to drop it for
    __u32 sinks; // bit i: sink i gets a copy
    __u32 dscp;
    __u64 release_ns; // when the copies shall leave, in ns since 1970; 0: at once
};

// Runs the chain on one datagram of a message, in its order, until one drops it.
struct sr_chain_outcome sr_chain_run(const struct sr_chain *chain, __u8 *payload, __u32 length,
                                     const struct sr_received *message, __u64 arrival_ns, int is_companion);

// From now on a run that goes on for SR_WORKER_TICK_MS to twice that, in processor time, ends this process
// with SR_WORKER_STUCK. 0, or a negative errno.
int sr_chain_watch(struct sr_worker_shared *shared);

// Writes the cause of a failure into the shared memory and ends this process with SR_WORKER_FAILED.
__attribute__((noreturn)) void sr_worker_fail(struct sr_worker_shared *shared, const char *what, int error);

// Finds `sr_extension` in the shared object behind a descriptor. NULL: `text` says why.
sr_extension_function sr_worker_load(int fd, struct sr_worker_shared *shared);

// Forks. In the new process returns 0; in the old one its number and a descriptor that can be read once it
// has ended, or a negative errno. The calling process has one thread.
pid_t sr_worker_fork(int *pidfd);

// Memory behind a descriptor: `length` bytes, filled from `bytes` and never to change where that is not NULL.
// Its size never changes. A descriptor, or a negative errno.
int sr_memory_make(const char *name, const void *bytes, size_t length);

// Starts `program` in a session of its own with `count` descriptors as 3 and following, all others closed
// but standard error, and all signals at their default. Its process id, or a negative errno.
pid_t sr_worker_spawn(const char *program, char *const arguments[], char *const environment[],
                      const int *descriptors, int count);

#endif
