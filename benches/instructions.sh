#!/bin/sh
# What one warm checkout and release takes: user-space instructions (callgrind),
# system calls (strace -c) and allocations (memcheck), each as the difference of
# two loop counts, which leaves the start of the program out.
#
#   instructions.sh            prints "WHAT COUNT" a line
#   instructions.sh check      fails if a count exceeds that in instructions.txt
#   instructions.sh update     writes instructions.txt
#
#   LIBRARY=FILE  another libdroplet_conn.so than `make all` built, or "none"; needs ../target/bench/bench (make)
#
# What is committed and checked are the instructions in the library itself: those in
# libc and OpenSSL depend on their versions, and in strcmp() on where a string lies.
# They are exact and repeatable; another compiler may take a few more, hence a margin.
# Valgrind hides the vDSO, so that the few instructions in which it reads the clock
# are not counted.
set -eu
cd "$(dirname "$0")"
library=${LIBRARY:-$(../scripts/libraries.sh)/libdroplet_conn.so.0}
if [ "$library" = none ]; then library=; else library=$(realpath "$library"); fi
bench=$(realpath ../target/bench/bench)
few=1000 many=2000
margin=3 # percent
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# $1 kind, $2 loops, $3 the object whose instructions count; all if empty
executed() {
    profile=$scratch/$1-$2
    [ -e "$profile" ] || LD_PRELOAD=$library valgrind --quiet --tool=callgrind \
        --callgrind-out-file="$profile" "$bench" loop "$1" "$2" 2>"$profile.stderr"
    awk -v wanted="$3" '
        # "ob=(ID) NAME" where the name is new; the line after "calls=" has what was called.
        /^c?ob=/ {
            split($0, part, /[()]/)
            if (part[3] != "") name[part[2]] = substr(part[3], 2)
            if (/^ob=/) object = name[part[2]]
            next
        }
        /^calls=/ { getline; next }
        /^[0-9+*-]/ && (wanted == "" || object == wanted) { sum += $NF }
        END { printf "%d\n", sum }' "$profile"
}
# Each prints a total. $1 kind, $2 loops
instructions() { executed "$1" "$2" ""; }
own_instructions() { executed "$1" "$2" "${library:-none}"; }
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
    # The mean is rounded: a few instructions more at the start of the program do not count.
    echo $((($("$1" "$2" $many) - $("$1" "$2" $few) + (many - few) / 2) / (many - few)))
}

# Side by side: counts do not depend on time.
committed_counts() {
    mkdir -p "$scratch/results"
    for kind in literal name tls; do
        of_one own_instructions $kind >"$scratch/results/own-$kind" &
    done
    of_one system_calls literal >"$scratch/results/system-calls" &
    of_one allocations literal >"$scratch/results/allocations" &
    wait
    for what in own-literal own-name own-tls system-calls allocations; do
        echo "$what $(cat "$scratch/results/$what")"
    done
}

case ${1:-} in
'')
    committed_counts
    for kind in literal name tls; do
        echo "all-$kind $(of_one instructions $kind)"
    done
    ;;
update) committed_counts >"$scratch/counts" && cp "$scratch/counts" instructions.txt && cat instructions.txt ;;
check)
    committed_counts | awk -v margin=$margin '
        NR == FNR { committed[$1] = $2; next }
        $2 == "" { print $1 " could not be counted"; failed++ }
        $1 ~ /^own-/ && $2 == 0 { print "the program did not use the library"; failed++ }
        {
            verdict = $2 > committed[$1] * (1 + margin / 100) ? "MORE" : "ok"
            printf "%-18s %5d, committed %5d  %s\n", $1, $2, committed[$1], verdict
            failed += verdict == "MORE"
        }
        END { exit failed > 0 }' instructions.txt -
    ;;
*) echo "usage: instructions.sh [check|update]" >&2; exit 2 ;;
esac
