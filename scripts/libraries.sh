#!/bin/sh
# Prints the folder in which `make all` puts the libraries: all that runs them asks here.
set -eu
cd "$(dirname "$0")/.."
realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}/lib"
