#!/bin/sh
# Installs the Debian packages that are needed and missing; without root, says how.
#   setup.sh demo       to build the libraries and run the demo
#   setup.sh test       to run all tests
#   setup.sh soak       for the long run
#   setup.sh memory     for AddressSanitizer and failed allocations
#   setup.sh threads    for ThreadSanitizer
#   setup.sh cross      for the libraries on arm64
#   setup.sh fuzz       for the fuzzer; setup.sh licences for cargo-deny
#   setup.sh roots      for roots of other releases of Debian; setup.sh distribution for the tests in one
#   setup.sh coverage   for coverage; setup.sh mutants for cargo-mutants
#   setup.sh deb        for Debian packages; setup.sh rpm for RPMs
# Tools of Cargo's go to target/tools.
set -eu
build='binutils libssl-dev pkg-config'
programs= # what may come from elsewhere than Debian, as PROGRAM:PACKAGE
foreign=  # architecture of Debian, whose packages are needed too
tool=     # of Cargo's, which has its checksum
case ${1:-} in
demo) needed=$build ;;
test)
    needed="$build abigail-tools g++ groff-base mandoc nginx-light openssl python3-prometheus-client stunnel4 strace valgrind"
    programs='python3:python3 go:golang-go node:nodejs npm:npm' # what the examples are written in
    ;;
soak) needed="$build openssl nginx-light haproxy stunnel4" programs=python3:python3 ;;
memory) needed="$build openssl nginx-light stunnel4" ;;
# With the source of its standard library, which rustup's has not.
threads) needed="$build openssl rustc-web rust-web-src" ;;
deb) needed="$build debhelper dpkg-dev lintian" ;;
rpm) needed="$build rpm" ;;
roots) needed='debootstrap iproute2' ;;
# dpkg has to know the architecture before apt-get can find its packages.
cross)
    needed="$build gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static rustc-web libstd-rust-web-dev:arm64
        libssl-dev:arm64"
    foreign=arm64
    ;;
fuzz) needed="$build g++" tool=cargo-fuzz@0.13.2 ;;
licences) needed=$build tool=cargo-deny@0.20.2 ;;
mutants) needed=$build tool=cargo-mutants@27.1.0 ;;
distribution) needed="$build abigail-tools g++ libzstd-dev zlib1g-dev strace openssl nginx-light stunnel4 python3 python3-prometheus-client" ;;
coverage)
    # The version of LLVM that rustc has.
    llvm=$(rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    needed="$build openssl nginx-light stunnel4 python3-prometheus-client llvm-$llvm"
    ;;
*)
    echo 'usage: setup.sh demo|test|soak|memory|threads|cross|fuzz|licences|roots|distribution|coverage|mutants|deb|rpm' >&2
    exit 2
    ;;
esac

for program in cargo cc; do
    command -v $program >/dev/null ||
        { echo "setup: $program is missing: install a Rust toolchain and a C compiler" >&2; exit 1; }
done
for program in $programs; do
    command -v "${program%:*}" >/dev/null || needed="$needed ${program#*:}"
done

# A library may be installed for another architecture too, or only for that one.
installed() {
    case $1 in *:*) architecture=${1#*:} ;; *) architecture=$(dpkg --print-architecture) ;; esac
    dpkg-query --show --showformat='${db:Status-Status} ${Architecture}\n' "$1" 2>/dev/null |
        grep -qxF -e "installed $architecture" -e 'installed all'
}

install_packages() {
    missing=
    for package in $needed; do
        installed "$package" || missing="$missing $package"
    done
    missing=${missing# }
    [ -n "$missing" ] || { echo 'setup: nothing to install'; return 0; }
    if [ "$(id -u)" != 0 ]; then
        echo 'setup: packages are missing; run' >&2
        [ -z "$foreign" ] || printf '    sudo dpkg --add-architecture %s && sudo apt-get update\n' "$foreign" >&2
        printf '    sudo apt-get install %s\n' "$missing" >&2
        exit 1
    fi
    echo "setup: installing $missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # nothing of it is to be started
    [ -z "$foreign" ] || dpkg --add-architecture "$foreign"
    # shellcheck disable=SC2086 # one word a package
    { apt-get update && apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1 </dev/null ||
        { tail -n 20 "$log" >&2; echo "setup: apt-get failed; all it said is in $log" >&2; exit 1; }
    rm -f "$log"
}

if command -v dpkg >/dev/null; then
    install_packages
else
    echo "setup: not Debian: install what these Debian packages contain: $needed"
fi

# In a folder of the project: a developer may have another version.
if [ -n "$tool" ] && ! grep -qsF "\"${tool%@*} ${tool#*@} " target/tools/.crates.toml; then
    echo "setup: installing $tool, which takes minutes"
    cargo install --quiet --locked --root target/tools "$tool" >&2
fi

# Without it the test of the example skips itself.
if [ "$1" = test ] && ! [ examples/node/node_modules -nt examples/node/package-lock.json ]; then
    echo 'setup: installing what the example for Node.js needs'
    npm ci --prefix examples/node --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
        echo 'setup: npm failed: that example is not tested' >&2
fi
