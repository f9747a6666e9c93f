#!/usr/bin/env bash
# What extensions cost a packet, in Swift and by hand in C (Benchmarks/extensions), within the same frame and side by
# side in one run. First both must pass the extension's vectors. Needs root; wants an otherwise idle machine.
#
#   scripts/bench-extensions.sh
set -euo pipefail
cd "$(dirname "$0")/.."

swift build -c release --product streamrouter 2>&1 | tail -1
streamrouter="$(swift build -c release --show-bin-path)/streamrouter"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp Extensions/Police.swift Extensions/Dedup.swift "$work"
cat >"$work/Forward.swift" <<'SWIFT'
import RelayExtension
@main struct Forward: RelayExtension {
  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict { .forward }
}
SWIFT
arguments=()
for name in Forward Police Dedup; do
    "$streamrouter" extension build "$work/$name.swift" --output-dir "$work" >/dev/null
    "$streamrouter" extension build "$work/$name.swift" --by-hand "Benchmarks/extensions/$name.c" \
        --output-dir "$work" >/dev/null
    lower=${name,,}
    settings=
    case $name in
    Police) settings=,bitsPerSecond=100G,packetsPerSecond=100M ;;
    # The same packet again and again is a copy; counted only, it goes on.
    Dedup) settings=,countOnly=true ;;
    esac
    for object in "$lower" "$lower-c"; do
        if [[ -e Extensions/$name.vectors.yaml ]]; then
            "$streamrouter" extension test "$work/$object.srx" --vectors "Extensions/$name.vectors.yaml"
        fi
        arguments+=(--extension "$work/$object.srx$settings")
    done
done
"$streamrouter" bench cost --ways process "${arguments[@]}"

printf '\nWhat the account costs: sequence numbers, jitter and delay variation of a stream that goes on (Advance.swift)\n'
"$streamrouter" extension build Benchmarks/extensions/Advance.swift --output-dir "$work" >/dev/null
"$streamrouter" bench cost --ways process --without-account --extension "$work/advance.srx"
