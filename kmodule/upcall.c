// SPDX-License-Identifier: GPL-2.0
// Start and end of part upcall. Exceptions are caught before the first processor may run an extension, and
// longer than the last one.
#include "extension.h"
#include "packet.h"
#include "relay.h"
#include "sandbox.h"

int sr_upcall_start(void) {
    int error = sr_soundness_check();

    if (error)
        return error;
    error = sr_area_start();
    if (error)
        return error;
    error = sr_crossing_start();
    if (error)
        goto stop_area;
    error = sr_space_start();
    if (error)
        goto stop_crossing;
    error = sr_processor_prepare();
    if (error)
        goto stop_space;
    error = sr_fault_start();
    if (error)
        goto free_processors;
    error = sr_processor_start();
    if (error)
        goto stop_fault;
    error = sr_packet_start();
    if (error)
        goto stop_processors;
    error = sr_relay_start();
    if (error)
        goto stop_packets;
    return 0;

stop_packets:
    sr_packet_stop();
stop_processors:
    sr_processor_stop();
stop_fault:
    sr_fault_stop();
free_processors:
    sr_processor_free();
stop_space:
    sr_space_stop();
stop_crossing:
    sr_crossing_stop();
stop_area:
    sr_area_stop();
    return error;
}

void sr_upcall_stop(void) {
    sr_relay_stop();
    sr_extension_stop();
    sr_packet_stop();
    sr_processor_stop();
    sr_fault_stop();
    sr_processor_free();
    sr_space_stop();
    sr_crossing_stop();
    sr_area_stop();
}
