#!/bin/sh
# Runs a command in another release of Debian: in a root of its own, made at the first run, with this tree at /tree.
#   root.sh bullseye|bookworm|trixie COMMAND...
# Needs root and debootstrap. The mirror is the one that apt has here. Cargo has the crates that it has here, and no
# network. Debian 11 gets the Rust toolchain of here, since its own is too old. target/ there is
# target/roots/RELEASE.target here. The script runs itself again where only the command sees the mounts, so that none is
# left, and no process, however it ends.
set -eu
cd "$(dirname "$0")/.."
release=${1:-}
case $release in
trixie) rust='rustc cargo' ;;
bookworm) rust='rustc-web cargo-web' ;;
bullseye) rust= ;;
*) echo 'usage: root.sh bullseye|bookworm|trixie COMMAND...' >&2; exit 2 ;;
esac
needed="make gcc libc6-dev pkg-config libssl-dev ca-certificates netbase $rust"
root=target/roots/$release
log=$root.log

make_root() {
    rm -rf --one-file-system "$root.new" # of a run that was stopped
    scripts/base-root.sh "$release" "$root.new"
    mv "$root.new" "$root"
}

mount_parts() {
    mkdir -p "$root/tree" "$root/cargo/registry" "$root/toolchain"
    mount --bind . "$root/tree"
    mount --bind "$root.target" "$root/tree/target"
    mount --bind "${CARGO_HOME:-$HOME/.cargo}/registry" "$root/cargo/registry"
    [ -n "$rust" ] || mount --bind --read-only "$(rustc --print sysroot)" "$root/toolchain"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
}

there() {
    env --ignore-environment PATH=/toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 CARGO_HOME=/cargo CARGO_NET_OFFLINE=true chroot "$root" "$@"
}

install_needed() {
    missing=
    for package in $needed; do
        there dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed$' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "root: installing$missing" >&2
    # shellcheck disable=SC2086 # one word a package
    { there apt-get update && there apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1 </dev/null ||
        { tail -n 20 "$log" >&2; echo "root: apt-get failed; all it said is in $log" >&2; exit 1; }
    there apt-get clean
}

if [ -z "${IN_NAMESPACE:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo 'root: only root can make a root' >&2; exit 1; }
    cargo fetch --locked --quiet
    mkdir -p "$root.target"
    IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child scripts/root.sh "$@"
fi
shift
[ -d "$root" ] || make_root
mount_parts
install_needed
# shellcheck disable=SC2016 # for the inner shell
there sh -c 'cd /tree && exec "$@"' sh "$@"
