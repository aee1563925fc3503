#!/bin/sh
# Builds all code and runs the unit tests with the oldest Rust that may build the library: the rust-version of Cargo.toml.
# Takes RUSTC_MSRV, or a rustc of that version in PATH or of rustup's, or the one of Debian 13 in a root of it.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
fits() { "$@" --version 2>/dev/null | grep "^rustc $version\."; }

if [ -n "${RUSTC_MSRV:-}" ]; then
    fits "$RUSTC_MSRV" || { echo "msrv: $RUSTC_MSRV is not Rust $version" >&2; exit 1; }
    RUSTC=$RUSTC_MSRV
elif fits rustc; then
    RUSTC=rustc
elif fits rustup run "$version" rustc; then
    RUSTC=$(rustup which --toolchain "$version" rustc)
else
    scripts/setup.sh roots
    exec scripts/root.sh trixie scripts/msrv.sh
fi
export RUSTC CARGO_TARGET_DIR=target/msrv
cargo test --locked --quiet --all-targets --no-run
cargo test --locked --quiet --lib
