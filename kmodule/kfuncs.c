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

#include "kfuncs.h"
#include "keyed_hash.h"

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

// SipHash-2-4 of `length` bytes of the packet from `offset` on. -EMSGSIZE where the packet has them not, or
// they are none or more than SR_HASH_BYTES.
__bpf_kfunc int sr_packet_hash(struct __sk_buff *context, u32 offset, u32 length,
                               const struct sr_hash_key *key, u64 *hash) {
    return sr_hash_packet((struct sk_buff *)context, offset, length, key, hash);
}

// The same of memory: a part of a packet that the program may read, its stack, a map's value.
__bpf_kfunc int sr_bytes_hash(const void *bytes, u32 bytes__sz, const struct sr_hash_key *key, u64 *hash) {
    return sr_hash_bytes(bytes, bytes__sz, key, hash);
}

__diag_pop();

BTF_KFUNCS_START(packet_functions)
BTF_ID_FLAGS(func, sr_packet_hash, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, sr_bytes_hash, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(packet_functions)

// XDP programs have no packet of the stack's.
BTF_KFUNCS_START(frame_functions)
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
