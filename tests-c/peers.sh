#!/bin/sh
# Runs the tests against servers of other makes. What is missing of them is
# installed, if this is Debian (or the like) and root; otherwise it is skipped.
# Variables as for run.sh.
set -u
cd "$(dirname "$0")" || exit 1
PATH=$PATH:/usr/sbin:/sbin

missing=
command -v openssl >/dev/null || missing="$missing openssl"
command -v nginx >/dev/null || missing="$missing nginx-light"
command -v stunnel4 >/dev/null || missing="$missing stunnel4"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        # Nothing is to listen on the system's own ports: the tests start what they need.
        { apt-get update && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends \
            $missing; } >&2 || echo "peers.sh: cannot install$missing: their tests are skipped" >&2
    else
        echo "peers.sh: not installed, so their tests are skipped:$missing" >&2
    fi
fi
exec ./run.sh peers
