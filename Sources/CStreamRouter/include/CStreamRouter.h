// Umbrella of the module CStreamRouter: the shared structures, libbpf, and the shims that Swift cannot
// write itself, each with its reason.
#ifndef CSTREAMROUTER_H
#define CSTREAMROUTER_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "streamrouter_abi.h"
#include "streamrouter_measure.h"
#include "streamrouter_module.h"
#include "sr_bpf.h"
#include "sr_channel.h"
#include "sr_counters.h"
#include "sr_extension_process.h"
#include "sr_extension_upcall.h"
#include "sr_lockdown.h"
#include "sr_machine.h"
#include "sr_module.h"
#include "sr_namespace.h"
#include "sr_netlink.h"
#include "sr_pass.h"
#include "sr_socket.h"
#include "sr_splice.h"
#include "sr_tap.h"
#include "sr_tcx.h"
#include "sr_worker.h"

#endif
