#!/bin/sh
# Builds the packages in a clean root of Debian as a distribution would: with its own compiler and without a network. Then
# installs them in another clean root, builds and runs programs with them, and removes them again: nothing may remain.
# Needs root, and debootstrap.
#   check.sh SUITE ARCHIVE FOLDER    the folder keeps the packages, and a root for the next time
set -eu
suite=$1 archive=$(realpath "$2")
mkdir -p "$3"
folder=$(realpath "$3")
[ "$(id -u)" = 0 ] || { echo 'check: only root can make a root folder' >&2; exit 1; }
root=$folder/root
trap 'rm -rf --one-file-system "$root"' EXIT
# A signal alone would end dash without that.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

fresh() {
    rm -rf --one-file-system "$root"
    mkdir "$root"
    tar -xf "$folder/$suite.tar" -C "$root"
}
inside() { chroot "$root" "$@" </dev/null; }
get() {
    inside apt-get --quiet --quiet --yes --no-install-recommends "$@" >"$folder/apt.log" 2>&1 ||
        { tail -n 20 "$folder/apt.log" >&2; exit 1; }
}
# With a network of its own, in which only loopback is up, and processes of its own.
offline() {
    unshare --net --pid --fork --kill-child --mount-proc="$root/proc" \
        sh -c 'ip link set lo up && exec "$@"' sh chroot "$root" "$@" </dev/null
}

if ! [ -e "$folder/$suite.tar" ]; then
    echo "== $suite: root"
    rm -rf --one-file-system "$root" # of a run that was killed
    "$(dirname "$0")/../scripts/base-root.sh" "$suite" "$root"
    # A user, since distributions do not build as root.
    inside useradd --create-home builder
    get update
    tar -cf "$folder/$suite.tar.part" -C "$root" .
    mv "$folder/$suite.tar.part" "$folder/$suite.tar"
fi

packages=$folder/$suite
name=$(basename "$archive" .tar.xz)
if ! cmp -s "$archive" "$packages"/*.orig.tar.xz; then
    echo "== $suite: build"
    fresh
    work=/home/builder
    tar -xf "$archive" -C "$root$work"
    cp -r "$root$work/$name/packaging/debian" "$root$work/$name/debian"
    get install dpkg-dev lintian
    get build-dep "$work/$name"
    rm -r "${root:?}$work/$name"
    cp "$archive" "$root$work"
    cp "$(dirname "$0")/deb.sh" "$root$work"
    inside chown -R builder: "$work"
    offline env ${DEB_BUILD_OPTIONS:+"DEB_BUILD_OPTIONS=$DEB_BUILD_OPTIONS"} \
        setpriv --reuid=builder --regid=builder --init-groups env HOME=$work \
        sh -c "cd $work && ./deb.sh $name.tar.xz packages"
    rm -rf "$packages" "$packages.part"
    cp -r "$root$work/packages" "$packages.part"
    mv "$packages.part" "$packages"
fi

echo "== $suite: install, use, remove"
fresh
get install binutils gcc libc6-dev libzstd-dev pkg-config zlib1g-dev
# shellcheck disable=SC2016 # dpkg-query replaces it
state() {
    {
        inside dpkg-query --show --showformat '${Package}\n'
        inside find /usr /etc /opt /var/lib/dpkg/info -xdev -printf '%y %p %l\n'
    } | sort
}
state >"$folder/before"
mkdir "$root/packages"
cp "$packages"/*.deb "$root/packages"
tar -xf "$archive" -C "$root/home"
ours=$(cd "$root" && find packages -name '*.deb' ! -name '*-dbgsym*' -printf '/%p ')
# shellcheck disable=SC2086 # one word a package
get install $ours
offline sh -c "cd /home/$name && packaging/debian/tests/ways-to-link"
# shellcheck disable=SC2046
get purge $(printf %s "$ours" | sed 's|/packages/\([^_]*\)_[^ ]*|\1|g')
get autoremove --purge
state >"$folder/after"
diff "$folder/before" "$folder/after" || { echo "check: this remains of the packages" >&2; exit 1; }
echo "== $suite: all is well"
