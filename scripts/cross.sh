#!/usr/bin/env bash
# Builds the libraries and the command for another architecture, and runs the C programs of tests-c on the libraries in
# QEMU's user emulation: preloaded in the layouts of 3.0 and Bareos, plain and over TLS, and as libdroplet.so.0. Before
# that, the structs are compared with the tables of that architecture, and the command is tried.
#   cross.sh arm64             all of it
#   cross.sh arm64 PROGRAM...  these programs
#
# Any rustc will do that has the standard library of that architecture: rustup's with the target added, or Debian's
# rustc-web with libstd-rust-web-dev of that architecture.
#
# What it does not see: QEMU runs on the memory of this machine. On x86-64 that orders writes more strictly than an ARM
# processor does; the models (make models) are for that.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
arm64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu emulator=qemu-aarch64-static ;;
*) echo 'usage: cross.sh arm64 [PROGRAM...]' >&2; exit 2 ;;
esac
shift
out=target/cross
for tool in $gnu-gcc $emulator; do
    command -v "$tool" >/dev/null || { echo "cross.sh: $tool is missing: scripts/setup.sh cross" >&2; exit 1; }
done
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    [ -d /usr/lib/rustlib/$target ] ||
        { echo "cross.sh: no rustc has a standard library for $target: scripts/setup.sh cross" >&2; exit 1; }
    export RUSTC=/usr/bin/rustc
fi

# Programs that emulation cannot run:
#   allocations* memory  put a heap of their own in libc's place; not tried
#   announced_limits exchange dplx_info  need TCP_INFO, of which QEMU 7.2 gives four bytes
#   fork_busy           hangs in some children: another thread held a lock of QEMU's own at the fork
#   fork_signal         steps through the library with the trap flag of x86
#   lookup_thread       looks for blocked signals, which QEMU keeps to itself, and counts the threads of a child, in which
#                       QEMU has one of its own
#   peers tls_verify    start programs, which the kernel cannot run for the other architecture
#   stacks              has stacks that are smaller than libc allows on aarch64
without='allocations.*|announced_limits|demo|dplx_info|exchange|fork_busy|fork_signal|lookup_thread|memory|peers|stacks'
without+='|tls_verify'

variable=${target^^}
variable=${variable//-/_}
export "CARGO_TARGET_${variable}_LINKER=$gnu-gcc" "CARGO_TARGET_${variable}_RUNNER=$emulator"
export "CC_${target//-/_}=$gnu-gcc" "AR_${target//-/_}=$gnu-ar"
export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_LIBDIR=/usr/lib/$gnu/pkgconfig:/usr/share/pkgconfig
export CC=$gnu-gcc AR=$gnu-ar LD=$gnu-ld OBJCOPY=$gnu-objcopy OBJDUMP=$gnu-objdump

build() {
    cargo build --quiet --release --locked --package libdroplet --package libdroplet_conn --package droplet-conn-command \
        --target $target --target-dir $out
    mkdir -p $out/lib/standalone
    cp --remove-destination $out/$target/release/libdroplet_conn.so $out/lib/libdroplet_conn.so.0
    cp --remove-destination $out/$target/release/libdroplet.so $out/lib/standalone/libdroplet.so.0
    scripts/static-library.sh $out/$target/release/libdroplet_conn.a exports.txt $out/lib/libdroplet_conn_static.a dplx_
    scripts/linker-scripts.sh exports.txt $out/lib
}

# The macros of the structs compare them with the offsets that are derived from libc's sizes; these tests compare them
# with what the original's headers say on that architecture.
structs() {
    cargo test --quiet --locked --lib --package droplet-conn --package droplet --target $target --target-dir $out \
        structs_agree_with_the_reference_tables
}

# The command's own tests, but for those that look into /proc, where they would see the emulator, or have a shell of this
# machine preload the library. The list of libraries that ldconfig has made is that of this machine, too. Then one program
# with the finished libraries. The kernel cannot run it, so the command becomes the emulator, which passes LD_PRELOAD on.
command_works() {
    local tests=(cargo test --quiet --locked --package droplet-conn-command --target "$target" --target-dir "$out")
    "${tests[@]}" --bins --test check --test loader -- --skip this_machine_has_a_list_with_libc
    "${tests[@]}" --test run compiled_program
    local command=("$emulator" "$out/$target/release/droplet-conn" --library "$out/lib/libdroplet_conn.so.0")
    local program=$out/tests-c/3.0/preload/checkout
    programs "../$program"
    "${command[@]}" --version
    "${command[@]}" check "$program" | tee "$out/command"
    grep -qx 'preloading works' "$out/command"
    if ! "${command[@]}" --stats "$emulator" "$program" >"$out/command" 2>&1 ||
        ! grep -q '^droplet-conn .*:$' "$out/command"; then
        cat "$out/command"
        return 1
    fi
}

programs() {
    make --silent --jobs="$(nproc)" --directory=tests-c OUT=../$out/tests-c CONN=../$out/lib WITHOUT=fork_signal "$@"
}

build
structs
# As under valgrind: emulation takes several times as long, and checks of time do not count.
export OUT=../$out/tests-c CONN=../$out/lib EMULATOR=$emulator JOBS=${JOBS:-$((2 * $(nproc)))}
export DROPLET_TEST_SECONDS=${DROPLET_TEST_SECONDS:-600}
unset MAKEFLAGS MAKELEVEL # the make that runs this has no say in what follows
if [ $# != 0 ]; then
    programs "${@/#/../$out/tests-c/3.0/preload/}" "${@/#/../$out/tests-c/bareos/preload/}"
    MODES=preload tests-c/run.sh "$@"
    exit
fi
command_works
programs preload alone
all=$(printf '%s\n' tests-c/*.c tests-c/alone/*.c | sed 's|.*/||; s|\.c$||' | grep -vxE "$without")
failed=0
# shellcheck disable=SC2086 # names without spaces
MODES='preload alone' tests-c/run.sh $all || failed=1
# shellcheck disable=SC2086,SC2046
DROPLET_TEST_TLS=1 MODES=preload tests-c/run.sh $(printf '%s\n' $all | grep -v '^tls_') || failed=1
exit $failed
