#!/usr/bin/env bash
# Makes packaging/man/streamrouter.1 and packaging/completions/ from the help texts of the command. They are committed
# so that a package needs no Swift to ship them; run this after every change of an option or its help.
# GeneratedTests compares the completions with what the program prints.
#
#   scripts/generate.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The date that stands at the foot of the man page: fixed, so that only changed texts change the file.
readonly date=2026-11-24

swift build --product streamrouter
streamrouter="$(swift build --show-bin-path)/streamrouter"

mkdir -p packaging/completions packaging/man
# Each file under the name by which its shell looks for it.
"$streamrouter" --generate-completion-script bash >packaging/completions/streamrouter
"$streamrouter" --generate-completion-script zsh >packaging/completions/_streamrouter
"$streamrouter" --generate-completion-script fish >packaging/completions/streamrouter.fish

swift package plugin generate-manual --configuration debug --date "$date" --authors "The StreamRouter authors"
# The plugin shows hidden commands, writes blank lines where mdoc(7) wants .Pp, and does not escape a quote at the
# start of a line, which roff takes for a command.
awk '
    $0 == ".It Em impair-here" { hidden = 1 }
    hidden { if ($0 == ".El") hidden = 0; next }
    /^$/ { print ".Pp"; next }
    /^\x27/ { print "\\&" $0; next }
    { print }' .build/plugins/GenerateManual/outputs/streamrouter/streamrouter.1 >packaging/man/streamrouter.1
echo "wrote packaging/man and packaging/completions"
