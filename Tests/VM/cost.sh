#!/usr/bin/env bash
# Has guests of both kernels count what a null upcall takes and what it stands beside, and leaves that as a file for
# `streamrouter bench cost --emulated`. Instructions are counted (QEMU's icount), not time: no result of a machine.
#
#   Tests/VM/cost.sh        about a minute, once the kernels are there; VM_CACHE as run.sh has it
#
# The file is .build/vm/upcall-cost.json, or upcall-cost.json in VM_CACHE; there is none where this fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${VM_CACHE:-.build/vm}
file=$cache/upcall-cost.json
rm -f "$file"
Tests/VM/run.sh --guest clock upcall-cost >&2

# One line `count NAME INSTRUCTIONS` of the test.
count() {
    local number
    number=$(awk -v name="$2" '$1 == "count" && $2 == name {print $3}' "$1")
    [[ $number =~ ^[0-9]+$ ]] || { echo "cost: $1 has no count of $2" >&2 && return 1; }
    printf '%s' "$number"
}
guests=()
for results in "$cache"/run/*/clock/results; do
    kernel=$(awk '$1 == "kernel" {print $2; exit}' "$results")
    private=$(count "$results" upcall-private)
    shared=$(count "$results" upcall-shared)
    fifo=$(count "$results" round-trip-fifo)
    other=$(count "$results" round-trip-other)
    guests+=("$(printf '{"kernel": "%s", "upcallPrivate": %s, "upcallShared": %s, "roundTripFIFO": %s, "roundTripOther": %s}' \
        "$kernel" "$private" "$shared" "$fifo" "$other")")
done
qemu=$(qemu-system-x86_64 --version | awk '{print $4; exit}')
revision=
if commit=$(git rev-parse --short HEAD 2>/dev/null); then
    revision=$(printf '"revision": "%s%s", ' "$commit" \
        "$([[ -z $(git status --porcelain --untracked-files=no) ]] || echo +)")
fi
{
    printf '{"format": 1, "date": "%s", %s"qemu": "%s", "guests": [\n' "$(date -u +%FT%TZ)" "$revision" "$qemu"
    for ((place = 0; place < ${#guests[@]}; place++)); do
        printf '  %s%s\n' "${guests[place]}" "$( ((place + 1 == ${#guests[@]})) || echo ,)"
    done
    printf ']}\n'
} >"$file.new"
mv "$file.new" "$file"
echo "wrote $file" >&2
