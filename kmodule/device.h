/* SPDX-License-Identifier: GPL-2.0 */
// /dev/streamrouter: see streamrouter_module.h.
#pragma once

// One entry of the table of ioctls in device.c. `run` gets a copy of the argument in kernel memory, which is
// copied back whatever it answers, and may sleep.
struct sr_command {
    unsigned int number;
    // The part it belongs to, 0 for none.
    unsigned int part;
    int (*run)(void *argument);
};

int sr_device_start(void);
void sr_device_stop(void);
