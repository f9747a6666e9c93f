#!/usr/bin/env bash
# Everything that can be checked on this machine: packages, style, build, tests. Tests that need root, or a kernel
# feature that is not here, say so and are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh test
scripts/lint.sh
# The product first: system tests run it.
swift build
swift test --skip SystemTests
# One after the other: they count packets, and all namespaces of a machine share the kernel's receive backlog.
swift test --skip-build --no-parallel --filter SystemTests
