/* SPDX-License-Identifier: GPL-2.0 */
// From a packet that its extensions let through to the sinks.
#pragma once

struct sr_packet;

// One copy to each sink that is left, as the extensions left the payload. The packet stays the caller's. In
// process context or softirq.
void sr_transmit(const struct sr_packet *packet);
