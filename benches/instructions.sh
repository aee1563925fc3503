#!/bin/sh
# What one warm checkout and release takes: user-space instructions (callgrind),
# system calls (strace -c) and allocations (memcheck), each as the difference of
# two loop counts, which leaves the start of the program out.
#
#   instructions.sh            prints "WHAT COUNT" a line, as in instructions.txt
#   instructions.sh check      fails if a count exceeds the one there by more than 2 %
#   instructions.sh update     writes instructions.txt
#
#   LIBRARY=FILE  another libdroplet_conn.so, or "none"; needs ../target/bench/bench (make)
#
# Valgrind hides the vDSO, so that the few instructions in which it reads the
# clock are not counted.
set -eu
cd "$(dirname "$0")"
library=${LIBRARY:-../target/release/libdroplet_conn.so}
if [ "$library" = none ]; then library=; else library=$(realpath "$library"); fi
bench=$(realpath ../target/bench/bench)
few=1000 many=2000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# $1 kind, $2 loops: each prints a total
instructions() {
    LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$bench" loop "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}
system_calls() {
    LD_PRELOAD=$library strace -c -o "$scratch/strace" "$bench" loop "$1" "$2"
    awk '$NF == "total" { print $4 }' "$scratch/strace"
}
allocations() {
    LD_PRELOAD=$library valgrind "$bench" loop "$1" "$2" 2>&1 |
        sed -n 's/.*total heap usage: \([0-9,]*\) allocs.*/\1/p' | tr -d ,
}

# $1 what, $2 kind
of_one() {
    # Whoever comes first in a run of the program is no matter here: the mean is rounded.
    echo $((($("$1" "$2" $many) - $("$1" "$2" $few) + (many - few) / 2) / (many - few)))
}

count_all() {
    echo "instructions $(of_one instructions literal)"
    echo "instructions-name $(of_one instructions name)"
    echo "instructions-tls $(of_one instructions tls)"
    echo "system-calls $(of_one system_calls literal)"
    echo "allocations $(of_one allocations literal)"
}

case ${1:-} in
'') count_all ;;
update) count_all >"$scratch/counts" && cp "$scratch/counts" instructions.txt && cat instructions.txt ;;
check)
    count_all | awk '
        NR == FNR { committed[$1] = $2; next }
        {
            verdict = $2 > committed[$1] * 1.02 ? "MORE" : "ok"
            printf "%-18s %5d, committed %5d  %s\n", $1, $2, committed[$1], verdict
            failed += verdict == "MORE"
        }
        END { exit failed > 0 }' instructions.txt -
    ;;
*) echo "usage: instructions.sh [check|update]" >&2; exit 2 ;;
esac
