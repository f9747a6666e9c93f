// Takes from the calling process what extension code must not have. A shim because seccomp, capabilities and
// resource limits of other than the GNU names do not reach Swift.
//
// In two steps, because the dynamic loader needs to open and map files: between them only it runs.
#ifndef SR_LOCKDOWN_H
#define SR_LOCKDOWN_H

#include <stddef.h>
#include <sys/types.h>

struct sr_lockdown {
    pid_t parent;        // ends with it
    size_t memory_bytes; // that the process may still take
    const int *keep;     // descriptors that stay open beside 0, 1 and 2
    int keep_count;
    int wake; // the descriptor that may be read
};

// No new privileges, no capabilities, nobody instead of root, resource limits, and of the system calls only
// those of the relay and the loader, files for reading only. 0, or a negative errno; `step` then names what
// failed.
int sr_lockdown_begin(const struct sr_lockdown *lockdown, const char **step);

// Closes all other descriptors and leaves only the system calls that relaying takes. Any other one kills the
// process.
int sr_lockdown_finish(const struct sr_lockdown *lockdown, const char **step);

#endif
