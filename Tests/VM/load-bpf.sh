#!/usr/bin/env bash
# Loads every BPF object of bpf/ into the verifier of Debian's own kernel, in a guest without devices or network.
# Says for each whether it was taken, with the verifier's last words where it was not; fails if one was refused.
#
#   Tests/VM/load-bpf.sh [PACKAGE]     Debian's kernel package, default: what linux-image-amd64 depends on.
#
# Emulated (no KVM is asked for), so it tells nothing about speed. Takes about ten seconds after the downloads.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in qemu-system-x86_64 busybox bpftool cpio clang apt-get; do
    command -v "$tool" >/dev/null || {
        echo "load-bpf: needs $tool; 'scripts/setup.sh vm' installs what is missing" >&2
        exit 77
    }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=${1:-$(apt-cache depends linux-image-amd64 | awk '/Depends:/ {print $2; exit}')}
chmod 755 "$work"
(cd "$work" && apt-get download -q "$package" >/dev/null 2>&1) || {
    echo "load-bpf: cannot download $package; run 'apt-get update' first" >&2
    exit 1
}
dpkg -x "$work"/*.deb "$work/kernel"

root=$work/root
mkdir -p "$root"/{bin,proc,sys}
cp "$(command -v busybox)" "$root/bin/busybox"
# bpftool may be a wrapper that looks for the running kernel's.
tool=$(readlink -f "$(command -v bpftool)")
cp "$tool" "$root/bin/bpftool"
ldd "$tool" | awk '/=>/ {print $3} /ld-linux/ {print $1}' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
names=()
for source in bpf/*.bpf.c; do
    name=$(basename "$source" .bpf.c)
    names+=("$name")
    clang -target bpf -mcpu=v3 -O2 -g -std=gnu17 -I Sources/CStreamRouter/include \
        -idirafter "/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$root/$name.o"
done
# Each extension that we ship, linked into the datapath as a node does it (DatapathLinker.swift).
swift build --product streamrouter 2>&1 | tail -n 1
"$(swift build --show-bin-path)/streamrouter" extension build Extensions/*.swift --output-dir "$work" >/dev/null
for extension in "$work"/*.srx; do
    name=$(basename "$extension" .srx)
    sed 's/\(sr_extension\|states\|parameters\|accounts\)_XX/\1_00/g' "$extension" >"$work/$name.o"
    bpftool gen object "$root/relay-$name.o" "$root/relay.o" "$work/$name.o" 2>&1 | grep -v "strict mode" >&2 || true
    names+=("relay-$name")
done
cat >"$root/init" <<EOF
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t bpf bpf /sys/fs/bpf
echo "kernel \$(/bin/busybox uname -r)"
for name in ${names[*]}; do
    if /bin/bpftool prog load /\$name.o /sys/fs/bpf/\$name type classifier >/log 2>&1; then
        echo "loaded \$name"
    else
        echo "refused \$name"
        /bin/busybox tail -n 20 /log
    fi
done
/bin/busybox poweroff -f
EOF
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initramfs.gz"

timeout 180 qemu-system-x86_64 -accel tcg -M pc -cpu max,-la57,-svm -m 1024 -nographic -no-reboot \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 quiet oops=panic panic=-1" </dev/null >"$work/console" 2>&1 || true
tr -d '\r' <"$work/console" | sed -n '/^.*kernel [0-9]/,$p' | sed 's/^.*\(kernel [0-9]\)/\1/'
loaded=$(grep -c '^loaded ' "$work/console" || true)
[[ $loaded == "${#names[@]}" ]] || {
    echo "load-bpf: $loaded of ${#names[@]} objects were loaded" >&2
    exit 1
}
