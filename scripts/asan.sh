#!/usr/bin/env bash
# Runs the C programs with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, against libraries that are
# built with AddressSanitizer too. First it shows that they report what they should (tests-c/proof/sanitizers.c).
#   asan.sh               all programs
#   asan.sh PROGRAM...    these
#
# The runtime is the one that comes with rustc: it belongs to the code that rustc makes, and the code that gcc makes
# for C calls the same functions. So nothing has to be installed. Each program has it, and the libraries find it there:
# this is why they are linked and not preloaded. A preloaded one would not start in the other programs that some tests
# run.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/asan target=x86_64-unknown-linux-gnu
runtime=$(rustc --print sysroot)/lib/rustlib/$target/lib/librustc-stable_rt.asan.a
[ -e "$runtime" ] || { echo "asan.sh: this rustc has no $runtime: use one of rustup's" >&2; exit 1; }
sanitize='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -Wno-error'

# Programs that do not fit, and why. All others run.
left_out='
demo                 is no test
allocations          replaces malloc(3), and so does the sanitizer
allocations_lists    the same
allocations_replies  the same
memory               the same
lookup_thread        replaces pthread_create(3): the sanitizer does not know the threads that are joined
faults               the same (support/shim.c)
statistics_exit      has children exit, where the sanitizer prints and looks for leaks
stacks               has stacks of 16 KiB, and the sanitizer makes every frame larger
tls_library          loads a second OpenSSL with RTLD_DEEPBIND, which the sanitizer refuses'

libraries() {
    # With a target named, Cargo gives the flags to no build script.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo build --quiet --release --locked --target $target --target-dir $out
    mkdir -p $out/lib/standalone
    cp --remove-destination $out/$target/release/libdroplet_conn.so $out/lib/libdroplet_conn.so.0
    cp --remove-destination $out/$target/release/libdroplet.so $out/lib/standalone/libdroplet.so.0
    scripts/linker-scripts.sh exports.txt $out/lib
}

# Every access of the libraries is checked, not only those that libc makes for them.
libraries_are_instrumented() {
    local library
    for library in $out/lib/libdroplet_conn.so.0 $out/lib/standalone/libdroplet.so.0; do
        nm --dynamic --undefined-only $library | grep -c __asan_report_store8 >/dev/null ||
            { echo "asan.sh: $library has no sanitizer" >&2; return 1; }
    done
}

programs() {
    make --silent --jobs="${JOBS:-$(nproc)}" --directory=tests-c OUT=../$out/tests-c CONN=../$out/lib LAYOUTS=3.0 \
        CFLAGS='-O1 -g' SANITIZE="$sanitize" RUNTIME="$runtime" "$@"
}

export ASAN_OPTIONS=exitcode=9:detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:exitcode=9 LSAN_OPTIONS=exitcode=9
# As under valgrind: more patience, and no check depends on time. What fails for want of time runs once more.
export DROPLET_TEST_SECONDS=600 SANITIZED=1
export OUT=../$out/tests-c CONN=../$out/lib LAYOUTS=3.0 JOBS=${JOBS:-$((2 * $(nproc)))}

run() { (unset MAKEFLAGS MAKELEVEL && tests-c/run.sh "$@"); }

libraries
libraries_are_instrumented
if [ $# = 0 ]; then
    programs shared alone
    # shellcheck disable=SC2046 # names without spaces
    set -- $(printf '%s\n' tests-c/*.c tests-c/alone/*.c | sed 's|.*/||; s|\.c$||' | grep -vxF "$(echo "$left_out" | cut -d' ' -f1)")
else
    for program; do
        [ -e "tests-c/alone/$program.c" ] || programs ../$out/tests-c/3.0/shared/"$program"
        programs ../$out/tests-c/3.0/alone/"$program"
    done
fi
echo "asan: left out:$left_out"
programs ../$out/tests-c/3.0/shared/sanitizers ../$out/tests-c/3.0/alone/sanitizers
failed=0
MODES='shared alone' run sanitizers || failed=1
MODES='shared alone' run "$@" || failed=1
# shellcheck disable=SC2046 # names without spaces
DROPLET_TEST_TLS=1 MODES=shared run $(printf '%s\n' "$@" | grep -v '^tls_') || failed=1
exit $failed
