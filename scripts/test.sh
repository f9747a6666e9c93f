#!/usr/bin/env bash
# Everything that can be checked on this machine: packages, style, build, tests. Tests that need root, or a kernel
# feature that is not here, say so and are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# Every room's tests (Package.swift).
unset SR_TESTS
scripts/setup.sh test
scripts/lint.sh
# The product first: system tests run it.
swift build
readonly alone='SystemTests|ControlTests|IdentityTests'
swift test --skip "$alone"
# One after the other: they count packets, and all namespaces of a machine share the kernel's receive backlog; or they wait
# for real connections, whose patience is not made for hundreds of tests on two processors.
swift test --skip-build --no-parallel --filter "$alone"

# SandboxChannel: both sides as threads under ThreadSanitizer, and its model, explored to the end.
Tests/SandboxChannelTests/Model/check.sh &
model=$!
scripts/sanitize-threads.sh
wait "$model"

# Debian's own kernels, older than what this machine may run: the module, and the verifiers.
if [[ $(uname -m) != x86_64 ]]; then
    echo "test: skipped the guests of Tests/VM: they are x86-64, and this machine is $(uname -m)"
elif ! apt-cache show qemu-system-x86 2>/dev/null | grep -q '^Package:'; then
    echo "test: skipped the guests of Tests/VM: apt offers no qemu-system-x86 here"
else
    scripts/setup.sh vm
    Tests/VM/controls.sh
    # What no load of this machine makes late; `make vm-test` runs the rest.
    Tests/VM/run.sh --short --guest module
fi
