#!/bin/sh
# Strips installed libraries. What debuggers need of a shared library goes to .debug beside it, where they look.
#   strip.sh FOLDER LIBRARY...
set -eu
cd "$1"
shift
for library; do
    case $library in
    *.a) strip --strip-debug --enable-deterministic-archives "$library" ;;
    *)
        beside=.debug/$library.debug
        mkdir -p .debug
        objcopy --only-keep-debug "$library" "$beside"
        chmod 644 "$beside"
        strip --strip-unneeded "$library"
        objcopy --remove-section=.gnu_debuglink --add-gnu-debuglink="$beside" "$library"
        ;;
    esac
done
