/* SPDX-License-Identifier: GPL-2.0 */
// The functions that verified extensions call. There is no way to take them back: they go with the module's
// BTF, and a program that calls one holds the module.
#pragma once

int sr_kfuncs_start(void);
