#!/usr/bin/env bash
# Makes the root file system of guests of one kernel: busybox, the programs that tests call, modules, and the tests.
#
#   Tests/VM/initramfs.sh KERNEL TESTS OUTPUT [MODULE]
#
# KERNEL is a folder of kernel.sh, TESTS a folder that becomes /tests, MODULE streamrouter.ko where it was built.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
kernel=$1 tests=$2 output=$3 module=${4:-}
release=$(<"$kernel/release")

# By what they are for: a virtual wire, what `lab impair` sets, what the datapath attaches with, SCTP, the host's
# files, sockets and tunnels that tests open.
readonly modules=(
    veth dummy ifb
    sch_netem sch_tbf sch_ingress sch_prio sch_fq
    cls_bpf act_bpf
    sctp crc32c_generic crc32c_intel hmac md5 sha1_generic sha256_generic
    virtio_pci 9p 9pnet_virtio overlay
    tun af_packet_diag packet_diag unix_diag inet_diag udp_diag tcp_diag nf_tables nft_chain_nat nft_compat
    ip_tables iptable_filter x_tables vrf bridge 8021q
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,run,tmp,etc,host} "$root/lib/modules/$release"
cp "$here/init" "$root/init"
cp "$(command -v busybox)" "$root/bin/busybox"
cp -r "$tests" "$root/tests"

# Programs with the libraries that they name. bpftool may be a wrapper that looks for the running kernel's. dash, since
# busybox's shell prefers its own ip to the real one.
for tool in dash ip tc bpftool; do
    path=$(readlink -f "$(command -v "$tool")")
    cp "$path" "$root/usr/sbin/$tool"
    ldd "$path" | awk '/=>/ {print $3} $1 ~ /ld-linux/ {print $1}' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done

# Those that are there, with what they need, in the form that busybox can load.
place=$root/lib/modules/$release
cp "$kernel"/modules/modules.{builtin,builtin.modinfo,order} "$place/"
ends=()
for name in "${modules[@]}"; do ends+=(-e "/${name//_/[-_]}\\.ko(\\.xz|\\.zst)?:"); done
{ grep -E "${ends[@]}" "$kernel/modules/modules.dep" || true; } | tr -d ':' | tr ' ' '\n' | sort -u | while read -r file; do
    [[ -e $kernel/modules/$file ]] || continue
    mkdir -p "$place/$(dirname "$file")"
    case $file in
    *.xz) xz -dc "$kernel/modules/$file" >"$place/${file%.xz}" ;;
    *.zst) zstd -qdc "$kernel/modules/$file" >"$place/${file%.zst}" ;;
    *) cp "$kernel/modules/$file" "$place/$file" ;;
    esac
done
if [[ -n $module ]]; then
    mkdir -p "$place/extra"
    cp "$module" "$place/extra/streamrouter.ko"
fi
depmod -b "$root" "$release"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$output.new"
mv "$output.new" "$output"
