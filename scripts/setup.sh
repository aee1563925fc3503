#!/bin/sh
# Installs the Debian packages that are needed and missing; without root, says how.
#   setup.sh demo    to build the libraries and run the demo
#   setup.sh test    to run all tests
#   setup.sh proof   to run what CONTRIBUTING.md calls proofs, such as `make asan`
#   setup.sh proof   to run what CONTRIBUTING.md calls proofs, such as `make tsan`
#   setup.sh proof   to run the fuzzer; tools of Cargo's go to target/tools
#   setup.sh proof   to run the fuzzer and check licences; tools of Cargo's go to target/tools
set -eu
build='binutils libssl-dev pkg-config'
tools='cargo-fuzz@0.13.2 cargo-deny@0.20.2' # Cargo has their checksums
case ${1:-} in
demo) needed=$build ;;
test) needed="$build g++ valgrind strace openssl nginx-light stunnel4 python3-prometheus-client" ;;
proof) needed="$build openssl nginx-light stunnel4" ;;
# rustc-web: with the source of its standard library, which rustup's has not.
proof) needed="$build openssl rustc-web rust-web-src" ;;
proof) needed="$build g++" ;;
#   setup.sh proof   to measure coverage and test mutants; tools of Cargo's go to target/tools
set -eu
build='binutils libssl-dev pkg-config'
tools=cargo-mutants@27.1.0 # Cargo has its checksum
case ${1:-} in
demo) needed=$build ;;
test) needed="$build g++ valgrind strace openssl nginx-light stunnel4 python3-prometheus-client" ;;
proof)
    # The version of LLVM that rustc has.
    llvm=$(rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    needed="$build openssl nginx-light stunnel4 python3-prometheus-client llvm-$llvm"
    ;;
*) echo 'usage: setup.sh demo|test|proof' >&2; exit 2 ;;
#   setup.sh soak    to run the long run
set -eu
build='binutils libssl-dev pkg-config'
tools= # what may come from elsewhere than Debian, as PROGRAM:PACKAGE
case ${1:-} in
demo) needed=$build ;;
test)
    needed="$build g++ valgrind strace openssl nginx-light stunnel4 python3-prometheus-client"
    tools='python3:python3 go:golang-go node:nodejs npm:npm' # what the examples are written in
    ;;
soak)
    needed="$build openssl nginx-light haproxy stunnel4"
    tools=python3:python3
    ;;
*) echo 'usage: setup.sh demo|test|soak' >&2; exit 2 ;;
esac

for tool in cargo cc; do
    command -v $tool >/dev/null || { echo "setup: $tool is missing: install a Rust toolchain and a C compiler" >&2; exit 1; }
done
# What the examples are written in, from wherever it comes.
[ "$1" != test ] || for tool in python3:python3 go:golang-go node:nodejs npm:npm; do
for tool in $tools; do
    command -v "${tool%:*}" >/dev/null || needed="$needed ${tool#*:}"
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

# In a folder of the project: a developer may have other versions.
[ "$1" != proof ] || for tool in $tools; do
    case $(target/tools/bin/"${tool%@*}" --version 2>/dev/null) in
    *" ${tool#*@}") ;;
    *)
        echo "setup: installing $tool, which takes minutes"
        cargo install --quiet --locked --root target/tools "$tool" >&2
        ;;
    esac
    if ! grep -qsF "\"${tool%@*} ${tool#*@} " target/tools/.crates.toml; then
        echo "setup: installing $tool, which takes minutes"
        cargo install --quiet --locked --root target/tools "$tool" >&2
    fi
done

# Without it the test of the example skips itself.
if [ "$1" = test ] && ! [ examples/node/node_modules -nt examples/node/package-lock.json ]; then
    echo 'setup: installing what the example for Node.js needs'
    npm ci --prefix examples/node --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
        echo 'setup: npm failed: that example is not tested' >&2
fi
