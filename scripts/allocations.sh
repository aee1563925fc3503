#!/bin/sh
# Makes every allocation of every scenario fail in turn, and then all from each on (tests-c/support/exhaust.h).
# `make test` does so with a part of them.
set -eu
cd "$(dirname "$0")/.."
export LAYOUTS=3.0 DROPLET_TEST_SOAK=1
unset MAKEFLAGS MAKELEVEL
programs='allocations allocations_lists allocations_replies'
for program in $programs; do
    make --silent --directory=tests-c ../target/tests-c/3.0/preload/"$program" \
        ../target/tests-c/3.0/alone/"$program"
done
make --silent --directory=tests-c ../target/tests-c/3.0/alone/memory
failed=0
# shellcheck disable=SC2086 # names without spaces
MODES='preload alone' tests-c/run.sh $programs memory || failed=1
# shellcheck disable=SC2086
DROPLET_TEST_TLS=1 MODES=preload tests-c/run.sh $programs || failed=1
# How many there were.
for program in $programs memory; do
    sed -n 's/^# \(.*: [0-9]* allocations\)$/\1/p' target/tests-c/3.0/alone/"$program".err
done
exit $failed
