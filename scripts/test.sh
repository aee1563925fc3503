#!/usr/bin/env bash
# Runs every suite, also after one has failed, and ends with how many tests passed and failed.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=target/test-logs
mkdir -p $logs
passed=0 failed=0
failures=()

# What a suite printed, counted: lines of cargo test, and of tests-c/run.sh. Prints "PASSED FAILED".
count() {
    awk -v way='^(preload|shared|static|alone|swapped)$' \
        '/^test .* \.\.\. ok$/ || $3 ~ way && $4 == "ok" { passed++ }
         /^test .* \.\.\. FAILED$/ || $3 ~ way && $4 ~ /^(FAILED|DIFFERS)/ { failed++ }
         END { print passed + 0, failed + 0 }' "$1"
}

# $1 the suite's name, the rest the command. One that counts nothing is one test.
suite() {
    local name=$1 log=$logs/${1// /-}.log good=0 bad=0 status
    shift
    printf '\n---- %s: %s\n' "$name" "$*"
    SECONDS=0
    "$@" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    read -r good bad < <(count "$log")
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    if [ "$status" = 0 ] && [ "$good" = 0 ]; then good=1; fi
    [ "$bad" = 0 ] || failures+=("$name")
    passed=$((passed + good)) failed=$((failed + bad))
    printf -- '---- %s: %d good, %d bad, %d s\n' "$name" "$good" "$bad" $SECONDS
}

# Programs wait more than they compute, so several run at once.
# $1: those left out, a regular expression; the rest: variables for tests-c/run.sh.
c_tests() {
    local without=$1
    shift
    printf '%s\n' tests-c/*.c tests-c/alone/*.c | sed 's|.*/||; s|\.c$||' | grep -vxE "$without" |
        xargs -P "$(nproc)" -I '{}' env "$@" tests-c/run.sh '{}'
}

export CONN=../target/lib # for tests-c
unset MAKEFLAGS MAKELEVEL # the make that runs this has no say in what follows
suite format cargo fmt --check
suite lints cargo clippy --locked --all-targets --quiet -- -D warnings
suite 'C programs' make --silent --jobs="$(nproc)" c-programs
suite 'hot path' sh -c 'make --silent -C benches &&
    LIBRARY=../target/lib/libdroplet_conn.so.0 benches/instructions.sh check'
suite 'Rust tests' cargo test --locked --quiet --no-fail-fast -- --format=pretty
suite 'C tests' c_tests demo MODES='preload alone'
# How they are linked makes no difference to those that wait for long; `tests-c/run.sh` spares none.
long='blame|fork|fork_busy|lookups|peers|races|threads|tls_handshake|tls_write|write'
suite 'C tests, linked' c_tests "demo|$long" MODES='shared static'
# The same library as alone; that it takes the other's place shows in a few.
suite 'C tests, swapped' env MODES=swapped tests-c/run.sh checkout hosts misuse tls_verify
# Those named tls_ use TLS in any case.
suite 'C tests over TLS' c_tests 'demo|tls_.*' DROPLET_TEST_TLS=1 MODES=preload
# Of the ways of linking, the one with all three parties in the process: program, Droplet, and us.
suite 'C tests under valgrind' c_tests 'demo|peers|tls_.*' VALGRIND=1 MODES=preload LAYOUTS=3.0
suite 'C tests alone, under valgrind' \
    env VALGRIND=1 MODES=alone tests-c/run.sh $(cd tests-c/alone && printf '%s\n' *.c | sed 's|\.c$||')
# Races are about milliseconds, which a handshake there takes hundreds of.
suite 'C tests over TLS under valgrind' \
    c_tests 'demo|peers|races' VALGRIND=1 DROPLET_TEST_TLS=1 MODES=preload LAYOUTS=3.0

echo
[ ${#failures[@]} = 0 ] || printf 'failed: %s (see %s)\n' "$(IFS=,; echo "${failures[*]}")" $logs
echo "$passed passed, $failed failed"
[ $failed = 0 ]
