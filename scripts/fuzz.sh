#!/usr/bin/env bash
# Runs the targets of tests/fuzz, as many at once as there are processors.
#   fuzz.sh run SECONDS    each target for so long, beginning with the committed inputs
#   fuzz.sh merge          adds to tests/fuzz/corpus what earlier runs have found, if it reaches other code
# FUZZ_TARGETS= names some of them. Inputs that a run finds are kept in target/fuzz/corpus, those that fail in
# target/fuzz/found.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/target/tools/bin:$PATH
programs=target/fuzz/x86_64-unknown-linux-gnu/release
export ASAN_OPTIONS=detect_odr_violation=0:${ASAN_OPTIONS:-}
# To load the system's hundreds of authorities takes longer than all the rest of making a context.
export SSL_CERT_FILE=/nowhere SSL_CERT_DIR=/nowhere

build() {
    # The sanitizer and the counters need options of the compiler that only nightly ones accept without this.
    RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir tests/fuzz --target-dir target/fuzz
}

# $1 target, $2 seconds.
run() {
    local name=$1 corpus=target/fuzz/corpus/$1 found=target/fuzz/found/$1 log=target/fuzz/$1.log dictionary=()
    mkdir -p "$corpus" "$found" "tests/fuzz/regressions/$name"
    [ -f "tests/fuzz/dictionaries/$name.dict" ] && dictionary=("-dict=tests/fuzz/dictionaries/$name.dict")
    "$programs/$name" -max_total_time="$2" -timeout=30 -max_len=4096 -rss_limit_mb=3000 -print_final_stats=1 \
        "${dictionary[@]}" -artifact_prefix="$found/" \
        "$corpus" "tests/fuzz/corpus/$name" "tests/fuzz/regressions/$name" >"$log" 2>&1 </dev/null
    local status=$? runs covered
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    if [ $status = 0 ]; then
        printf '%-14s %10s runs %6s counters reached\n' "$name" "$runs" "$covered"
        return 0
    fi
    printf '%-14s FAILED\n' "$name"
    grep -aE -m 3 '^(thread .* panicked|==[0-9]+==ERROR|SUMMARY)' -A 2 "$log"
    grep -a 'Test unit written to' "$log" || tail -n 20 "$log"
    echo "    all of it is in $log; tests/fuzz/README.md says what to do"
    return 1
}

merge() {
    local name=$1 before
    before=$(find "tests/fuzz/corpus/$name" -type f | wc -l)
    "$programs/$name" -set_cover_merge=1 -use_counters=0 -max_len=4096 "tests/fuzz/corpus/$name" "target/fuzz/corpus/$name" \
        >"target/fuzz/$name.log" 2>&1 </dev/null || { tail -n 20 "target/fuzz/$name.log"; return 1; }
    echo "$name: $before files, now $(find "tests/fuzz/corpus/$name" -type f | wc -l)"
}

# shellcheck disable=SC2046 # names without spaces
[ -n "${FUZZ_TARGETS:-}" ] || FUZZ_TARGETS=$(basename -s .rs tests/fuzz/fuzz_targets/*.rs)
case ${1:-} in
run | merge) build || exit 1 ;;
*) echo 'usage: fuzz.sh run SECONDS | merge' >&2; exit 2 ;;
esac
status=0 running=0
for name in $FUZZ_TARGETS; do
    if [ $running -ge "$(nproc)" ]; then
        wait -n || status=1
        running=$((running - 1))
    fi
    "$1" "$name" "${2:-}" &
    running=$((running + 1))
done
while [ $running -gt 0 ]; do
    wait -n || status=1
    running=$((running - 1))
done
exit $status
