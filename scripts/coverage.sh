#!/usr/bin/env bash
# Measures which lines, branches and regions of src and crates the tests run: the Rust tests, and the C programs on
# instrumented libraries. The report is in target/coverage; docs/coverage.md explains the lines that are left.
#   coverage.sh           builds, runs and reports
#   coverage.sh report    reports what the last run found
# Of the ways of linking the C programs, these run preloaded and alone.
set -uo pipefail
cd "$(dirname "$0")/.."
here=$PWD/target/coverage
# In this mode the counters are pages of a file that all processes share. So they also have what a process did that
# was killed or ended with _exit(2), and what a forked child did. %m is a number of the library or test program.
counters=$here/counters/%m%c.profraw
flags='"-Cinstrument-coverage", "-Zcoverage-options=branch", "-Cllvm-args=-runtime-counter-relocation"'
version=$(rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
# Of the tests of the finished libraries, those that run code of theirs.
rust_tests=(--locked --workspace --exclude libdroplet_conn --exclude simulation --lib --bins
    --test 'api*' --test dlopened --test stats_file --test without_droplet
    --test corpora
    --test check --test loader --test output --test process --test run)

# The counters of build scripts are of no use.
cargo_here() {
    RUSTC_BOOTSTRAP=1 LLVM_PROFILE_FILE=${counters_to:-$here/of-build-scripts} \
        cargo "$@" --profile coverage --target-dir "$here" --config "build.rustflags = [$flags]"
}

build() {
    cargo_here build --locked && cargo_here test "${rust_tests[@]}" --no-run 2>&1 | tee "$here/programs" || return
    install -D "$here/coverage/libdroplet_conn.so" "$here/lib/libdroplet_conn.so.0"
    install -D "$here/coverage/libdroplet.so" "$here/lib/standalone/libdroplet.so.0"
    scripts/static-library.sh "$here/coverage/libdroplet_conn.a" exports.txt "$here/lib/libdroplet_conn_static.a" dplx_
    CC=${CC:-cc} scripts/linker-scripts.sh exports.txt "$here/lib"
    make --silent --jobs="$(nproc)" -C tests-c OUT="$here/tests-c" CONN="$here/lib" preload alone
}

# The C programs, but for those whose names match.
programs_without() {
    printf '%s\n' tests-c/*.c tests-c/alone/*.c | sed 's|.*/||; s|\.c$||' | grep -vxE "$1"
}

# Variables and programs.
c_tests() {
    env OUT="$here/tests-c" CONN="$here/lib" LLVM_PROFILE_FILE="$counters" "$@"
}

# A test that fails here and not in `make test` was too slow. What it ran before is counted.
run() {
    export JOBS=${JOBS:-$((3 * $(nproc)))} DROPLET_TEST_SECONDS=${DROPLET_TEST_SECONDS:-600}
    rm -rf "$here/counters"
    DROPLET_TEST_LIBRARIES=$here/lib counters_to=$counters cargo_here test "${rust_tests[@]}" --no-fail-fast --quiet
    # It forks at every instruction, of which instrumented code has too many.
    local without='demo|fork_signal' run=tests-c/run.sh
    c_tests MODES='preload alone' $run $(programs_without "$without")
    c_tests MODES=preload LAYOUTS=3.0 DROPLET_TEST_TLS=1 $run $(programs_without "$without|tls_.*")
    c_tests MODES=preload LAYOUTS=3.0 DPLX_REPLY_READER=droplet \
        $run blame exchange lies probes stale tls_idle tls_unread
}

report() {
    local objects=("$here/lib/libdroplet_conn.so.0" -object "$here/lib/standalone/libdroplet.so.0"
        -object "$here/coverage/droplet-conn")
    local others='/\.cargo/|/rustc/|/tests/|tests\.rs$|_tests/|/crates/properties/'
    while read -r program; do
        objects+=(-object "$program")
    done < <(sed -n 's|^ *Executable.* (\(.*\))$|\1|p' "$here/programs")
    "llvm-profdata-$version" merge -sparse "$here"/counters/*.profraw -o "$here/profile" &&
        "llvm-cov-$version" export -format=lcov -instr-profile "$here/profile" "${objects[@]}" \
            -ignore-filename-regex="$others" >"$here/lcov" &&
        python3 scripts/coverage-report.py "$here"
}

mkdir -p "$here"
case ${1:-} in
'') build && { run; report; } ;;
report) report ;;
*) echo 'usage: coverage.sh [report]' >&2; exit 2 ;;
esac
