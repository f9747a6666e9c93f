// BPF programs in a device's tcx chain (kernel 6.6), which runs before traffic control's filters and costs a
// packet less. A shim because Debian 12's libbpf 1.1 and kernel headers do not know it.
#ifndef SR_TCX_H
#define SR_TCX_H

#include <linux/types.h>

enum sr_tcx_side { SR_TCX_INGRESS = 46, SR_TCX_EGRESS = 47 }; // BPF_TCX_INGRESS and _EGRESS of linux/bpf.h
enum { SR_TCX_PROGRAMS = 64 };                                // what one chain holds at most (BPF_MPROG_MAX)

// Appends a program to a device's chain, or puts it in the place of one that is in it (`replaced`, else -1).
// Returns 0 or a negative errno.
int sr_tcx_attach(__u32 interface, enum sr_tcx_side side, int program, int replaced);

// Takes a program out of a chain. Returns 0 or a negative errno.
int sr_tcx_detach(__u32 interface, enum sr_tcx_side side, int program);

// The ids of a chain's programs. Returns their number or a negative errno: -EINVAL from a kernel without tcx.
int sr_tcx_query(__u32 interface, enum sr_tcx_side side, __u32 ids[SR_TCX_PROGRAMS]);

#endif
