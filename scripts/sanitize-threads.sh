#!/usr/bin/env bash
# Both sides of a channel as threads of one process, under ThreadSanitizer; then a packet is written after it was sent, which
# it has to find.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'sanitize-threads: %s\n' "$*" >&2; }
# Optimised: otherwise what writes the packets stands in the standard library, which is not instrumented.
build=(swift build -c release --sanitize thread --product channelpeer --scratch-path .build-tsan)
"${build[@]}" >&2
peer=$("${build[@]}" --show-bin-path)/channelpeer
# A place for its shadow that the kernel's random placement of maps may have taken otherwise.
run() { TSAN_OPTIONS="halt_on_error=1 exitcode=66" setarch "$(uname -m)" -R "$peer" "$@"; }

run threads 3 1
run threads 3 3
status=0
run race 3 1 >/dev/null 2>&1 || status=$?
[[ $status == 66 ]] || {
    say "a write after sending was not found (exit $status): the check sees nothing"
    exit 1
}
say "no race with 1 and 3 threads; the race that was put in was found"
