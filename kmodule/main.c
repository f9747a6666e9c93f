// SPDX-License-Identifier: GPL-2.0
// Start and end of streamrouter.ko: an ordered staircase. Each failure undoes exactly what was done before
// it, and the end is the same way down.
#include <linux/init.h>
#include <linux/module.h>

#include "device.h"
#include "hold.h"
#include "keyed_hash.h"
#include "kfuncs.h"
#include "main.h"
#include "upcall.h"

bool sr_kfuncs_on = true;
module_param_named(kfuncs, sr_kfuncs_on, bool, 0444);
MODULE_PARM_DESC(kfuncs, "Kernel functions for verified extensions: hold, parity, keyed hash (default: on)");

bool sr_upcall_on;
module_param_named(upcall, sr_upcall_on, bool, 0444);
MODULE_PARM_DESC(upcall, "The experimental user-level sandbox, engine upcall (default: off)");

char *sr_upcall_mode = "private";
module_param_named(upcall_mode, sr_upcall_mode, charp, 0444);
MODULE_PARM_DESC(upcall_mode,
                 "private: the sandbox is seen by nobody else; shared: the reproduction of the paper, "
                 "in which it is not (default: private)");

// The functions come last on the way up: once they are registered a program can hold this module, and it can
// no more be taken back.
static int __init sr_start(void) {
    int error;

    error = sr_hash_start();
    if (error)
        goto end;
    error = sr_hold_start();
    if (error)
        goto stop_hash;
    error = sr_upcall_on ? sr_upcall_start() : 0;
    if (error)
        goto stop_hold;
    error = sr_device_start();
    if (error)
        goto stop_upcall;
    error = sr_kfuncs_on ? sr_kfuncs_start() : 0;
    if (error)
        goto stop_device;
    pr_info("streamrouter: kfuncs %s, upcall %s\n", sr_kfuncs_on ? "on" : "off", sr_upcall_on ? "on" : "off");
    return 0;

stop_device:
    sr_device_stop();
stop_upcall:
    if (sr_upcall_on)
        sr_upcall_stop();
stop_hold:
    sr_hold_stop();
stop_hash:
    sr_hash_stop();
end:
    return error;
}

// Registered functions go by themselves with the module's BTF.
static void __exit sr_stop(void) {
    sr_device_stop();
    if (sr_upcall_on)
        sr_upcall_stop();
    sr_hold_stop();
    sr_hash_stop();
}

module_init(sr_start);
module_exit(sr_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("StreamRouter: kernel functions for relay extensions, and the user-level sandbox");
MODULE_AUTHOR("StreamRouter");
