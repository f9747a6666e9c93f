#!/usr/bin/env bash
# Makes a fresh machine ready: checks the Swift compiler, and installs the Debian packages that are missing.
# Says nothing where nothing is missing.
#
#   scripts/setup.sh [build|demo|test|vm]  what for; each includes those before it. Default: build.
#   scripts/setup.sh deb                   for a Debian package, and nothing of the others but build
#   scripts/setup.sh bench                 for `make bench`: plots, and the peers that are measured beside the relays
set -euo pipefail

readonly swift_major=6 swift_minor=3
readonly build_packages=(
    libbpf-dev libxdp-dev libpcap-dev libsctp-dev liburing-dev libelf-dev zlib1g-dev libsqlite3-dev linux-libc-dev
    iproute2 util-linux make
)
readonly demo_packages=(ffmpeg)
readonly test_packages=(
    tcpdump tshark iperf3 python3-minimal python3 gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad
    tmux clang-format procps ethtool curl openssl prometheus etcd-server etcd-client libxml2-utils
    openssh-client openssh-server spin
)
readonly deb_packages=(dpkg-dev binutils gzip lintian)
# Of nginx the core alone with its module for streams; of rtpengine the user-level daemon without its kernel module.
readonly bench_packages=(
    iproute2 util-linux gnuplot-nox apache2 wget nginx libnginx-mod-stream haproxy socat rtpengine-daemon
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good srt-tools
)
# What runs guests and what fills them, then what builds the kernel module. The kernels themselves are not installed:
# Tests/VM/kernel.sh unpacks them.
readonly vm_packages=(
    qemu-system-x86 busybox-static dash cpio bpftool iproute2 kmod xz-utils zstd
    gcc libc6-dev make binutils pahole
)

say() { printf 'setup: %s\n' "$*" >&2; }

check_swift() {
    local advice="install Swift $swift_major.$swift_minor or later from https://www.swift.org/install/linux/ and put its usr/bin in PATH"
    if ! command -v swift >/dev/null; then
        say "there is no Swift compiler in PATH; $advice"
        return 1
    fi
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)
    local major=${version% *} minor=${version#* }
    if [[ -z $version ]] || ((major < swift_major || (major == swift_major && minor < swift_minor))); then
        say "$(command -v swift) is Swift ${version/ /.}; $advice"
        return 1
    fi
}

# Prints those of its arguments that are not installed.
missing_of() {
    local package
    for package in "$@"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) != installed ]]; then
            printf '%s\n' "$package"
        fi
    done
}

install_missing() {
    if ! command -v dpkg-query >/dev/null; then
        say "this is no Debian or Ubuntu; see to it that what these packages hold is there: $*"
        return 0
    fi
    local missing
    mapfile -t missing < <(missing_of "$@")
    ((${#missing[@]} > 0)) || return 0

    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            say "packages are missing, and installing them needs root. Run:"
            printf '  sudo apt-get update && sudo apt-get install --no-install-recommends %s\n' "${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    # Tests run a Prometheus, an etcd and sshds of their own, benchmarks the peers: the packages' services neither start
    # now nor with the machine. Services whose package is there already are left as they are.
    local services=() held=0
    if [[ " ${missing[*]} " == *" prometheus "* ]]; then services+=(prometheus); fi
    if [[ " ${missing[*]} " == *" etcd-server "* ]]; then services+=(etcd); fi
    if [[ " ${missing[*]} " == *" openssh-server "* ]]; then services+=(ssh); fi
    if [[ " ${missing[*]} " == *" apache2 "* ]]; then services+=(apache2); fi
    if [[ " ${missing[*]} " == *" nginx "* ]]; then services+=(nginx); fi
    if [[ " ${missing[*]} " == *" haproxy "* ]]; then services+=(haproxy); fi
    if [[ " ${missing[*]} " == *" rtpengine-daemon "* ]]; then services+=(rtpengine-daemon); fi
    if ((${#services[@]} > 0)) && [[ ! -e /usr/sbin/policy-rc.d ]]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin /usr/sbin/policy-rc.d
        held=1
    fi
    local log
    log=$(mktemp)
    local status=0
    if ! {
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install --yes --no-install-recommends "${missing[@]}"
    } </dev/null >"$log" 2>&1; then
        status=1
    fi
    if ((held)); then "${as_root[@]}" rm -f /usr/sbin/policy-rc.d; fi
    if ((${#services[@]} > 0)) && command -v systemctl >/dev/null; then
        "${as_root[@]}" systemctl disable "${services[@]}" >/dev/null 2>&1 || true
    fi
    if ((status)); then
        cat "$log" >&2
        rm -f "$log"
        say "apt-get failed, see above; without: ${missing[*]}"
        return 1
    fi
    rm -f "$log"
}

packages=("${build_packages[@]}")
case ${1:-build} in
build) ;;
demo) packages+=("${demo_packages[@]}") ;;
test) packages+=("${demo_packages[@]}" "${test_packages[@]}") ;;
vm) packages+=("${demo_packages[@]}" "${test_packages[@]}" "${vm_packages[@]}") ;;
deb) packages+=("${deb_packages[@]}") ;;
bench) packages+=("${bench_packages[@]}") ;;
*)
    say "'$1' is none of build, demo, test, vm, deb, bench"
    exit 64
    ;;
esac

status=0
check_swift || status=1
install_missing "${packages[@]}" || status=1
exit $status
