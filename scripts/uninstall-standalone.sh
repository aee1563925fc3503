#!/bin/sh
# Removes an installed libdroplet.so.0 of droplet-conn, and nothing of a Droplet that has the same names.
#   uninstall-standalone.sh LIBDIR VERSION FOLDER-OF-HEADERS HEADER...
set -eu
to=$1 name=libdroplet.so.$2 headers=$3
library=$to/$name
shift 3
# A function of ours alone. The name of the file could also be that of a Droplet.
if ! grep -qs dplx_version "$library"; then
    echo "uninstall-standalone: there is no $library of droplet-conn: nothing is removed" >&2
    exit 1
fi
remove_link() {
    if [ "$(readlink -f "$to/$1")" = "$(readlink -f "$library")" ]; then rm -f "$to/$1"; fi
}
remove_link libdroplet.so
remove_link libdroplet.so.0
# A Droplet may have been installed over ours.
if grep -qs droplet-conn "$to/pkgconfig/droplet-3.0.pc"; then rm -f "$to/pkgconfig/droplet-3.0.pc"; fi
if grep -qs droplet-conn "$headers/droplet.h"; then
    for header; do rm -f "$headers/$header"; done
fi
# It comes last: a run that was interrupted can be repeated.
rm -f "$headers/droplet_conn.h" "$to/.debug/$name.debug" "$library"
