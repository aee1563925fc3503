#!/bin/sh
# Compares the crates of all lock files with deny.toml: licences, versions, sources, and advisories if their database is
# on this machine. Nothing is fetched.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/target/tools/bin:$PATH
databases=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
status=0

# $@: what to check.
check() {
    for manifest in Cargo.toml tests/fuzz/Cargo.toml benches/report/Cargo.toml; do
        printf '%-28s' "$manifest"
        cargo deny --manifest-path "$manifest" --config deny.toml --locked --offline --log-level error \
            check --hide-inclusion-graph "$@" || status=1
    done
}

check bans licenses sources
database=$(find "$databases" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | head -n 1)
if [ -n "$database" ]; then
    echo "advisories of $(git -C "$database" log -1 --format=%cs):"
    check advisories
else
    echo "ADVISORIES WERE NOT CHECKED: no database in $databases. With a network, 'cargo deny fetch db' gets it."
fi
exit $status
