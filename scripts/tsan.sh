#!/usr/bin/env bash
# Runs the C programs that have threads with ThreadSanitizer, against a library that is built with it too, the standard
# library of Rust included. First it shows that races are reported: tests-c/proof/data_races.c has one of its own, and one
# with the library.
#   tsan.sh               all of them, and some over TLS
#   tsan.sh PROGRAM...    these
#
# A standard library without ThreadSanitizer would hide what it synchronises, so it is built from source. Debian has a
# rustc together with the source of its standard library (rustc-web, rust-web-src); rustup's has none here. The runtime
# is the one that comes with rustup's rustc: Debian's has none. Each program has the runtime, and the libraries find it
# there: this is why they are linked and not preloaded.
#
# What it does not see: OpenSSL and libc, which are not built with it; but it knows libc's functions, and OpenSSL's locks
# are libc's. And a child that was forked by a process with threads, where it switches itself off.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/tsan target=x86_64-unknown-linux-gnu
runtime=$(rustc --print sysroot)/lib/rustlib/$target/lib/librustc-stable_rt.tsan.a
[ -e "$runtime" ] || { echo "tsan.sh: this rustc has no $runtime: use one of rustup's" >&2; exit 1; }
[ -e /usr/lib/rustlib/src/rust/library/std ] || { echo 'tsan.sh: rust-web-src is missing: scripts/setup.sh threads' >&2; exit 1; }

# Those with threads of their own, and dead_names and lookups, in which the library has some. lookup_thread is left out:
# it replaces pthread_create(3), as ThreadSanitizer does, which then does not know the thread.
with_threads='threads races fork fork_busy cancel dead_names dplx_cancel dplx_errors dplx_reply dplx_uses waits
    waits_in_order limits last_resort lies lookups parked probes slow stale heads write'
over_tls='threads races lies tls_errors tls_flood'

library() {
    # With a target named, Cargo gives the flags to no build script.
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=thread -Cforce-frame-pointers=yes' \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo build --quiet --release --locked -Zbuild-std=std,panic_unwind --package libdroplet_conn \
        --target $target --target-dir $out
    mkdir -p $out/lib
    cp --remove-destination $out/$target/release/libdroplet_conn.so $out/lib/libdroplet_conn.so.0
    scripts/linker-scripts.sh exports.txt $out/lib
}

# Every access is checked, not only those that libc makes for the library. The standard library's futex lock shows that
# this goes for it, too.
library_is_instrumented() {
    nm --dynamic --undefined-only $out/lib/libdroplet_conn.so.0 | grep -c __tsan_write8 >/dev/null &&
        objdump --disassemble="$(nm $out/lib/libdroplet_conn.so.0 | awk '/3std3sys.*lock_contended/ { print $3 }')" \
            $out/lib/libdroplet_conn.so.0 | grep -c __tsan_ >/dev/null ||
        { echo "tsan.sh: the library has no ThreadSanitizer" >&2; return 1; }
}

programs() {
    make --silent --jobs="${JOBS:-$(nproc)}" --directory=tests-c OUT=../$out/tests-c CONN=../$out/lib LAYOUTS=3.0 \
        CFLAGS='-O1 -g' SANITIZE='-fsanitize=thread -fno-omit-frame-pointer' RUNTIME="$runtime" \
        "${@/#/../$out/tests-c/3.0/shared/}"
}

# Reports go to files, so that the exit of no process hides one. Children that a process with threads forks go on.
reports=$PWD/$out/reports
export TSAN_OPTIONS="log_path=$reports/report:exitcode=0:die_after_fork=0:history_size=4"
export OUT=../$out/tests-c CONN=../$out/lib LAYOUTS=3.0 MODES=shared JOBS=${JOBS:-$(nproc)}
# As under valgrind: it takes several times as long.
export DROPLET_TEST_SECONDS=${DROPLET_TEST_SECONDS:-600}

# What counts is a report, and a program or a case that crashes or hangs. A check that fails says that time was short,
# since the programs take several times as long here: `make test` is for those. They are printed.
run() {
    local status=0 program
    (unset MAKEFLAGS MAKELEVEL && tests-c/run.sh "$@") || status=$?
    [ $status != 0 ] || return 0
    [ $status = 1 ] || return 1 # not a check
    for program; do
        grep -l 'died of signal\|ended with status' "$out/tests-c/3.0/shared/$program.out" && return 1
    done
    echo 'tsan: checks have failed, but nothing crashed or hung'
}

library
library_is_instrumented
programs data_races
rm -rf "$reports" && mkdir -p "$reports"
run data_races
for function in count_without_a_lock droplet_conn::abi; do
    grep -l "$function" "$reports"/* >/dev/null || { echo "tsan.sh: a race in $function is not reported" >&2; exit 1; }
done
echo "tsan: both races of data_races are reported"
TSAN_OPTIONS+=":suppressions=$PWD/tests-c/proof/tsan.supp"

rm -rf "$reports" && mkdir -p "$reports"
failed=0
if [ $# != 0 ]; then
    programs "$@"
    run "$@" || failed=1
else
    # shellcheck disable=SC2086 # names without spaces
    programs $with_threads tls_errors tls_flood
    # shellcheck disable=SC2086
    run $with_threads || failed=1
    # shellcheck disable=SC2086
    DROPLET_TEST_TLS=1 run $over_tls || failed=1
fi
count=$(cat "$reports"/* 2>/dev/null | grep -c '^WARNING: ThreadSanitizer' || true)
if [ "$count" != 0 ]; then
    head -n 60 "$(ls "$reports"/* | head -n 1)"
    echo "tsan: $count reports, in $reports"
    failed=1
fi
exit $failed
