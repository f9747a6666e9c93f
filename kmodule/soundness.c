// SPDX-License-Identifier: GPL-2.0
// Refuses part upcall where it would be unsound, with one line that says why.
#include <linux/cc_platform.h>
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/fpu/types.h>
#include <asm/special_insns.h>

#include "main.h"
#include "sandbox.h"

bool sr_mode_shared;

// Kernels without FRED have no name for its bit.
#define SR_CR4_FRED (1ull << 32)

static const char *unsound(void) {
    unsigned long cr4 = __read_cr4();

    if (IS_ENABLED(CONFIG_PREEMPT_RT))
        return "this kernel is PREEMPT_RT: softirqs are threads, and locks sleep";
    if (preempt_model_full())
        return "this kernel lets itself be preempted in the middle of an exception (preempt=full): boot with "
               "preempt=voluntary";
    if (cpu_feature_enabled(X86_FEATURE_XENPV))
        return "page tables belong to the hypervisor (Xen PV)";
    if (cr4 & X86_CR4_LA57)
        return "page tables have 5 levels: boot with no5lvl";
    if (cr4 & SR_CR4_FRED)
        return "exceptions are delivered by FRED, of which nothing was tried";
    if (!boot_cpu_has(X86_FEATURE_NX))
        return "this processor has no pages that cannot be executed (NX)";
    if (!(cr4 & X86_CR4_OSXSAVE))
        return "floating-point registers cannot be kept: no XSAVE";
    if (xgetbv(XCR_XFEATURE_ENABLED_MASK) & XFEATURE_MASK_XTILE)
        return "an extension's use of AMX tiles could not be told from the interrupted process' (boot with "
               "clearcpuid=amx-tile)";
    if (cpu_feature_enabled(X86_FEATURE_PTI) && cr4 & X86_CR4_PCIDE && !boot_cpu_has(X86_FEATURE_INVPCID))
        return "page-table isolation with PCID, but no INVPCID to flush what user mode saw";
    if (cc_platform_has(CC_ATTR_GUEST_STATE_ENCRYPT) || boot_cpu_has(X86_FEATURE_TDX_GUEST))
        return "an encrypted guest gets exceptions of its own kind (#VC, #VE) in user mode";
    return NULL;
}

// Processes with a shadow stack (CET) are not refused here but one by one, by victim.c.
int sr_soundness_check(void) {
    const char *reason;

    sr_mode_shared = !strcmp(sr_upcall_mode, "shared");
    if (!sr_mode_shared && strcmp(sr_upcall_mode, "private")) {
        pr_err("streamrouter: upcall refused: upcall_mode is neither private nor shared\n");
        return -EINVAL;
    }
    reason = unsound();
    if (reason) {
        pr_err("streamrouter: upcall refused: %s\n", reason);
        return -EOPNOTSUPP;
    }
    if (sr_mode_shared)
        pr_warn("streamrouter: upcall_mode=shared reproduces a paper: extensions can read and write the "
                "memory of whichever process they interrupt\n");
    return 0;
}
