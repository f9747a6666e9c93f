// SPDX-License-Identifier: GPL-2.0
// The functions that verified extensions call, and what the verifier is told about each.
//
// All take a packet as the program's context, or memory with its size, so that the verifier itself keeps them
// in bounds: a pair `name, name__sz` is memory of that size, a pointer to a structure is memory of the
// structure's. KF_TRUSTED_ARGS on all: no pointer may be NULL or merely guessed (from 6.2 on; 6.1 checks
// less).
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/netdevice.h>

#include "emit.h"
#include "hold.h"
#include "kfuncs.h"
#include "keyed_hash.h"
#include "parity.h"

// What older kernels call otherwise.
#ifndef __bpf_kfunc
#define __bpf_kfunc __used noinline
#endif
#ifndef BTF_KFUNCS_START
#define BTF_KFUNCS_START(name) BTF_SET8_START(name)
#define BTF_KFUNCS_END(name) BTF_SET8_END(name)
#endif

__diag_push();
__diag_ignore_all("-Wmissing-prototypes", "Programs call these by their BTF, not by a header.");

static struct sk_buff *packet_of(struct __sk_buff *context) {
    return (struct sk_buff *)context;
}

// Holds a copy of the packet until `release_ns` (CLOCK_MONOTONIC, as bpf_ktime_get_ns() tells it, or
// CLOCK_REALTIME with SR_HOLD_REALTIME) and then sends it out through the device, or up its stack with
// SR_HOLD_UP. A time that is past means at once, behind what is due before it. What becomes of the program's
// own packet its verdict says: TC_ACT_STOLEN where this was all. Programs at the egress of the device meet
// the copy as they meet any packet; one that holds there has to tell it by its mark, which stays.
//
// 0, or the packet was not held: -EINVAL no such queue or flag, -ERANGE more than SR_HOLD_LONGEST_S from now,
// -ENODEV no such device, or it is down, -ENOBUFS the queue or the whole is full, -ENOMEM.
__bpf_kfunc int sr_packet_hold(struct __sk_buff *context, u64 release_ns, u32 queue, u32 ifindex, u32 flags) {
    return sr_hold_take(packet_of(context), release_ns, queue, ifindex, flags);
}

// Frees up to SR_HOLD_DROP_BATCH packets of a queue of the packet's network namespace, the next ones first.
// Answers how many are left, or -EINVAL.
__bpf_kfunc int sr_packet_drop_held(struct __sk_buff *context, u32 queue) {
    return sr_hold_drop(dev_net(packet_of(context)->dev), queue, SR_HOLD_DROP_BATCH);
}

// How many packets a queue of the packet's network namespace holds, or -EINVAL.
__bpf_kfunc int sr_packet_count_held(struct __sk_buff *context, u32 queue) {
    return sr_hold_length(dev_net(packet_of(context)->dev), queue);
}

// Makes a datagram with the first `headers` bytes of the packet (up to its payload, over IPv4 or IPv6 and
// UDP) and `length` bytes of memory as its payload, and has it come in where the packet came in, behind it,
// with mark SR_EMIT_MARK: the programs there see it. Lengths and checksums are made right.
//
// 0, or there is none: -EMSGSIZE the packet or the memory has so many bytes not, -EPROTONOSUPPORT it is no
// such datagram, -ENOMEM, -ENOBUFS the processor's queue of received packets is full.
__bpf_kfunc int sr_packet_emit(struct __sk_buff *context, u32 headers, u32 length, const void *payload,
                               u32 payload__sz) {
    if (!payload)
        return -EFAULT;
    return length <= payload__sz ? sr_emit(packet_of(context), headers, payload, length) : -EMSGSIZE;
}

// Adds (XOR) `length` bytes of the packet from `offset` on to the first ones of the row. -EMSGSIZE where the
// packet or the row has them not, or they are none or more than SR_XOR_BYTES.
__bpf_kfunc int sr_packet_xor(struct __sk_buff *context, u32 offset, u32 length, void *row, u32 row__sz) {
    if (!row)
        return -EFAULT;
    return sr_xor_packet(packet_of(context), offset, length, row, row__sz);
}

// The same of memory.
__bpf_kfunc int sr_bytes_xor(void *row, u32 row__sz, const void *bytes, u32 bytes__sz) {
    if (!row || !bytes)
        return -EFAULT;
    return sr_xor_bytes(row, row__sz, bytes, bytes__sz);
}

// SipHash-2-4 of `length` bytes of the packet from `offset` on. -EMSGSIZE where the packet has them not, or
// they are none or more than SR_HASH_BYTES.
__bpf_kfunc int sr_packet_hash(struct __sk_buff *context, u32 offset, u32 length,
                               const struct sr_hash_key *key, u64 *hash) {
    if (!key || !hash)
        return -EFAULT;
    return sr_hash_packet(packet_of(context), offset, length, key, hash);
}

// The same of memory: a part of a packet that the program may read, its stack, a map's value.
__bpf_kfunc int sr_bytes_hash(const void *bytes, u32 bytes__sz, const struct sr_hash_key *key, u64 *hash) {
    if (!bytes || !key || !hash)
        return -EFAULT;
    return sr_hash_bytes(bytes, bytes__sz, key, hash);
}

__diag_pop();

BTF_KFUNCS_START(packet_functions)
BTF_ID_FLAGS(func, sr_packet_hold, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_packet_drop_held, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_packet_count_held, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_packet_emit, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_packet_xor, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_bytes_xor, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_packet_hash, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_bytes_hash, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(packet_functions)

// XDP programs have no packet of the stack's.
BTF_KFUNCS_START(frame_functions)
BTF_ID_FLAGS(func, sr_bytes_xor, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_bytes_hash, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(frame_functions)

static const struct btf_kfunc_id_set packet_set = {.owner = THIS_MODULE, .set = &packet_functions};
static const struct btf_kfunc_id_set frame_set = {.owner = THIS_MODULE, .set = &frame_functions};

int sr_kfuncs_start(void) {
    int error;

    error = register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &packet_set);
    if (!error)
        error = register_btf_kfunc_id_set(BPF_PROG_TYPE_XDP, &frame_set);
    if (error)
        pr_err("streamrouter: the kernel does not take the functions (%d): the module's BTF is missing or of "
               "another kernel; build it with the types of this one, or load it with kfuncs=0\n",
               error);
    return error;
}
