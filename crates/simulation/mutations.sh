#!/usr/bin/env bash
# Shows that the simulation finds what it is for: brings defects of the past back, one after the other, in a copy of the
# source, and runs histories until one fails.
#   mutations.sh [NAME...]    only these (files of the folder mutations)
# A mutation that is not found, or whose patch does not fit any more or does not say what finds it, is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=crates/simulation/mutations
[ $# -gt 0 ] || set -- $(cd $folder && ls *.patch | sed 's/\.patch$//')
work=target/mutations
mkdir -p $work
# Time is spent on building, so that the code is not made as fast as it can be.
export CARGO_TARGET_DIR=$PWD/$work/target CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_INCREMENTAL=1
missed=0
for name; do
    expected=$(sed -n 's/^found by: //p' $folder/"$name".patch)
    # Any failure would fit.
    [ -n "$expected" ] || { echo "mutations: $name.patch has no line \"found by: WHAT\"" >&2; exit 1; }
    mkdir -p $work/source
    # With new times: cargo would not see that a file is as it was before the last patch.
    rm -rf $work/source/crates $work/source/src
    git ls-files -z --cached --others --exclude-standard -- Cargo.* build.rs cbindgen.toml rustfmt.toml include src crates |
        tar --create --null --files-from=- | tar --extract --touch --directory=$work/source
    patch --quiet --directory=$work/source -p1 <$folder/"$name".patch
    (cd $work/source && cargo build --quiet --release --locked -p simulation 2>$CARGO_TARGET_DIR.log) ||
        { tail -n 20 $CARGO_TARGET_DIR.log >&2; exit 1; }
    log=$work/$name.log
    $work/target/release/simulation --histories "${HISTORIES:-6000}" --until-failure >"$log" 2>/dev/null || :
    if grep -qE "^seed .*($expected)" "$log"; then
        printf '%-32s found: %s\n' "$name" "$(grep -m1 -E "^seed .*($expected)" "$log" | cut -c1-150)"
    else
        printf '%-32s NOT FOUND; see %s\n' "$name" "$log"
        missed=$((missed + 1))
    fi
done
[ $missed = 0 ]
