// The contract between the kernel module streamrouter.ko (kmodule/) and programs at user level.
//
// The module is optional: everything but engine `upcall` and the extensions that need its kernel functions
// works without it. Where it is loaded there is one device, /dev/streamrouter, and all that is asked of the
// module is an ioctl on it. It has two parts, of which either can be off (module parameters `kfuncs`, on
// unless told otherwise, and `upcall`, off unless told otherwise):
//
//   kfuncs   functions that verified extensions (TC, XDP) call: hold a packet until a time, XOR parity over
//            packets, keyed hash of a packet. They take part in no ioctl but those that read their counts.
//   upcall   the experimental user-level sandbox: extensions in ring 3, in the context of whichever process
//            was interrupted.
//
// How a conversation goes:
//
//   1. open(2), which only CAP_SYS_ADMIN in the first user namespace may. An open descriptor holds the
//      module.
//   2. SR_MODULE_HELLO with the caller's version and the sizes of all structures that cross this border. The
//      module answers with its own and with the parts that are on. EPROTO means that the two were built from
//      different copies of this file: the answer says in which structure they differ.
//   3. Any other ioctl. Before a hello that went well all others are refused with EPROTO; those of a part
//      that is off with EOPNOTSUPP; those that this module does not know with ENOTTY.
//
// What an ioctl made outlives the descriptor it was made with, as the datapath outlives the daemon, and ends
// with the module. Unloading is refused while a descriptor is open or a program uses a kernel function.
//
// Every structure here has fixed-width fields, its padding is a field that must be 0, and its size is
// asserted below: kernel, C and Swift read the same bytes. Addresses of memory are 64 bits wide. Byte order,
// addresses and times are as in streamrouter_abi.h, except that times are of CLOCK_MONOTONIC.
#ifndef STREAMROUTER_MODULE_H
#define STREAMROUTER_MODULE_H

#include <linux/types.h>
#include "streamrouter_abi.h"

#define SR_MODULE_DEVICE "/dev/streamrouter"

enum sr_module_limits {
    // Changes whenever a structure or the meaning of a field changes here or in sr_extension_upcall.h.
    SR_MODULE_VERSION = 3,
    // Places for sizes in the hello.
    SR_MODULE_SIZES = 32,
};

// An ioctl's number as <linux/ioctl.h> makes it, as a constant expression that Swift can read. The argument
// goes in and comes out.
#define SR_MODULE_COMMAND(number, argument)                                                                  \
    (0xC0000000u | ((__u32)sizeof(argument) << 16) | 0xB500u | (number))

// Parts of the module, as bits.
enum sr_module_part {
    SR_PART_KFUNCS = 1,
    SR_PART_UPCALL = 2,
};

// --- The handshake ---

struct sr_module_hello {
    // In: the caller's SR_MODULE_VERSION. Out: the module's.
    __u32 version;
    // Out: the parts that are on.
    __u32 parts;
    // In: the caller's sizes, by enum sr_module_structure. Out: the module's.
    __u32 sizes[SR_MODULE_SIZES];
};

// --- kfuncs: packets that are held ---

enum sr_hold_limits {
    // Queues that packets can be held in; a program names one by its number.
    SR_HOLD_QUEUES = 256,
    // Packets and bytes (as the memory they take) of one queue, and of all queues together.
    SR_HOLD_QUEUE_PACKETS = 16384,
    SR_HOLD_QUEUE_BYTES = 32 << 20,
    SR_HOLD_PACKETS = 65536,
    SR_HOLD_BYTES = 128 << 20,
    // Seconds that a packet may be held at most.
    SR_HOLD_LONGEST_S = 10,
    // A packet that left this many ns after its time, or that came after it, counts as late.
    SR_HOLD_LATE_NS = 200000,
    // Packets that a program frees with one call of sr_packet_drop_held().
    SR_HOLD_DROP_BATCH = 256,
};

enum sr_hold_flags {
    // Released up the stack of the device, as if the packet came in there, not out through it.
    SR_HOLD_UP = 1,
    // The time is one of CLOCK_REALTIME. The module knows the difference of the clocks exactly and so keeps
    // the order of packets that are due some ns after each other; a program that reads one clock and then the
    // other does not.
    SR_HOLD_REALTIME = 2,
};

// What became of the packets of a queue, or of all queues of a network namespace. At any moment held =
// released + dropped_* + in_queue.
struct sr_hold_counts {
    __u64 held;
    // Handed to the device at their time or after it.
    __u64 released;
    // Of those released: more than SR_HOLD_LATE_NS after their time.
    __u64 late;
    // Not held, and left with the program: the queue or the whole is full; the time is out of range; no
    // memory; the device that it is for does not exist or is down.
    __u64 refused_full;
    __u64 refused_time;
    __u64 refused_memory;
    __u64 refused_device;
    // Held and then freed: the device went away; a program or an ioctl emptied the queue; the module ended;
    // the device did not take it.
    __u64 dropped_device;
    __u64 dropped_flush;
    __u64 dropped_unload;
    __u64 dropped_transmit;
    __u64 in_queue;
    __u64 bytes_in_queue;
    // Longest time that a packet left after its own, in ns.
    __u64 longest_late_ns;
};

// Queues belong to a network namespace, here the caller's, and end with it.
// SR_MODULE_HOLD_READ: the counts of a queue, or of all queues for SR_HOLD_QUEUES.
// SR_MODULE_HOLD_FLUSH: frees what the queue holds, then reads it as above.
struct sr_hold_query {
    __u32 queue;
    __u32 reserved;
    struct sr_hold_counts counts;
};

// --- kfuncs: parity ---

enum sr_xor_limits {
    // Bytes that are added to a row at once.
    SR_XOR_BYTES = 9216,
};

// --- kfuncs: datagrams that a program makes ---

enum sr_emit_limits {
    // What the mark of a datagram says that sr_packet_emit() made, when it comes in.
    SR_EMIT_MARK = 0x5352454d,
    // Bytes before the payload at most, and payload bytes at most.
    SR_EMIT_HEADERS = 128,
    SR_EMIT_BYTES = 9216,
};

// --- kfuncs: keyed hash ---

enum sr_hash_limits {
    // Bytes that one hash is taken over at most.
    SR_HASH_BYTES = 9216,
};

// Key of SipHash-2-4, as its 16 bytes stand in the definition.
struct sr_hash_key {
    __u8 bytes[16];
};

// --- kfuncs: as programs declare them ---
//
// What each does and answers stands above it in kmodule/kfuncs.c. They are weak: a program that merely likes
// them asks first what it was told about this node (a constant of its own, so that the verifier leaves the
// other way out); one that needs them is refused where they are not.

#ifdef __bpf__
struct __sk_buff;

#define SR_KFUNC extern __attribute__((section(".ksyms"), weak)) int
// TC.
SR_KFUNC sr_packet_hold(struct __sk_buff *context, __u64 release_ns, __u32 queue, __u32 ifindex, __u32 flags);
SR_KFUNC sr_packet_drop_held(struct __sk_buff *context, __u32 queue);
SR_KFUNC sr_packet_count_held(struct __sk_buff *context, __u32 queue);
SR_KFUNC sr_packet_xor(struct __sk_buff *context, __u32 offset, __u32 length, void *row, __u32 row_bytes);
SR_KFUNC sr_packet_hash(struct __sk_buff *context, __u32 offset, __u32 length, const struct sr_hash_key *key,
                        __u64 *hash);
SR_KFUNC sr_packet_emit(struct __sk_buff *context, __u32 headers, __u32 length, const void *payload,
                        __u32 payload_bytes);
// TC and XDP.
SR_KFUNC sr_bytes_xor(void *row, __u32 row_bytes, const void *bytes, __u32 count);
SR_KFUNC sr_bytes_hash(const void *bytes, __u32 count, const struct sr_hash_key *key, __u64 *hash);
#undef SR_KFUNC
#endif

// --- upcall: extensions ---
//
// An extension is an image, loaded for one relay: its parameters, state and account are its own, so another
// relay that runs the same code loads it again. It has a number, which is never used again while the module
// is loaded, and stays until it is unloaded, whoever loaded it. A relay names its extensions by these numbers
// (sr_extension_use.slot; `instance` is 0), and one that a relay names is not unloaded (EBUSY).
//
// What an image is (Frame/upcall.c of the SDK is the frame around the author's code): an ELF64 file for
// x86-64 of type ET_DYN that needs nothing from outside and no work but relocations of kind
// R_X86_64_RELATIVE. Code and constants stand from address 0 on, what is written from SR_IMAGE_DATA on;
// nothing is both written and executed. The file is its headers and its segments: a byte that belongs to
// neither is 0, or the image is refused; section headers count as such bytes.
//
// An extension that faults or does not come to an end is aborted: it runs no more, its relay's packets are
// dropped and counted (SR_DROP_EXTENSION_FAULT), all others go on. To begin again: load it again, set the
// relay, unload the former one.

enum sr_image_limits {
    SR_MODULE_EXTENSIONS = 16,
    // Bytes of the file.
    SR_IMAGE_BYTES = 1 << 18,
    // Where code and constants of an image end at the latest, where data begin, and where they end at the
    // latest: behind them stand parameters, account, state and the ring of what leaves.
    SR_IMAGE_CODE = 0x20000,
    SR_IMAGE_DATA = 0x200000,
    SR_IMAGE_DATA_END = 0x202000,
    SR_EXTENSION_PARAMETER_BYTES = 512,
    SR_EXTENSION_STATE_BYTES = 65536,
    SR_EXTENSION_BUILD_BYTES = 32,
};

// Why an image is refused, declared once: SR_IMAGE_FLAW(identifier, "what is wrong with the image").
#define SR_IMAGE_FLAWS(SR_IMAGE_FLAW)                                                                        \
    SR_IMAGE_FLAW(SIZE, "is shorter than its headers, or longer than 256 KiB")                               \
    SR_IMAGE_FLAW(FORMAT, "is no ELF64 file for x86-64 of type ET_DYN")                                      \
    SR_IMAGE_FLAW(HEADERS, "has headers of another size or place than the format has")                       \
    SR_IMAGE_FLAW(SEGMENT_KIND, "has a segment of a kind that no extension needs")                           \
    SR_IMAGE_FLAW(SEGMENT_BOUNDS, "has a segment that lies outside of the file or of its place in memory")   \
    SR_IMAGE_FLAW(SEGMENT_ORDER, "has segments that overlap or are not in order")                            \
    SR_IMAGE_FLAW(WRITABLE_CODE, "has code that can be written")                                             \
    SR_IMAGE_FLAW(EXECUTABLE_STACK, "wants a stack that can be executed")                                    \
    SR_IMAGE_FLAW(UNACCOUNTED, "has bytes that belong to no segment")                                        \
    SR_IMAGE_FLAW(DYNAMIC, "needs a library, an initialiser or other work of a dynamic linker")              \
    SR_IMAGE_FLAW(IMPORT, "has symbols that are defined elsewhere")                                          \
    SR_IMAGE_FLAW(RELOCATION_KIND, "has a relocation of another kind than R_X86_64_RELATIVE")                \
    SR_IMAGE_FLAW(RELOCATION_BOUNDS, "has a relocation of what cannot be written, or to outside of it")      \
    SR_IMAGE_FLAW(ENTRY, "has an entry that is not in its code")

#define SR_IMAGE_FLAW_ID(id, text) SR_IMAGE_FLAW_##id,
enum sr_image_flaw { SR_IMAGE_SOUND, SR_IMAGE_FLAWS(SR_IMAGE_FLAW_ID) SR_IMAGE_FLAW_COUNT };
#undef SR_IMAGE_FLAW_ID

// SR_MODULE_EXTENSION_LOAD. EINVAL: sizes; ENOEXEC: `flaw` says what is wrong with the image; ENOSPC: no
// place is left.
struct sr_extension_load {
    __u64 image;      // address of the ELF file
    __u64 parameters; // address of the parameters
    __u64 state;      // address of the first state; 0: all bytes are 0
    __u32 image_bytes;
    __u32 parameter_bytes;
    __u32 state_bytes;
    __u32 number; // out
    __u32 flaw;   // out: enum sr_image_flaw
    __u32 reserved;
    __u8 build[SR_EXTENSION_BUILD_BYTES]; // the loader's own, given back by the list: which build it is
    char name[SR_NAME_BYTES];             // NUL-terminated; what the log calls it
};

// SR_MODULE_EXTENSION_UNLOAD. ENOENT: no such extension; EBUSY: a relay names it. Packets that wait for it
// are given to it first, for a second at most; comes back once it does not run any more.
struct sr_extension_number {
    __u32 number;
    __u32 reserved;
};

enum sr_extension_status {
    SR_EXTENSION_RUNNING = 1,
    SR_EXTENSION_ABORTED = 2,
};

// Why an extension was aborted.
#define SR_ABORT_CAUSES(SR_ABORT_CAUSE)                                                                      \
    SR_ABORT_CAUSE(PAGE, "touched memory that is not its own")                                               \
    SR_ABORT_CAUSE(STACK, "overflowed its stack")                                                            \
    SR_ABORT_CAUSE(PROTECTION, "did what only a kernel may")                                                 \
    SR_ABORT_CAUSE(INSTRUCTION, "ran an instruction that does not exist")                                    \
    SR_ABORT_CAUSE(DIVISION, "divided by zero")                                                              \
    SR_ABORT_CAUSE(BREAKPOINT, "ran a breakpoint or a single step")                                          \
    SR_ABORT_CAUSE(ARITHMETIC, "raised an exception of floating point")                                      \
    SR_ABORT_CAUSE(ALIGNMENT, "touched memory out of alignment")                                             \
    SR_ABORT_CAUSE(SYSTEM_CALL, "made a system call")                                                        \
    SR_ABORT_CAUSE(TIME, "did not come to an end")                                                           \
    SR_ABORT_CAUSE(OTHER, "raised another exception")

#define SR_ABORT_CAUSE_ID(id, text) SR_ABORT_##id,
enum sr_abort_cause { SR_ABORT_NONE, SR_ABORT_CAUSES(SR_ABORT_CAUSE_ID) SR_ABORT_CAUSE_COUNT };
#undef SR_ABORT_CAUSE_ID

struct sr_extension_entry {
    __u32 number;
    __u32 status;     // enum sr_extension_status
    __u32 cause;      // enum sr_abort_cause
    __u32 relays;     // entries of relays that name it
    __u64 address;    // of the fault: of the instruction, from the image's beginning
    __u64 fault;      // what it touched, where the cause is SR_ABORT_PAGE or SR_ABORT_STACK
    __u64 runs;       // counted by the kernel
    __u64 overflows;  // packets for which its queue had no place
    __u64 run_ns;     // all its runs together
    __u64 run_max_ns; // the longest
    __u32 parameter_bytes;
    __u32 state_bytes;
    __u8 build[SR_EXTENSION_BUILD_BYTES];
    char name[SR_NAME_BYTES];
};

// SR_MODULE_EXTENSION_LIST and SR_MODULE_RELAY_LIST: fills what there is place for. ENOSPC: `count` is how
// many there are, and nothing was filled.
struct sr_module_list {
    __u64 entries; // address of struct sr_extension_entry or struct sr_relay_entry
    __u32 capacity;
    __u32 count; // out
};

// SR_MODULE_EXTENSION_READ, and of the same layout SR_MODULE_EXTENSION_PARAMETERS (`bytes` is the address of
// new parameters, of the size that it was loaded with; it sees them with its next packet at the latest).
struct sr_extension_query {
    __u32 number;
    __u32 length;  // of the bytes there; for a reading: of the state, 0 for none
    __u64 bytes;   // address: parameters that go in, or state that comes out; 0: none
    __u64 account; // address of a struct sr_extension_account that comes out; 0: none
};

// --- upcall: relays ---
//
// Relays are told to the module as to the maps of engine `sandbox`: entries by address, port and protocol,
// with the same two structures. Entries of the same index, such as RTP and its RTCP, or the former and the
// next ingress of one that moves, share an account, which begins with the first of them and ends with the
// last. A packet is relayed by the entry before a change or by the one after it. Entries belong to the
// network namespace of who set them: they are seen, changed and removed from there only, and end with it.
//
// Other than in engine `sandbox`: a packet to a local sink is sent to it like to any other, from the sink's
// source address; a packet longer than SR_PACKET_BYTES is dropped and counted (SR_DROP_SEND); one for which
// memory of packets or the place in an extension's queue is missing too (SR_DROP_QUEUE). Protocols are udp,
// rtp and rtcp.

enum sr_packet_limits {
    // Relays of a network namespace.
    SR_MODULE_RELAYS = 4096,
    // Payload bytes of a packet that is relayed.
    SR_PACKET_BYTES = 16000,
};

// SR_MODULE_RELAY_SET: makes an entry, or takes the place of the one of that key. EINVAL: counts, prefixes or
// a protocol that are none, or sinks of another address family than the key; ENOENT: an extension that is not
// loaded; ENOSPC: SR_MODULE_RELAYS.
//
// SR_MODULE_RELAY_REMOVE: ENOENT where there is none; `relay` is not looked at. Packets that are with an
// extension still leave.
//
// SR_MODULE_RELAY_LIST: entries in no particular order.
struct sr_relay_entry {
    struct sr_relay_key key;
    __u32 reserved;
    struct sr_relay relay;
};

// SR_MODULE_RELAY_READ: the account of an index, all processors together, into what is at the addresses that
// are not 0. ENOENT: no relay has this index here.
struct sr_relay_query {
    __u32 index;
    __u32 reserved;
    __u64 counters; // address of a struct sr_counters
    __u64 flow;     // address of a struct sr_flow
    __u64 reports;  // address of a struct sr_reports
};

// SR_MODULE_DATAPATH_READ: what the datapath of this network namespace saw. It looks at nothing but UDP, and
// at nothing at all while there is no relay.
struct sr_datapath_query {
    __u64 counters; // address of a struct sr_node_counters
    // Places for packets, and how many of them are taken.
    __u32 places;
    __u32 taken;
};

// --- upcall: the mechanism ---
//
// An extension runs in the context of whichever process is about to return to user mode on the processor that
// an event was posted on, if that process may be interrupted (enum sr_upcall_refusal says which may not).
// Where none comes by, the processor's anchor is woken: a process of one thread, bound to that processor, at
// SCHED_FIFO by its own doing, that does nothing but SR_MODULE_UPCALL_ANCHOR over and over.

// Why a process was not interrupted.
enum sr_upcall_refusal {
    SR_REFUSED_NOT = 0,
    SR_REFUSED_KERNEL = 1,       // it is a kernel thread or at its end; or the kernel has become preemptible
    SR_REFUSED_THREADS = 2,      // it has several threads, or shares its memory
    SR_REFUSED_32_BIT = 3,       // it runs 32-bit code
    SR_REFUSED_TRACED = 4,       // it is traced, single-stepped, or has breakpoints
    SR_REFUSED_SHADOW_STACK = 5, // it has a shadow stack (CET)
    SR_REFUSED_RIGHTS = 6,       // it has I/O ports or segments of its own
    SR_REFUSED_VDSO = 7,         // it has no vDSO
    SR_REFUSED_SLOT = 8,         // mode shared: its memory reaches into the sandbox's addresses
    SR_REFUSED_RINGS = 9,        // it uses io_uring
    SR_REFUSED_PLACES = 16,
};

// SR_MODULE_UPCALL_ACCOUNT: since the module was loaded, all processors together.
struct sr_upcall_account {
    // Runs that began in a process that was interrupted in user mode; that returned from a system call; in an
    // anchor.
    __u64 from_user;
    __u64 from_call;
    __u64 from_anchor;
    __u64 finished;
    __u64 aborted;
    // Runs that were interrupted because their process was scheduled out or had a signal, and went on.
    __u64 suspended;
    __u64 resumed;
    // Occasions missed since too many processes had not yet told what they finished.
    __u64 without_visit;
    __u64 anchor_calls;
    // Returns to user mode at which events waited and the process was not interrupted.
    __u64 refused[SR_REFUSED_PLACES];
};

// SR_MODULE_UPCALL_ANCHOR: comes back when the processor's events want a process. Call it again at once.
// EINVAL: the caller is not bound to one processor; EBUSY: this one has an anchor; ENODEV: it goes offline.
struct sr_upcall_anchor {
    __u32 processor; // out
    __u32 reserved;
};

// SR_MODULE_UPCALL_PROBE: runs code a number of times as an extension of its own and comes back when it has
// ended. ETIME: not all of it was done in time. Events are posted in softirq on the processor of the caller.
struct sr_upcall_probe {
    __u64 code;       // address of position-independent code that begins with its entry
    __u64 payload;    // of each event
    __u32 code_bytes; // 0: the null extension, which answers with the event's cookie
    __u32 upcalls;
    __u32 interval_us;
    __u32 timeout_ms;
    __u32 reserved;
    // Out from here on. Finished; of those: answered with the event's cookie, which counts from 0.
    __u32 done;
    __u32 right;
    __u32 posted;
    __u32 cause; // enum sr_abort_cause
    __u32 reserved_out;
    __u64 instruction; // from the beginning of the code
    __u64 fault;
    // From the post to the first instruction in ring 3.
    __u64 wait_min_ns;
    __u64 wait_max_ns;
    __u64 wait_sum_ns;
    // TSC cycles of a run, both crossings included.
    __u64 cycles_min;
    __u64 cycles_sum;
    __u64 run_ns;
    __u64 run_max_ns;
};

// --- Sizes and numbers ---

// Index of each structure in sr_module_hello.sizes. New ones are added at the end.
enum sr_module_structure {
    SR_STRUCTURE_HELLO = 0,
    SR_STRUCTURE_HOLD_QUERY = 1,
    SR_STRUCTURE_EXTENSION_LOAD = 2,
    SR_STRUCTURE_EXTENSION_ENTRY = 3,
    SR_STRUCTURE_EXTENSION_QUERY = 4,
    SR_STRUCTURE_EXTENSION_ACCOUNT = 5,
    SR_STRUCTURE_RELAY_ENTRY = 6,
    SR_STRUCTURE_RELAY_QUERY = 7,
    SR_STRUCTURE_COUNTERS = 8,
    SR_STRUCTURE_FLOW = 9,
    SR_STRUCTURE_REPORTS = 10,
    SR_STRUCTURE_NODE_COUNTERS = 11,
    SR_STRUCTURE_UPCALL_ACCOUNT = 12,
    SR_STRUCTURE_UPCALL_PROBE = 13,
    SR_STRUCTURE_COUNT,
};

// Numbers 0 to 15 belong to the device and the kfuncs, 16 to 47 to extensions and relays of engine `upcall`,
// 48 to 63 to its mechanism.
enum sr_module_command {
    SR_MODULE_HELLO = SR_MODULE_COMMAND(0, struct sr_module_hello),
    SR_MODULE_HOLD_READ = SR_MODULE_COMMAND(1, struct sr_hold_query),
    SR_MODULE_HOLD_FLUSH = SR_MODULE_COMMAND(2, struct sr_hold_query),
    SR_MODULE_EXTENSION_LOAD = SR_MODULE_COMMAND(16, struct sr_extension_load),
    SR_MODULE_EXTENSION_UNLOAD = SR_MODULE_COMMAND(17, struct sr_extension_number),
    SR_MODULE_EXTENSION_LIST = SR_MODULE_COMMAND(18, struct sr_module_list),
    SR_MODULE_EXTENSION_READ = SR_MODULE_COMMAND(19, struct sr_extension_query),
    SR_MODULE_EXTENSION_PARAMETERS = SR_MODULE_COMMAND(20, struct sr_extension_query),
    SR_MODULE_RELAY_SET = SR_MODULE_COMMAND(24, struct sr_relay_entry),
    SR_MODULE_RELAY_REMOVE = SR_MODULE_COMMAND(25, struct sr_relay_entry),
    SR_MODULE_RELAY_LIST = SR_MODULE_COMMAND(26, struct sr_module_list),
    SR_MODULE_RELAY_READ = SR_MODULE_COMMAND(27, struct sr_relay_query),
    SR_MODULE_DATAPATH_READ = SR_MODULE_COMMAND(28, struct sr_datapath_query),
    SR_MODULE_UPCALL_ACCOUNT = SR_MODULE_COMMAND(48, struct sr_upcall_account),
    SR_MODULE_UPCALL_ANCHOR = SR_MODULE_COMMAND(49, struct sr_upcall_anchor),
    SR_MODULE_UPCALL_PROBE = SR_MODULE_COMMAND(50, struct sr_upcall_probe),
};

// Fills a hello with what this copy of the file says.
static inline void sr_module_hello_fill(struct sr_module_hello *hello) {
    *hello = (struct sr_module_hello){.version = SR_MODULE_VERSION};
    hello->sizes[SR_STRUCTURE_HELLO] = sizeof(struct sr_module_hello);
    hello->sizes[SR_STRUCTURE_HOLD_QUERY] = sizeof(struct sr_hold_query);
    hello->sizes[SR_STRUCTURE_EXTENSION_LOAD] = sizeof(struct sr_extension_load);
    hello->sizes[SR_STRUCTURE_EXTENSION_ENTRY] = sizeof(struct sr_extension_entry);
    hello->sizes[SR_STRUCTURE_EXTENSION_QUERY] = sizeof(struct sr_extension_query);
    hello->sizes[SR_STRUCTURE_EXTENSION_ACCOUNT] = sizeof(struct sr_extension_account);
    hello->sizes[SR_STRUCTURE_RELAY_ENTRY] = sizeof(struct sr_relay_entry);
    hello->sizes[SR_STRUCTURE_RELAY_QUERY] = sizeof(struct sr_relay_query);
    hello->sizes[SR_STRUCTURE_COUNTERS] = sizeof(struct sr_counters);
    hello->sizes[SR_STRUCTURE_FLOW] = sizeof(struct sr_flow);
    hello->sizes[SR_STRUCTURE_REPORTS] = sizeof(struct sr_reports);
    hello->sizes[SR_STRUCTURE_NODE_COUNTERS] = sizeof(struct sr_node_counters);
    hello->sizes[SR_STRUCTURE_UPCALL_ACCOUNT] = sizeof(struct sr_upcall_account);
    hello->sizes[SR_STRUCTURE_UPCALL_PROBE] = sizeof(struct sr_upcall_probe);
}

_Static_assert((int)SR_STRUCTURE_COUNT <= (int)SR_MODULE_SIZES,
               "The hello has a place for each structure's size.");
_Static_assert(sizeof(struct sr_module_hello) == 136, "size of sr_module_hello");
_Static_assert(sizeof(struct sr_hold_counts) == 112, "size of sr_hold_counts");
_Static_assert(sizeof(struct sr_hold_query) == 120, "size of sr_hold_query");
_Static_assert(sizeof(struct sr_extension_load) == 144, "size of sr_extension_load");
_Static_assert(sizeof(struct sr_extension_number) == 8, "size of sr_extension_number");
_Static_assert(sizeof(struct sr_extension_entry) == 168, "size of sr_extension_entry");
_Static_assert(sizeof(struct sr_module_list) == 16, "size of sr_module_list");
_Static_assert(sizeof(struct sr_extension_query) == 24, "size of sr_extension_query");
_Static_assert(sizeof(struct sr_relay_entry) == 24 + sizeof(struct sr_relay), "size of sr_relay_entry");
_Static_assert(sizeof(struct sr_relay_query) == 32, "size of sr_relay_query");
_Static_assert(sizeof(struct sr_datapath_query) == 16, "size of sr_datapath_query");
_Static_assert(sizeof(struct sr_upcall_account) == 200, "size of sr_upcall_account");
_Static_assert(sizeof(struct sr_upcall_anchor) == 8, "size of sr_upcall_anchor");
_Static_assert(sizeof(struct sr_upcall_probe) == 128, "size of sr_upcall_probe");

#endif
