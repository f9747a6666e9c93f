/* SPDX-License-Identifier: GPL-2.0 */
// What was asked for when the module was loaded. Read only.
#pragma once

#include <linux/types.h>

extern bool sr_kfuncs_on;
extern bool sr_upcall_on;
// "private" or "shared", as it was typed.
extern char *sr_upcall_mode;
