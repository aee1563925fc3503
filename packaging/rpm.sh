#!/bin/sh
# Builds the RPMs from an archive of dist.sh.
#   rpm.sh ARCHIVE FOLDER    the packages come to the folder
# Where rpm does not know what is installed, as on Debian, RPMBUILD=--nodeps leaves its look at that out.
set -eu
archive=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
version=$(basename "$archive" .tar.xz)
version=${version#droplet-conn-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$work/SOURCES"
cp "$archive" "$work/SOURCES"
sed "s/@VERSION@/$version/" "$(dirname "$0")/droplet-conn.spec" >"$work/droplet-conn.spec"
# shellcheck disable=SC2086 # options are words
rpmbuild -ba ${RPMBUILD-} --define "_topdir $work" "$work/droplet-conn.spec"
find "$work/RPMS" "$work/SRPMS" -name '*.rpm' -exec cp {} "$folder" \;
