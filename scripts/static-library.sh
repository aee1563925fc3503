#!/bin/sh
# Makes of a static library as Rust leaves it one that is fit to be linked with others: one object, in
# which only the names of a list are global. Rust's own carries the whole standard library in the open,
# which clashes with the one of any other Rust library in the same program.
#   static-library.sh RUST.a NAMES OUTPUT.a [PREFIX]
# PREFIX: names that begin with it stay global as well. LD, OBJCOPY and AR may name tools of another architecture.
set -eu
input=$1 names=$2 output=$3 prefix=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
object=$work/$(basename "$output" .a).o

cp "$names" "$work/names"
[ -z "$prefix" ] || readelf -sW "$input" |
    awk -v prefix="$prefix" '$5 == "GLOBAL" && $7 != "UND" && index($8, prefix) == 1 { print $8 }' >>"$work/names"

# Section groups end here: by their names, which stay as they are, the program's linker would take those
# of another Rust library for ours, and drop one of the two.
# shellcheck disable=SC2046 # one option a name
"${LD:-ld}" -r --gc-sections --force-group-allocation $(sed 's/^/--require-defined=/' "$work/names") \
    -o "$work/all" "$input"
# What nobody in the object refers to any more, ld leaves behind as a name that must be defined, also where it
# need not be: functions of later C libraries, which another Rust library in the program asks for as well.
readelf -sW "$input" | awk '$7 == "UND" && $5 == "WEAK" { weak[$8] } $7 == "UND" && $5 == "GLOBAL" { must[$8] }
    END { for (name in weak) if (!(name in must)) print name }' >"$work/weak"
# Rust's bitcode, of no use to a C linker, keeps tools with an LLVM plug-in from reading the object.
# The notes of probes refer to code, and gold refuses that if --gc-sections drops the code.
"${OBJCOPY:-objcopy}" --keep-global-symbols="$work/names" --weaken-symbols="$work/weak" -R .llvmbc -R .llvmcmd \
    -R .note.stapsdt -R .rela.note.stapsdt -R .stapsdt.base "$work/all" "$object"

mkdir -p "$(dirname "$output")"
rm -f "$output"
"${AR:-ar}" rcs "$output" "$object"
