#!/bin/sh
# Makes what a linker finds as -ldroplet_conn: linker scripts that name the library itself, and an object that
# needs it whatever the program calls (see needed.c). They name files beside them, so a folder can be moved.
#   linker-scripts.sh NAMES FOLDER
# CC and OBJDUMP may name tools of another architecture.
set -eu
names=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

sed 's/.*/NAME(&)/' "$names" >"$work/names"
# An object for every program: no link-time optimisation, and fit for shared libraries.
# shellcheck disable=SC2086 # CC may have arguments
${CC:-cc} -O2 -fPIC -fno-lto -Wall -Wextra -Werror "-DNAMES=\"$work/names\"" \
    -c "$(dirname "$0")/needed.c" -o "$folder/libdroplet_conn_needed.o"

format=$(LC_ALL=C "${OBJDUMP:-objdump}" -f "$folder/libdroplet_conn_needed.o" | sed -n 's/.*file format //p')

# $1 what the linker looks for, $2 what it is to take
linker_script() {
    rm -f "$folder/$1" # where it was the library itself, programs may be running on it
    cat >"$folder/$1" <<END
/* GNU ld script. The library is $2, and the object makes sure that it is linked. */
OUTPUT_FORMAT($format)
INPUT(libdroplet_conn_needed.o $2)
END
}
linker_script libdroplet_conn.so libdroplet_conn.so.0
linker_script libdroplet_conn.a libdroplet_conn_static.a
