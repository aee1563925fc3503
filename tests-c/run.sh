#!/bin/sh
# Runs test programs, in both layouts and the three ways of linking, and compares
# what they print: it must be the same everywhere. With no argument, all of them.
# In the layout of 3.0 there are two more: built for our own libdroplet.so.0 alone,
# and swapped, which is linked with the host's and finds ours in its place.
#
#   CONN=DIR         the folder of libdroplet_conn.so.0 (default: where `make all` put it)
#   OUT=DIR          the folder of the programs (default ../target/tests-c)
#   LAYOUTS, MODES   fewer of them
#   JOBS=N           so many at a time (default 1); most programs wait most of the time
#   VALGRIND=1       under valgrind
#   EMULATOR=PROGRAM by this program (see ../scripts/cross.sh)
#   SANITIZED=1      the programs were built with sanitizers (see ../scripts/asan.sh)
#   DROPLET_TEST_TLS=1, DROPLET_TEST_CASE=NAME: see README.md
#
# Ends with 1 if checks have failed, and with 2 if a program ended in another way, or was not run.
set -u
cd "$(dirname "$0")" || exit 2
out=${OUT:-../target/tests-c}
conn=$(realpath --canonicalize-missing -- "${CONN:-$(../scripts/libraries.sh)}")
[ -e "$conn/libdroplet_conn.so.0" ] || { echo "run.sh: no libdroplet_conn.so.0 in $conn" >&2; exit 2; }

# Those that take longest begin first, so that the last ones end together.
slowest='dead_names lookups fork_busy lookup_thread tls_write races tls_handshake threads write slow limits fork probes
    parked tls_idle tls_resume tls_errors tls_flood blame'

# $1 layout, $2 mode, $3 program. What it prints goes to $out/LAYOUT/MODE/PROGRAM.out and .err.
run_one() {
    preload= path= built=$2 checker=${EMULATOR:-}
    case $2 in
    preload) preload=$conn/libdroplet_conn.so.0 ;;
    swapped) built=preload path=$conn/standalone && mkdir -p "$out/$1/$2" ;;
    esac
    if [ -n "${VALGRIND:-}" ]; then
        checker='valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite'
        # Fair: otherwise a thread that never waits keeps the others from running for seconds.
        checker="$checker --fair-sched=try --error-exitcode=9"
        export DROPLET_TEST_SECONDS="${DROPLET_TEST_SECONDS:-600}"
    fi
    printed=$out/$1/$2/$3
    began=$(date +%s)
    LD_PRELOAD=$preload LD_LIBRARY_PATH=$path $checker "$out/$1/$built/$3" >"$printed.out" 2>"$printed.err"
    echo "$? $(($(date +%s) - began))" >"$printed.status"
}

# The programs to run, one a line.
programs() {
    printf '%s\n' $slowest | grep -xF "$(printf '%s\n' "$@")"
    printf '%s\n' "$@" | grep -vxF "$(printf '%s\n' $slowest)"
}

# Every run, as "LAYOUT MODE PROGRAM".
all_runs() {
    for program in $(programs "$@"); do
        for layout in ${LAYOUTS:-3.0 bareos}; do
            for mode in ${MODES:-preload shared static alone swapped}; do
                case $layout/$mode in bareos/alone | bareos/swapped) continue ;; esac
                [ -e "alone/$program.c" ] && [ "$mode" != alone ] && continue
                echo "$layout $mode $program"
            done
        done
    done
}

if [ "${1:-}" = --one ]; then
    shift
    run_one "$@"
    exit 0
fi

# shellcheck disable=SC2046 # names without spaces
[ $# != 0 ] || set -- $(ls *.c alone | sed -n 's/\.c$//p' | grep -vx demo)
# What an earlier run has left would stand for a program that is not run.
all_runs "$@" | while read -r layout mode program; do
    rm -f "$out/$layout/$mode/$program".out "$out/$layout/$mode/$program".err "$out/$layout/$mode/$program".status
done
complete=yes
all_runs "$@" | xargs -r -P "${JOBS:-1}" -L 1 ./run.sh --one || complete=

# Sets how the run ended, and how long it took. A run that was killed has left no word of that.
read_status() {
    status=lost seconds=0
    [ ! -e "$printed.status" ] || read -r status seconds <"$printed.status"
}

# Under valgrind, and with sanitizers, a check may fail for want of time while other programs run: such a program runs
# once more, by itself. What they find in memory (status 9) counts at once, and so does a run that was killed.
deserves_another_run() {
    [ -n "${VALGRIND:-}${SANITIZED:-}" ] || return
    case $status in 0 | 9 | lost) return 1 ;; esac
    ! grep -q 'ended with status 9' "$printed.out"
}

# The lines of programs that failed are followed by what they say about it.
all_runs "$@" | {
    failures=0 result=0 previous=
    while read -r layout mode program; do
        printed=$out/$layout/$mode/$program
        [ "$program" = "$previous" ] || first=$printed.out
        previous=$program verdict=ok note=
        read_status
        if deserves_another_run; then
            note=", the second run: $(grep -m1 '^not ok' "$printed.out")"
            run_one "$layout" "$mode" "$program" </dev/null
            read_status
        fi
        [ "$status" = 0 ] || { verdict=FAILED note=", status $status$note"; }
        [ $verdict = ok ] && ! cmp -s "$first" "$printed.out" && verdict="DIFFERS from $first"
        printf '%-14s %-7s %-8s %-7s %4d s%s\n' "$program" "$layout" "$mode" "$verdict" "$seconds" "$note"
        rm -f "$printed.status"
        [ "$verdict" = ok ] && continue
        failures=$((failures + 1))
        case $status in 0 | 1) [ $result != 0 ] || result=1 ;; *) result=2 ;; esac
        [ ! -e "$printed.out" ] || grep -E '^not ok' "$printed.out" | sed 's/^/       /'
        [ ! -e "$printed.err" ] || tail -n 30 "$printed.err" | sed 's/^/       /'
    done
    [ $failures = 0 ] || echo "$failures runs failed; what they printed is in $out/LAYOUT/MODE/PROGRAM.{out,err}"
    [ -n "$complete" ] || { echo 'run.sh: a run was killed; those that were to follow were not begun'; result=2; }
    exit $result
}
