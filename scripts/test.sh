#!/usr/bin/env bash
# Runs every suite, also after one has failed, and ends with how many tests passed and failed.
#   test.sh test           everything that a change can break
#   test.sh distribution   what depends on the compiler, OpenSSL and glibc
#   test.sh valgrind       the C programs under valgrind; PARTS="plain alone tls" chooses
# Prints a line for each suite. The whole output of each is in target/test-logs/.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=target/test-logs
mkdir -p $logs
passed=0 failed=0
failures=()

# Counts the tests in a suite's output: lines of cargo test, and of tests-c/run.sh. Prints "PASSED FAILED".
count() {
    awk -v way='^(preload|shared|static|alone|swapped)$' \
        '/^test .* \.\.\. ok$/ || $3 ~ way && $4 == "ok" { passed++ }
         /^test .* \.\.\. FAILED$/ || $3 ~ way && $4 ~ /^(FAILED|DIFFERS)/ { failed++ }
         END { print passed + 0, failed + 0 }' "$1"
}

# $1 the suite's name, the rest the command. One that counts nothing is one test.
suite() {
    local name=$1 log=$logs/${1//[ ,]/-}.log good=0 bad=0 status
    shift
    printf '%-36s' "$name"
    SECONDS=0
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    read -r good bad < <(count "$log")
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    if [ "$status" = 0 ] && [ "$good" = 0 ]; then good=1; fi
    passed=$((passed + good)) failed=$((failed + bad))
    printf '%4d passed %3d failed %5d s\n' "$good" "$bad" $SECONDS
    [ "$bad" = 0 ] && return
    failures+=("$name")
    echo "---- $name: $*"
    # Lines of runs that went well say nothing about the failure.
    awk '$4 != "ok" && !/ \.\.\. ok$/' "$log" | tail -n 100
    echo "---- all of it is in $log"
}

# $1: programs left out, a regular expression; the rest: variables for tests-c/run.sh.
c_tests() {
    local without=$1 programs
    shift
    programs=$(printf '%s\n' tests-c/*.c tests-c/alone/*.c | sed 's|.*/||; s|\.c$||' | grep -vxE "$without")
    # shellcheck disable=SC2086 # names without spaces
    env "$@" tests-c/run.sh $programs
}

# Programs wait more than they compute, so more of them run than there are processors.
export JOBS=$((3 * $(nproc)))
unset MAKEFLAGS MAKELEVEL # the make that runs this has no say in what follows
c_programs() { make --silent --jobs="$(nproc)" c-programs; }

# A workspace of its own does not see when a crate of this one gets another dependency.
lock_files() {
    local manifest
    for manifest in */*/Cargo.toml; do
        [ ! -e "${manifest%.toml}.lock" ] || cargo update --workspace --locked --manifest-path "$manifest" || return
    done
}

# The oldest Rust that may build this has no chains of `let`, and no lint sees them. Nor has edition 2021 any.
old_syntax() {
    find build.rs src crates tests benches examples -name '*.rs' -not -path '*/target/*' \
        -exec rustfmt --edition 2021 --style-edition 2024 --check {} +
}

run_test() {
    suite 'format' cargo fmt --check
    suite 'syntax of the oldest Rust' old_syntax
    suite 'lints' cargo clippy --locked --all-targets --quiet -- -D warnings
    suite 'lock files' lock_files
    suite 'C programs' c_programs # before the Rust tests, which use one of them
    suite 'Rust tests' cargo test --locked --quiet --no-fail-fast -- --format=pretty
    suite 'benchmark report' benches/report/check.sh
    suite 'hot path' sh -c 'make --silent -C benches && benches/instructions.sh check'
    suite 'C tests' c_tests demo MODES='preload alone'
    # These are slow and do not depend on linking. `tests-c/run.sh` without arguments runs them too.
    local long='addresses|aliases|allocations.*|blame|dead_names|fork|fork_busy|lookup_thread|lookups|parked|peers|races|threads|tls_flood|tls_handshake|tls_read|tls_slow'
    suite 'C tests, linked' c_tests "demo|$long|tls_write|write" MODES='shared static'
    # shellcheck disable=SC2046 # names without spaces
    suite 'C tests, older layouts' env MODES=preload LAYOUTS='2014-06 2015-04' \
        tests-c/run.sh $(sed -n 's/^IN_OLDER := //p' tests-c/Makefile)
    # The same library as alone; that it takes the other's place shows in a few.
    suite 'C tests, swapped' env MODES=swapped tests-c/run.sh checkout hosts misuse tls_verify
    # Droplet's own reader, and the traces that it leaves.
    suite "C tests, Droplet's reader" env DPLX_REPLY_READER=droplet MODES=preload LAYOUTS=3.0 \
        tests-c/run.sh blame exchange lies probes stale tls_idle tls_unread
    # Those named tls_ use TLS in any case.
    suite 'C tests over TLS' c_tests 'demo|tls_.*' DROPLET_TEST_TLS=1 MODES=preload
}

run_distribution() {
    suite 'C programs' c_programs
    suite 'Rust tests' cargo test --locked --quiet --no-fail-fast -- --format=pretty
    suite 'C tests' c_tests demo MODES='preload alone'
    suite 'C tests over TLS' c_tests 'demo|tls_.*' DROPLET_TEST_TLS=1 MODES=preload
}

run_valgrind() {
    # Under valgrind programs compute more than they wait.
    export JOBS=$((2 * $(nproc)))
    local parts=" ${PARTS:-plain alone tls} "
    suite 'C programs' c_programs
    # Of the ways of linking, the one with all three parties in the process: program, Droplet, and us.
    [[ $parts != *' plain '* ]] || suite 'C tests under valgrind' \
        c_tests 'demo|peers|tls_.*' VALGRIND=1 MODES=preload LAYOUTS=3.0
    [[ $parts != *' alone '* ]] || suite 'C tests alone, under valgrind' \
        env VALGRIND=1 MODES=alone tests-c/run.sh $(cd tests-c/alone && printf '%s\n' *.c | sed 's|\.c$||')
    # Races are about milliseconds, which a handshake there takes hundreds of.
    [[ $parts != *' tls '* ]] || suite 'C tests over TLS under valgrind' \
        c_tests 'demo|parked|peers|races' VALGRIND=1 DROPLET_TEST_TLS=1 MODES=preload LAYOUTS=3.0
}

case ${1:-} in
test | distribution | valgrind) "run_$1" ;;
*) echo 'usage: test.sh test|distribution|valgrind' >&2; exit 2 ;;
esac
echo
[ ${#failures[@]} = 0 ] || printf 'failed: %s (see %s)\n' "$(IFS=,; echo "${failures[*]}")" $logs
echo "$passed passed, $failed failed"
[ $failed = 0 ]
