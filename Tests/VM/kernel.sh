#!/usr/bin/env bash
# Debian's newest kernel of a series, unpacked and not installed: image, the modules that guests need, headers.
# Prints the folder: vmlinuz, release, modules/ (the tree below lib/modules/RELEASE), build (a link to the headers,
# what KDIR is).
#
#   Tests/VM/kernel.sh SERIES [CACHE]     SERIES: 6.1 or 6.12; CACHE: default .build/vm
#
# What is there already is not looked for again; remove CACHE/SERIES for a newer one.
set -euo pipefail
cd "$(dirname "$0")/../.."

series=$1
cache=$(realpath -m "${2:-.build/vm}")
folder=$cache/$series
if [[ -e $folder/release ]]; then
    printf '%s\n' "$folder"
    exit 0
fi

say() { printf 'kernel: %s\n' "$*" >&2; }
pattern=${series//./\\.}'\.[0-9]+[-+][a-z0-9]+-amd64'

# Releases of this series, newest first, of which apt offers what its argument and a pattern name.
offered() { apt-cache search --names-only "^$1$pattern$2\$" | awk '{print $1}' | sed "s/^$1//; s/$2\$//" | sort -rV; }

# Prints the newest release that has both headers and an image. Where headers of a release are there and the signed
# image is not yet, the unsigned one is the same kernel.
newest() {
    local release signed unsigned
    signed=$(offered linux-image- '')
    unsigned=$(offered linux-image- -unsigned)
    for release in $(offered linux-headers- ''); do
        if grep -Fqx "$release" <<<"$signed"; then
            printf '%s linux-image-%s\n' "$release" "$release"
            return
        elif grep -Fqx "$release" <<<"$unsigned"; then
            printf '%s linux-image-%s-unsigned\n' "$release" "$release"
            return
        fi
    done
}

found=$(newest)
if [[ -z $found ]]; then
    # The lists of a fresh machine are empty.
    apt-get update -q >/dev/null 2>&1 || sudo -n apt-get update -q >/dev/null 2>&1 || true
    found=$(newest)
fi
[[ -n $found ]] || {
    say "apt offers no kernel of series $series with its headers; Debian 12 has 6.1, and 6.12 in bookworm-security"
    exit 1
}
read -r release image <<<"$found"
headers=linux-headers-$release

# What headers are made of: themselves, the part common to all flavours, and the tools that Kbuild runs.
depends() { apt-cache depends "$1" | awk '/Depends:/ {print $2}' | grep -E "$2"; }
packages=("$image" "$headers" "$(depends "$headers" '^linux-headers-.*-common$')" "$(depends "$headers" '^linux-kbuild-')")

say "series $series: $release, downloading ${packages[*]}"
mkdir -p "$cache"
work=$(mktemp -d "$cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
# apt reads packages as a user of its own where it can.
chmod 755 "$work"
log=$work/log
(cd "$work" && apt-get download -q "${packages[@]}" >"$log" 2>&1) || {
    cat "$log" >&2
    say "cannot download ${packages[*]}"
    exit 1
}

new=$work/new
mkdir -p "$new/tree"
for package in "$work"/linux-headers-*.deb "$work"/linux-kbuild-*.deb; do
    dpkg-deb -x "$package" "$new/tree"
done
# The one absolute path in Debian's headers.
sed -i "s|^include /usr/src/|include $folder/tree/usr/src/|" "$new/tree/usr/src/$headers/Makefile"
ln -s "tree/usr/src/$headers" "$new/build"

# Of the image what a guest without hardware can use: drivers for real devices are nine tenths of it. Image packages
# before Debian 13 have their modules in /lib, later ones in /usr/lib.
dpkg-deb --fsys-tarfile "$work"/linux-image-*.deb | tar -x -C "$work" --wildcards \
    './boot/*' "*lib/modules/*/modules.*" "*lib/modules/*/kernel/net/*" "*lib/modules/*/kernel/fs/*" \
    "*lib/modules/*/kernel/lib/*" "*lib/modules/*/kernel/crypto/*" "*lib/modules/*/kernel/arch/*" \
    "*lib/modules/*/kernel/drivers/virtio/*" "*lib/modules/*/kernel/drivers/block/*" \
    "*lib/modules/*/kernel/drivers/net/*.ko*" --exclude '*/drivers/net/*/*' 2>"$log" || {
    cat "$log" >&2
    say "cannot unpack $image"
    exit 1
}
mv "$work/boot/vmlinuz-$release" "$new/vmlinuz"
mv "$work/boot/config-$release" "$new/config"
base=$work
[[ -d $base/lib/modules ]] || base=$work/usr
# The package's own installation would write which module needs which.
depmod -b "$base" "$release" 2>"$log" || {
    cat "$log" >&2
    exit 1
}
mv "$base/lib/modules/$release" "$new/modules"
printf '%s\n' "$release" >"$new/release"
rm -rf "$folder"
mv "$new" "$folder"
printf '%s\n' "$folder"
