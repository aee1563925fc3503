#!/bin/sh
# Format, lints and tests of the report.
set -eu
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=../../target/report
cargo fmt --check
cargo clippy --locked --all-targets --quiet -- -D warnings
cargo test --locked --quiet -- --format=pretty
