// The kernel module's device (streamrouter_module.h) as Swift may use it. Shims because Swift imports neither
// the variadic ioctl nor fork nor macros with text.
#ifndef SR_MODULE_H
#define SR_MODULE_H

#include "streamrouter_module.h"

// Opens the device. A descriptor or a negative errno.
int sr_module_open(void);

// An ioctl. 0 or a negative errno.
int sr_module_call(int device, __u32 command, void *argument);

// What is wrong with an image (enum sr_image_flaw), and why an extension was aborted (enum sr_abort_cause),
// as ends of sentences; "" for numbers that are neither.
const char *sr_image_flaw_text(__u32 flaw);
const char *sr_abort_cause_text(__u32 cause);

// Starts the anchor of a processor (SR_MODULE_UPCALL_ANCHOR), unless the network namespace of the caller has
// one. It outlives the caller, as relays do, and ends by itself once the namespace has no relay in the module
// any more. `priority` is that of SCHED_FIFO; where the caller may not use that, the anchor goes on without.
// 0 or a negative errno.
int sr_module_start_anchor(int processor, int priority);

#endif
