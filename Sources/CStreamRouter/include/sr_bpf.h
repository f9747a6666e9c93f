// What libbpf says when something fails. A shim because its callback takes a va_list.
#ifndef SR_BPF_H
#define SR_BPF_H

#include <stddef.h>

// From now on libbpf's messages of this thread are kept, not printed; call it once a process.
void sr_bpf_log_keep(void);

// Moves what was kept on this thread to `text` (NUL-terminated, cut at `size`) and forgets it.
void sr_bpf_log_take(char *text, size_t size);

// Waits until no processor is at a packet that it began before this call (membarrier(2), a grace period of
// RCU).
void sr_wait_for_packets(void);

#endif
