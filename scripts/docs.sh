#!/usr/bin/env bash
# Makes the SDK's documentation from its comments and its DocC catalogue; a link or a parameter that is not there is an
# error.
#
#   scripts/docs.sh [FOLDER]     default: .build/documentation; serve it with any web server
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:-.build/documentation}

swift package dump-symbol-graph --minimum-access-level public >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$(swift build --show-bin-path)"/../symbolgraph/RelayExtension*.json "$work"
# docc stands beside the compiler, as clang does.
"$(dirname "$(readlink -f "$(command -v swiftc)")")/docc" convert Sources/RelayExtension/RelayExtension.docc \
    --additional-symbol-graph-dir "$work" --fallback-display-name RelayExtension \
    --fallback-bundle-identifier RelayExtension --output-path "$output" --warnings-as-errors
echo "wrote $output"
