#!/usr/bin/env bash
# Whether a guest ended by an error of its emulator: a processor ran a breakpoint (int3) where memory holds none. Kernels set
# one while they change their own code. QEMU before 8.1 may keep a translation of it that another processor made meanwhile
# (mended there by deba78709ae8, "accel/tcg: Always lock pages before translation"); Debian 12 has 7.2.
#
#   Tests/VM/stale.sh CONSOLE     0: so it was, and tells where
set -euo pipefail
# The byte before the marked one is what the processor should have run.
tr -d '\r' <"$1" | sed -n '/int3: 0000 \[#1\]/,/Code: /p' |
    awk '/RIP: / {place = $NF}
        /Code: / {for (i = 2; i <= NF; i++) if ($i ~ /^</ && $(i - 1) != "cc") {print place " holds " $(i - 1); found = 1}}
        END {exit !found}'
