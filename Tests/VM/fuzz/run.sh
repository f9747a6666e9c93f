#!/usr/bin/env bash
# Fuzzes what reads hostile input in the module, at user level, with the sanitizers of Swift's clang.
#
#   Tests/VM/fuzz/run.sh [SECONDS] [OPTION OF LIBFUZZER]...
#
# The seed is printed; `-seed=N` takes it. The corpus begins with the sound images of Tests/VM/guest/images.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
repository=$(realpath "$here/../../..")
seconds=${1:-60}
shift || true
tools=$(dirname "$(realpath "$(command -v swiftc)")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
"$here/../guest/relay.build" "$work/corpus"
"$tools/clang" -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fuse-ld=lld -Wall -Wextra \
    -I "$repository/kmodule" -I "$repository/Sources/CStreamRouter/include" \
    -o "$work/image" "$here/image.c" "$repository/kmodule/image.c"
cd "$work"
"$work/image" -max_len=16384 -max_total_time="$seconds" -print_final_stats=1 "$@" "$work/corpus" 2>&1 |
    grep -E 'Seed|ERROR|SUMMARY|runtime error|stat::|crash-' || true
exit "${PIPESTATUS[0]}"
