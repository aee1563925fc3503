#!/bin/sh
# Says what to run if a file that is to be installed was not built. Root may have no Cargo, so nothing is built then.
#   is-built.sh FILE...
set -eu
for file; do
    [ -e "$file" ] && continue
    echo "install: there is no $file: run make all first, as a user who has Cargo, with the same CARGO_TARGET_DIR" >&2
    exit 1
done
