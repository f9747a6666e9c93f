#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Gives a module its BTF where the kernel's build could not: the headers of some distributions (Debian's for 6.1)
# have no vmlinux to take the kernel's own types from, and Kbuild then skips this step.
#
#   module-btf.sh KDIR MODULE [BASE]
#
# BASE is the kernel's image, its vmlinux, or its raw BTF. It must be of exactly the kernel that KDIR is for.
set -eu
kdir=$1 module=$2 base=${3-}
here=$(dirname "$0")

if readelf -S "$module" | grep -q ' \.BTF '; then
    exit 0
fi
# Not include/config/kernel.release, which in Debian's headers for 6.1 is the version without the package's own part.
release=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$kdir/include/generated/utsrelease.h")
if [ -z "$base" ]; then
    for candidate in "$kdir/vmlinux" "/boot/vmlinuz-$release" "/usr/lib/debug/boot/vmlinux-$release"; do
        [ -z "$base" ] && [ -f "$candidate" ] && base=$candidate
    done
    if [ -z "$base" ] && [ "$(uname -r)" = "$release" ] && [ -f /sys/kernel/btf/vmlinux ]; then
        base=/sys/kernel/btf/vmlinux
    fi
fi
if [ -z "$base" ]; then
    rm -f "$module"
    echo "module-btf: no types of kernel $release: install linux-image-$release, or say BTF_BASE=FILE" \
        "(its vmlinuz, vmlinux, or /sys/kernel/btf/vmlinux copied where it runs)" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Number of $3 bytes at offset $2 of file $1, little-endian.
field() {
    od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The payload of a bzImage is a compressed vmlinux: Documentation/arch/x86/boot.rst, fields setup_sects (0x1f1),
# payload_offset (0x248), payload_length (0x24c). Its last four bytes tell the size and belong to no format.
unpack() {
    sectors=$(field "$1" 497 1)
    start=$(((sectors + 1) * 512 + $(field "$1" 584 4)))
    length=$(($(field "$1" 588 4) - 4))
    tail -c "+$((start + 1))" "$1" | head -c "$length" >"$work/payload"
    case $(od -An -N4 -t x1 "$work/payload" | tr -d ' ') in
    fd377a58) tool=xz ;;
    1f8b*) tool=gzip ;;
    28b52ffd) tool=zstd ;;
    02214c18) tool=lz4 ;;
    *)
        echo "module-btf: the kernel in $1 is compressed in a way that is not known here" >&2
        exit 1
        ;;
    esac
    # xz ends with a complaint about what follows the image; what it wrote is whole.
    $tool -dc <"$work/payload" >"$work/vmlinux" 2>/dev/null || [ -s "$work/vmlinux" ]
}

case $(od -An -N2 -t x1 "$base" | tr -d ' ') in
9feb) cp "$base" "$work/base" ;;
7f45) objcopy --dump-section ".BTF=$work/base" "$base" /dev/null ;;
*)
    unpack "$base"
    objcopy --dump-section ".BTF=$work/base" "$work/vmlinux" /dev/null
    ;;
esac

# Only a module that is whole gets the name.
cp "$module" "$work/module.ko"
LLVM_OBJCOPY=${OBJCOPY:-objcopy} ${PAHOLE:-pahole} -J --btf_gen_floats --btf_base "$work/base" "$work/module.ko"
objcopy --dump-section ".BTF=$work/own" "$work/module.ko" /dev/null
"$here/resolve_ids" "$work/module.ko" "$work/base" "$work/own"
mv "$work/module.ko" "$module"
echo "  BTF [M] $module (base: $base)"
