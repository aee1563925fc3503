#!/usr/bin/env bash
# Runs the models of the library's own concurrency in two model checkers (crates/client/src/os/sync/model.rs says what
# each sees), and says how many orders of the threads ran. MODEL_ITERATIONS= is the number for each model in shuttle
# (2000); loom goes through all orders with at most LOOM_MAX_PREEMPTIONS= preemptions (3).
#   models.sh              all
#   models.sh NAME         those whose test's name contains NAME
set -euo pipefail
cd "$(dirname "$0")/.."
total=0
for checker in loom shuttle; do
    log=$(mktemp)
    # With a target named, Cargo gives the flags to no build script, so that those are built once. Optimised: a model
    # runs thousands of times.
    RUSTFLAGS="--cfg model --cfg model=\"$checker\"" CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only \
        cargo test --locked --quiet --lib --package droplet-client --package droplet-conn \
        --target x86_64-unknown-linux-gnu --target-dir target/models \
        "models::${1:-}" -- --nocapture --test-threads=1 >"$log" 2>&1 ||
        { tail -n 100 "$log"; rm -f "$log"; echo "models: $checker has found a defect" >&2; exit 1; }
    sed -n "s/.*model \(.*\): \([0-9]*\) schedules/$checker  \2 schedules of \1/p" "$log"
    total=$((total + $(sed -n 's/.*model .*: \([0-9]*\) schedules/\1/p' "$log" | paste -sd+ | sed 's/^$/0/' | { read -r sum; echo $((sum)); })))
    rm -f "$log"
done
[ $total -gt 0 ] || { echo 'models: none has run' >&2; exit 1; }
echo "models: $total schedules, no defect"
