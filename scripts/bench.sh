#!/usr/bin/env bash
# Measures everything beside the peers that users have today, and writes docs/RESULTS.md with its charts from what was
# found. Needs root and two processors, and wants an otherwise idle machine for forty minutes.
#
#   scripts/bench.sh [--quick]    --quick is a look of ten minutes, into .build/bench-quick; it leaves docs/ as it is
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build
scripts/setup.sh bench
swift build -c release --product streamrouter
streamrouter="$(swift build -c release --show-bin-path)/streamrouter"

as_root=()
if ((EUID != 0)); then as_root=(sudo); fi
if [[ ${1:-} == --quick ]]; then
    exec "${as_root[@]}" "$streamrouter" bench all --peers --quick --output .build/bench-quick
fi
# What an upcall takes where the module is not loaded: guests count instructions. The rest does without them.
emulated=()
if command -v qemu-system-x86_64 >/dev/null; then
    if Tests/VM/cost.sh; then
        emulated=(--emulated "${VM_CACHE:-.build/vm}/upcall-cost.json")
    else
        echo "bench: goes on without emulated instructions" >&2
    fi
fi
"${as_root[@]}" "$streamrouter" bench all --peers "${emulated[@]}" --output .build/bench
"$streamrouter" bench report .build/bench --markdown docs/RESULTS.md --pictures docs/img
