#!/bin/sh
# Makes a root folder of a release of Debian, with no more in it than apt. Its mirror, proxy and hosts are those that apt has
# here.
#   base-root.sh SUITE FOLDER    there is no such folder yet
# Needs root and debootstrap. root.sh and packaging/check.sh begin with it.
set -eu
suite=$1 root=$2 log=$2.log
# shellcheck disable=SC2016 # apt's own variable
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || { echo 'base-root: apt has no mirror of Debian' >&2; exit 1; }
echo "base-root: making a root of $suite, which takes minutes" >&2
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; echo "base-root: debootstrap failed; all it said is in $log" >&2; exit 1; }
rm "$log"
apt-config dump | grep -i '^Acquire::.*proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
cp /etc/hosts /etc/resolv.conf "$root/etc"
