#!/bin/sh
# Installs the Debian packages that are needed and missing; without root, says how.
#   setup.sh demo       to build the libraries and run the demo
#   setup.sh test       to run all tests
#   setup.sh soak       for the long run
#   setup.sh memory     for AddressSanitizer and failed allocations
#   setup.sh threads    for ThreadSanitizer
#   setup.sh fuzz       for the fuzzer; setup.sh licences for cargo-deny
#   setup.sh roots      for roots of other releases of Debian; setup.sh distribution for the tests in one
#   setup.sh coverage   for coverage; setup.sh mutants for cargo-mutants
#   setup.sh deb        for Debian packages; setup.sh rpm for RPMs
# Tools of Cargo's go to target/tools.
set -eu
build='binutils libssl-dev pkg-config'
programs= # what may come from elsewhere than Debian, as PROGRAM:PACKAGE
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
roots) needed="debootstrap iproute2" ;;
fuzz) needed="$build g++" tool=cargo-fuzz@0.13.2 ;;
licences) needed=$build tool=cargo-deny@0.20.2 ;;
mutants) needed=$build tool=cargo-mutants@27.1.0 ;;
distribution) needed="$build g++ strace openssl nginx-light stunnel4 python3 python3-prometheus-client" ;;
coverage)
    # The version of LLVM that rustc has.
    llvm=$(rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    needed="$build openssl nginx-light stunnel4 python3-prometheus-client llvm-$llvm"
    ;;
*)
    echo 'usage: setup.sh demo|test|soak|memory|threads|fuzz|licences|roots|distribution|deb|rpm|coverage|mutants' >&2
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
command -v dpkg >/dev/null || { echo "setup: not Debian; what is needed is what Debian calls $needed"; exit 0; }

missing=
for package in $needed; do
    dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed$' || missing="$missing $package"
done
missing=${missing# }
if [ -z "$missing" ]; then
    echo 'setup: nothing to install'
elif [ "$(id -u)" != 0 ]; then
    printf 'setup: packages are missing; run\n    sudo apt-get install %s\n' "$missing" >&2
    exit 1
else
    echo "setup: installing $missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # nothing of it is to be started
    # shellcheck disable=SC2086 # one word a package
    { apt-get update && apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1 </dev/null ||
        { tail -n 20 "$log" >&2; echo "setup: apt-get failed; all it said is in $log" >&2; exit 1; }
    rm -f "$log"
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
