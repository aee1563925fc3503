#!/bin/sh
# Copies the crates that packages are built of to a folder, for a build without a network. Of all others, which only
# tests or other systems need, Cargo wants to see the manifest: an empty crate is left of each.
#   vendor.sh FOLDER PACKAGE...    prints what Cargo's configuration needs
set -eu
folder=$1
shift
cargo vendor --locked --versioned-dirs "$folder" 2>"$folder.log" || { cat "$folder.log" >&2; exit 1; }
rm "$folder.log"

# shellcheck disable=SC2046 # one option a package
needed=$(cargo tree --locked --edges normal,build --target x86_64-unknown-linux-gnu --prefix none --format '{p}' \
    $(printf -- '--package %s ' "$@") | sed 's/^\([^ ]*\) v\([^ ]*\).*/\1-\2/')
for crate in "$folder"/*; do
    printf '%s\n' "$needed" | grep -qxF "$(basename "$crate")" && continue
    library=$(sed -n '/^\[lib\]/,/^\[\[*[^l]/s/^path = "\(.*\)"/\1/p' "$crate/Cargo.toml")
    checksum=$(sed 's/.*"package":"\([0-9a-f]*\)".*/\1/' "$crate/.cargo-checksum.json")
    mv "$crate/Cargo.toml" "$folder.manifest"
    rm -r "$crate"
    library=$crate/${library:-src/lib.rs}
    mkdir -p "$(dirname "$library")"
    : >"$library"
    mv "$folder.manifest" "$crate/Cargo.toml"
    printf '{"files":{},"package":"%s"}' "$checksum" >"$crate/.cargo-checksum.json"
done
