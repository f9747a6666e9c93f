#include "sr_tcx.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int call(enum bpf_cmd command, union bpf_attr *attributes) {
    return syscall(SYS_bpf, command, attributes, sizeof(*attributes)) < 0 ? -errno : 0;
}

int sr_tcx_attach(__u32 interface, enum sr_tcx_side side, int program, int replaced) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof(attributes));
    attributes.target_fd = interface; // the interface's index, for this kind of target
    attributes.attach_bpf_fd = program;
    attributes.attach_type = side;
    if (replaced >= 0) {
        attributes.attach_flags = BPF_F_REPLACE;
        attributes.replace_bpf_fd = replaced;
    }
    return call(BPF_PROG_ATTACH, &attributes);
}

int sr_tcx_detach(__u32 interface, enum sr_tcx_side side, int program) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof(attributes));
    attributes.target_fd = interface;
    attributes.attach_bpf_fd = program;
    attributes.attach_type = side;
    return call(BPF_PROG_DETACH, &attributes);
}

int sr_tcx_query(__u32 interface, enum sr_tcx_side side, __u32 ids[SR_TCX_PROGRAMS]) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof(attributes));
    attributes.query.target_fd = interface;
    attributes.query.attach_type = side;
    attributes.query.prog_ids = (__u64)(unsigned long)ids;
    attributes.query.prog_cnt = SR_TCX_PROGRAMS;
    int result = call(BPF_PROG_QUERY, &attributes);
    // ENOENT: no chain on this device yet.
    return result == -ENOENT ? 0 : result ? result : (int)attributes.query.prog_cnt;
}
