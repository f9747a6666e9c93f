#!/usr/bin/env bash
# The style of every language here, as far as a machine can tell. Changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

swift format lint --strict -r Sources Tests Extensions Plugins Package.swift
find bpf kmodule Sources/CStreamRouter Sources/RelayExtension Tests/VM \( -name '*.c' -o -name '*.h' \) -print0 | xargs -0 clang-format --dry-run -Werror
for script in scripts/*.sh Tests/VM/*.sh Tests/VM/init Tests/VM/guest/*.{sh,inc,build} .ci/run; do bash -n "$script"; done
