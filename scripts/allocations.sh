#!/bin/sh
# Makes every allocation of every scenario fail in turn, and then all from each on (tests-c/support/exhaust.h).
# `make test` does so with a part of them.
set -eu
cd "$(dirname "$0")/.."
export CONN=../target/lib LAYOUTS=3.0 DROPLET_TEST_SOAK=1
unset MAKEFLAGS MAKELEVEL
programs='3.0/preload/allocations 3.0/alone/allocations 3.0/alone/memory'
for program in $programs; do
    make --silent --directory=tests-c CONN=$CONN ../target/tests-c/$program
done
failed=0
MODES='preload alone' tests-c/run.sh allocations memory || failed=1
DROPLET_TEST_TLS=1 MODES=preload tests-c/run.sh allocations || failed=1
# How many there were.
sed -n 's/^# \(.*: [0-9]* allocations\)$/\1/p' target/tests-c/3.0/alone/allocations.err target/tests-c/3.0/alone/memory.err
exit $failed
