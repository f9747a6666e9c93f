#!/usr/bin/env bash
# Builds .build/deb/streamrouter_VERSION_ARCH.deb, which runs on a Debian machine without Swift: the runtime is linked
# into the program. Needs no root.
#
#   scripts/deb.sh [--no-build]      --no-build takes the release build that is there
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ${1:-} != --no-build ]]; then
    swift build -c release --static-swift-stdlib --product streamrouter
fi
version=$(sed -n 's/.*static let current = "\(.*\)"/\1/p' Sources/StreamRouter/Version.swift)
arch=$(dpkg --print-architecture)
# The date of the sources, not of the build: the same commit makes the same package.
epoch=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH=$epoch
readonly version arch epoch
readonly work=.build/deb name=streamrouter_${version}_$arch
readonly tree=$work/$name
rm -rf "$tree" "$work/shlibs" "$work/$name.deb"
mkdir -p "$tree/DEBIAN" "$work/shlibs/debian"
umask 022

SR_ZSH_DIR=/usr/share/zsh/vendor-completions scripts/install.sh "$tree" /usr /etc
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$tree/usr/bin/streamrouter"
gzip -9n "$tree/usr/share/man/man1/streamrouter.1"
# What is only read needs no interpreter.
sed -i '1{/^#!/d}' "$tree/usr/share/bash-completion/completions/streamrouter"

readonly doc=$tree/usr/share/doc/streamrouter
install -m 644 README.md docs/METRICS.md docs/ACCOUNT.md "$doc/"
printf 'streamrouter (%s) bookworm; urgency=medium\n\n  * Built from the sources of this version.\n\n -- %s  %s\n' \
    "$version" "The StreamRouter authors <streamrouter@localhost>" "$(date -u -R -d "@$epoch")" |
    gzip -9n >"$doc/changelog.gz"

# What is linked in has licences of its own, which travel with it.
{
    cat packaging/debian/copyright
    for licence in .build/checkouts/*/LICENSE*; do
        package=$(basename "$(dirname "$licence")")
        printf '\nFiles: (linked in) %s\n' "$package"
        if grep -q 'Apache License' "$licence"; then
            printf 'Comment: Apache License 2.0, see /usr/share/common-licenses/Apache-2.0\n'
            for notice in "$(dirname "$licence")"/NOTICE*; do
                if [[ -e $notice ]]; then sed 's/^/  /; s/ *$//' "$notice"; fi
            done
        else
            sed 's/^/  /; s/ *$//' "$licence"
        fi
    done
} >"$doc/copyright"

# Which packages have the libraries that it still needs.
printf 'Source: streamrouter\n\nPackage: streamrouter\nArchitecture: any\n' >"$work/shlibs/debian/control"
depends=$(cd "$work/shlibs" && dpkg-shlibdeps -O "../$name/usr/bin/streamrouter" | sed -n 's/^shlibs:Depends=//p')
size=$(du -sk --exclude=DEBIAN "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@DEPENDS@/$depends/; s/@SIZE@/$size/" \
    packaging/debian/control >"$tree/DEBIAN/control"
echo /etc/streamrouter/node.env >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "packaging/debian/$script" "$tree/DEBIAN/$script"; done
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$tree" -newermt "@$epoch" -print0 | xargs -0 touch -h -d "@$epoch"
dpkg-deb --root-owner-group --build "$tree" "$work/$name.deb" >/dev/null

if command -v lintian >/dev/null; then
    # Who builds as root is told so by lintian otherwise.
    lintian --allow-root --tag-display-limit 0 --fail-on error --suppress-tags-from-file packaging/debian/lintian-not \
        "$work/$name.deb"
fi
echo "$work/$name.deb"
