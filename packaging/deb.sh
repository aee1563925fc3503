#!/bin/sh
# Builds the Debian packages from an archive of dist.sh, and has lintian look at them.
#   deb.sh ARCHIVE FOLDER    the packages come to the folder
# Where Cargo does not come from Debian, DPKG_BUILDPACKAGE=-d leaves the look at what is installed out.
set -eu
archive=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
name=$(basename "$archive" .tar.xz)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Debian's name of an archive as the developers publish it.
cp "$archive" "$work/droplet-conn_${name#droplet-conn-}.orig.tar.xz"
tar -xf "$archive" -C "$work"
cd "$work/$name"
cp -r packaging/debian debian
# debhelper gives the build another home; a toolchain of rustup's stays where it is.
[ -z "${HOME-}" ] || ! [ -d "$HOME/.rustup" ] || export RUSTUP_HOME="${RUSTUP_HOME-$HOME/.rustup}"
# shellcheck disable=SC2086 # options are words
dpkg-buildpackage --no-sign ${DPKG_BUILDPACKAGE-}
cd ..
rm -r "${work:?}/$name"
# Tags of lintian's that do not fail are shown.
! command -v lintian >/dev/null || lintian --fail-on error --tag-display-limit 0 --info ./*.changes
cp ./* "$folder"
