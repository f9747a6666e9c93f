#!/usr/bin/env bash
# Puts the built program and all that belongs to it where a system looks for it, or takes it away again. Files below
# /etc that are there already are never overwritten and never removed.
#
#   scripts/install.sh [--remove] DESTDIR PREFIX SYSCONFDIR
#
# The release build must be there for an installation. SR_PROGRAM names another program in its place, and SR_ZSH_DIR
# another folder for zsh's completion, which Debian's own packages have elsewhere than local ones.
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/.." && pwd)

remove=0
if [[ ${1:-} == --remove ]]; then
    remove=1
    shift
fi
if (($# != 3)) || [[ $2 != /* || $3 != /* ]]; then
    sed -n 's/^#   //p' "$0" >&2
    exit 64
fi
readonly root=${1%/} prefix=${2%/} etc=${3%/}
readonly share=$prefix/share
readonly program=${SR_PROGRAM:-$source_dir/.build/release/streamrouter}

# What goes where: source, target, mode.
files=()
add() { files+=("$1|$2|$3"); }
add "$program" "$prefix/bin/streamrouter" 755
add packaging/man/streamrouter.1 "$share/man/man1/streamrouter.1" 644
add packaging/completions/streamrouter "$share/bash-completion/completions/streamrouter" 644
add packaging/completions/_streamrouter "${SR_ZSH_DIR:-$share/zsh/site-functions}/_streamrouter" 644
add packaging/completions/streamrouter.fish "$share/fish/vendor_completions.d/streamrouter.fish" 644
for unit in node member controller; do
    add "packaging/systemd/streamrouter-$unit.service" "$prefix/lib/systemd/system/streamrouter-$unit.service" 644
done
add packaging/sysusers.d/streamrouter.conf "$prefix/lib/sysusers.d/streamrouter.conf" 644
add packaging/tmpfiles.d/streamrouter.conf "$prefix/lib/tmpfiles.d/streamrouter.conf" 644
add packaging/sysctl.d/90-streamrouter.conf "$prefix/lib/sysctl.d/90-streamrouter.conf" 644
cd "$source_dir"
for path in packaging/prometheus/streamrouter.rules.yml packaging/prometheus/prometheus.yml \
    packaging/grafana/streamrouter.json packaging/systemd/module.conf; do
    add "$path" "$share/streamrouter/${path#packaging/}" 644
done
while read -r path; do
    add "$path" "$share/doc/streamrouter/examples/$path" 644
done < <(find topologies -type f | sort)
readonly configured=$etc/streamrouter/node.env

# Folders that are ours alone go with the last file in them.
readonly own=("$share/doc/streamrouter" "$share/streamrouter" "$etc/streamrouter")

put() { # SOURCE TARGET MODE
    if [[ $1 == *.service || $1 == *.env ]]; then
        # The unit names where the program is.
        sed "s,/usr/bin/streamrouter,$prefix/bin/streamrouter,g; s,/etc/streamrouter/,$etc/streamrouter/,g" "$1" |
            install -D -m "$3" /dev/stdin "$root$2"
    else
        install -D -m "$3" "$1" "$root$2"
    fi
}

if ((remove)); then
    for entry in "${files[@]}"; do
        IFS='|' read -r _ target _ <<<"$entry"
        rm -f "$root$target"
    done
    if [[ -e $root$configured ]]; then echo "install: $root$configured stays; remove it where it is not needed" >&2; fi
    for folder in "${own[@]}"; do
        if [[ -d $root$folder ]]; then find "$root$folder" -depth -type d -empty -delete; fi
    done
    exit 0
fi

if [[ ! -x $program ]]; then
    # The service sees no home, where a compiler and its libraries may be: they are linked in.
    echo "install: there is no release build; as the user who builds, not as root:" >&2
    echo "  swift build -c release --static-swift-stdlib --product streamrouter" >&2
    exit 1
fi
for entry in "${files[@]}"; do
    IFS='|' read -r path target mode <<<"$entry"
    put "$path" "$target" "$mode"
done
if [[ -e $root$configured ]]; then
    echo "install: $root$configured is kept as it is" >&2
else
    put packaging/systemd/node.env "$configured" 644
fi

if [[ -z $root ]]; then
    cat >&2 <<END
install: done. For the service, as root:
  systemd-sysusers && systemd-tmpfiles --create streamrouter.conf && sysctl -p $prefix/lib/sysctl.d/90-streamrouter.conf
  systemctl daemon-reload        # then $configured, and: systemctl enable --now streamrouter-node
For an installation of several machines, in place of the latter: streamrouter-controller on one, streamrouter-member on all.
END
fi
