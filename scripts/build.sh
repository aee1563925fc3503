#!/bin/sh
# Builds packages for release, the same bytes in every folder and by every user: paths of this machine, which the
# compiler writes into messages and line numbers, become those of a source in /usr/src.
#   build.sh TARGET-FOLDER ARGUMENT...    the arguments are those of cargo build
set -eu
target=$1
shift
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
source=/usr/src/droplet-conn-$version
cargo_home=${CARGO_HOME:-$HOME/.cargo}
separator=$(printf '\037') # so that paths may have blanks
flags=${CARGO_ENCODED_RUSTFLAGS-$(printf %s "${RUSTFLAGS-}" | tr -s ' ' "$separator")}

remap() {
    flags=$flags${flags:+$separator}--remap-path-prefix=$1=$2
}
# Later ones come first. Crates lie in Cargo's home or in vendor.
case $target in /*) remap "$target" "$source/target" ;; esac
remap "$(pwd -P)" "$source"
for registry in "$cargo_home"/registry/src/*; do
    remap "$registry" "$source/vendor"
done
# A toolchain that has the source of the standard library refers to it where it is on this machine.
commit=$(rustc --version --verbose | sed -n 's/^commit-hash: \([0-9a-f]*\)$/\1/p')
[ -z "$commit" ] || remap "$(rustc --print sysroot)/lib/rustlib/src/rust" "/rustc/$commit"

unset RUSTFLAGS
export CARGO_ENCODED_RUSTFLAGS="$flags"
exec cargo build --release --locked --target-dir "$target" "$@"
