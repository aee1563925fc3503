#!/bin/sh
# Makes the archive of the sources of a commit, with the crates that the libraries are built of, so that it builds without
# a network. The same commit gives the same bytes.
#   dist.sh FOLDER PACKAGE...    prints the archive's path; the packages are those that can be built of it
set -eu
git rev-parse --verify --quiet HEAD >/dev/null ||
    { echo 'dist: an archive is made of a commit, and this is no git repository' >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
version=$(git show HEAD:Cargo.toml | sed -n 's/^version = "\(.*\)"/\1/p')
time=$(git show -s --format=%ct HEAD)
name=droplet-conn-$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

git archive --prefix="$name/" HEAD | tar -xf - -C "$work"
cd "$work/$name"
packaging/vendor.sh vendor "$@" >"$work/config.toml"
mkdir -p .cargo
mv "$work/config.toml" .cargo/config.toml

export LC_ALL=C TZ=UTC XZ_OPT=
tar -cf - -C "$work" --format=ustar --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    "$name" | xz -9 --threads=1 >"$folder/$name.tar.xz.part"
mv "$folder/$name.tar.xz.part" "$folder/$name.tar.xz"
echo "$folder/$name.tar.xz"
