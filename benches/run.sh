#!/bin/sh
# Runs all benchmarks, prints one table and writes ../target/bench/report.html.
#
#   LIBRARY=FILE           libdroplet_conn.so (default: what `make all` built)
#   DROPLET_ORIGINAL=FILE  the original's libdroplet.so.0, layout 3.0: the same program runs on it too,
#                          alone and with ours preloaded
set -eu
cd "$(dirname "$0")"
library=$(realpath "${LIBRARY:-$(../scripts/libraries.sh)/libdroplet_conn.so.0}")
out=../target/bench
make --silent
out=$(realpath $out)
bench=$out/bench

# $1 file: the counts of instructions.sh as rows
count_rows() {
    while read -r what count; do
        case $what in
        own-literal) echo "instructions	instructions of a warm checkout + release, in the library	$count	450" ;;
        own-name) echo "instructions-name	the same by name	$count	450" ;;
        own-tls) echo "instructions-tls	the same over TLS	$count	500" ;;
        system-calls) echo "$what	system calls of a warm checkout + release	$count	1" ;;
        allocations) echo "$what	allocations of a warm checkout + release	$count	0" ;;
        esac
    done | awk -F '\t' -v OFS='\t' '{ print "row", $1, $2, "", $3, "-", "-", "value<=", $4 }' >>"$1"
}

incomplete=
# $1 file, $2 the library to preload, if any
run() {
    LD_PRELOAD=$2 "$bench" "$1" || incomplete=1
    LIBRARY=${2:-none} ./instructions.sh | count_rows "$1"
}

run "$out/results.tsv" "$library"
own_incomplete=$incomplete
others=
if [ -n "${DROPLET_ORIGINAL:-}" ]; then
    LD_LIBRARY_PATH=$(dirname "$(realpath "$DROPLET_ORIGINAL")")
    export LD_LIBRARY_PATH
    run "$out/original.tsv" ''
    run "$out/preloaded.tsv" "$library"
    others="$out/original.tsv $out/preloaded.tsv"
    unset LD_LIBRARY_PATH
fi
echo
# shellcheck disable=SC2086 # two files
cargo run --quiet --locked --manifest-path report/Cargo.toml --target-dir ../target/report -- "$out/report.html" "$out/results.tsv" $others
echo "plots: $out/report.html"
# The original may fail a case.
[ -z "$own_incomplete" ] || { echo "a case did not come to its end: see above" >&2; exit 1; }
