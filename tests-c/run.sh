#!/bin/sh
# Runs test programs, in both layouts and the three ways of linking, and compares
# what they print: it must be the same everywhere. With no argument, all of them.
# In the layout of 3.0 there are two more: built for our own libdroplet.so.0 alone,
# and swapped, which is linked with the host's and finds ours in its place.
#
#   CONN=DIR         the folder of libdroplet_conn.so.0 (default ../target/lib)
#   LAYOUTS, MODES   fewer of them
#   VALGRIND=1       under valgrind
#   DROPLET_TEST_TLS=1, DROPLET_TEST_CASE=NAME: see README.md
set -u
cd "$(dirname "$0")" || exit 1
out=../target/tests-c
conn=${CONN:-../target/lib}
programs=${*:-$(ls *.c alone | sed -n 's/\.c$//p' | grep -vx demo)}
failures=0
[ -e "$conn/libdroplet_conn.so.0" ] || { echo "run.sh: no libdroplet_conn.so.0 in $conn" >&2; exit 1; }

checker=
if [ -n "${VALGRIND:-}" ]; then
    checker='valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite'
    # Fair: otherwise a thread that never waits keeps the others from running for seconds.
    checker="$checker --fair-sched=try --error-exitcode=9"
    export DROPLET_TEST_SECONDS="${DROPLET_TEST_SECONDS:-600}"
fi

# $1 layout, $2 mode, $3 program
run() {
    preload= path= built=$2
    case $2 in
    preload) preload=$(realpath "$conn")/libdroplet_conn.so.0 ;;
    swapped) built=preload path=$(realpath "$conn")/standalone && mkdir -p "$out/$1/$2" ;;
    esac
    LD_PRELOAD=$preload LD_LIBRARY_PATH=$path $checker \
        "$out/$1/$built/$3" >"$out/$1/$2/$3.out" 2>"$out/$1/$2/$3.err"
}

# $1 file of what was printed
tell_failures() {
    grep -E '^not ok' "$1" | sed 's/^/       /'
}

for program in $programs; do
    first=
    for layout in ${LAYOUTS:-3.0 bareos}; do
        for mode in ${MODES:-preload shared static alone swapped}; do
            case $layout/$mode in bareos/alone | bareos/swapped) continue ;; esac
            [ -e "alone/$program.c" ] && [ "$mode" != alone ] && continue
            printed=$out/$layout/$mode/$program.out
            verdict=ok
            run "$layout" "$mode" "$program" || verdict=FAILED
            first=${first:-$printed}
            [ $verdict = ok ] && ! cmp -s "$first" "$printed" && verdict="DIFFERS from $first"
            printf '%-10s %-7s %-8s %s\n' "$program" "$layout" "$mode" "$verdict"
            [ "$verdict" = ok ] && continue
            failures=$((failures + 1))
            tell_failures "$printed"
        done
    done
done
[ $failures = 0 ] || echo "$failures runs failed; what they printed is in $out/LAYOUT/MODE/PROGRAM.{out,err}"
[ $failures = 0 ]
