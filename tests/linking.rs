//! Tests of linking: a program that is linked by the commands of the documentation uses this library's connections,
//! although it only calls functions of Droplet's, as real programs do. It is linked with the stand-in for Droplet in
//! tests-c/host, whose own connection subsystem aborts.

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::loopback::Server;
use common::{droplets_names, empty_folder, make, outcome, root, run, shared_library, write};

/// A program that calls no function of the connection subsystem.
const PROGRAM: &str = r#"
#include <droplet.h>

int main(int argc, char **argv) {
    dpl_ctx_t *ctx;
    dpl_status_t status;

    dpl_init();
    ctx = dpl_ctx_new(argv[argc - 1], "one");
    if (!ctx)
        return 2;
    status = dpl_put(ctx, "bucket", "path", "", 0);
    printf("status %d\n", status);
    dpl_ctx_free(ctx);
    dpl_free();
    return status != DPL_SUCCESS;
}
"#;

/// A program that loads the other program, which is linked as a plugin.
const LOADER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    int (*plugin_main)(int, char **) = plugin ? (int (*)(int, char **))dlsym(plugin, "main") : NULL;

    if (!plugin_main)
        fprintf(stderr, "%s\n", dlerror());
    return plugin_main ? plugin_main(argc, argv) : 3;
}
"#;

/// Libraries that the static libraries need.
const NEEDED: [&str; 5] = ["-lssl", "-lcrypto", "-lpthread", "-ldl", "-lm"];

/// The object of the program, the folders of the libraries that it is linked with, and a server.
struct Setup {
    folder: PathBuf,
    object: PathBuf,
    /// Folder with the stand-in for Droplet.
    host: PathBuf,
    /// Folder with this library.
    ours: PathBuf,
    server: Server,
}

impl Setup {
    fn new(name: &str) -> Setup {
        let ours = shared_library().parent().expect("a folder").to_owned();
        make(&["c-host"]);
        let folder = empty_folder(&format!("linking-{name}"));
        let host = root().join("target/tests-c/3.0");
        let server = Server::plain();
        let profile = format!("backend = posix\nhost = {}\npricing_dir = \"\"\n", server.address);
        write(&folder, "one.profile", &profile);
        let setup = Setup { object: folder.join("program.o"), folder, host, ours, server };
        setup.compile(&[]);
        setup
    }

    fn compile(&self, flags: &[&str]) {
        run(Command::new("cc")
            .args(["-O2", "-D_GNU_SOURCE", "-fPIC"])
            .args(flags)
            .arg("-I")
            .arg(root().join("tests-c/host"))
            .arg("-c")
            .arg(write(&self.folder, "program.c", PROGRAM))
            .arg("-o")
            .arg(&self.object));
    }

    /// Links the program: `cc FLAGS program.o LIBRARIES`.
    fn link(&self, flags: &[&str], libraries: &[String]) -> PathBuf {
        let program = self.folder.join("program");
        // The program of an earlier link must not be taken for this one.
        let _ = fs::remove_file(&program);
        run(self.linker(flags, libraries).arg("-o").arg(&program));
        program
    }

    /// Returns the command that links the program, and finds both libraries.
    fn linker(&self, flags: &[&str], libraries: &[String]) -> Command {
        let mut linker = Command::new("cc");
        linker
            .args(flags)
            .arg(&self.object)
            .args(libraries)
            .env("LIBRARY_PATH", env::join_paths([&self.host, &self.ours]).expect("paths"))
            .current_dir(&self.folder);
        linker
    }

    /// Runs a program, which finds both libraries.
    fn outcome(&self, program: &mut Command) -> Output {
        let libraries = env::join_paths([&self.ours, &self.host]).expect("paths");
        outcome(program.arg(&self.folder).env("LD_LIBRARY_PATH", libraries))
    }

    /// Asserts that a program succeeds with one connection to the server.
    fn assert_good(&self, program: &mut Command, what: &str) {
        let before = self.server.accepted();
        let Output { status, stdout, stderr } = self.outcome(program);
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success() && stdout == "status 0\n", "{what}: {status}\n{stdout}{stderr}");
        assert_eq!(self.server.accepted(), before + 1, "{what}");
    }

    /// Asserts that a program needs the shared library, and that Droplet's calls are bound to it.
    fn assert_shared(&self, program: &Path, what: &str) {
        let dynamic = run(Command::new("readelf").arg("-dW").arg(program));
        assert!(dynamic.contains("Shared library: [libdroplet_conn.so.0]"), "{what}: {dynamic}");
        self.assert_good(&mut Command::new(program), what);
        let traced = self.outcome(Command::new(program).env("LD_DEBUG", "bindings").env("LD_BIND_NOW", "1"));
        let trace = String::from_utf8_lossy(&traced.stderr);
        let to_us = trace.lines().any(|line| {
            line.contains("libdroplet.so.0 [0] to ")
                && line.contains("libdroplet_conn.so.0 [0]: normal symbol `dpl_try_connect'")
        });
        assert!(to_us, "{what}: {trace}");
    }

    /// Asserts that a program contains this library, and not the stand-in's connection subsystem.
    fn assert_static(&self, program: &Path, what: &str) {
        let names = run(Command::new("nm").args(["--defined-only", "--format=just-symbols"]).arg(program));
        for name in droplets_names() {
            assert!(names.lines().any(|line| line == name), "{what}: no {name}");
        }
        let text = fs::read(program).expect("readable");
        let text_of_the_stand_in = b"stand-in's own";
        assert!(
            !text.windows(text_of_the_stand_in.len()).any(|part| part == text_of_the_stand_in),
            "{what}: the stand-in's connection subsystem is in it too"
        );
        self.assert_good(&mut Command::new(program), what);
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// `-ldroplet_conn -ldroplet`
fn shared() -> Vec<String> {
    owned(&["-ldroplet_conn", "-ldroplet"])
}

/// `-ldroplet_conn -ldroplet -lpthread -ldl -lm`, and what OpenSSL's static libraries need.
fn shared_names_static() -> Vec<String> {
    let openssl = run(Command::new("pkg-config").args(["--static", "--libs", "openssl"]));
    let openssl = openssl.split_whitespace().map(str::to_owned).collect();
    [shared(), owned(&NEEDED), openssl].concat()
}

/// `libdroplet_conn.a libdroplet.a -lssl -lcrypto -lpthread -ldl -lm`
fn archives(setup: &Setup) -> Vec<String> {
    let path = |folder: &Path, name: &str| folder.join(name).display().to_string();
    let files = [path(&setup.ours, "libdroplet_conn.a"), path(&setup.host, "libdroplet.a")];
    [files.to_vec(), owned(&NEEDED)].concat()
}

/// Returns the compiler's options for the other linkers that are installed.
fn other_linkers() -> Vec<&'static str> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_here = |name: &str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let known = [("ld.gold", "-fuse-ld=gold"), ("ld.lld", "-fuse-ld=lld"), ("mold", "-fuse-ld=mold")];
    let (here, missing): (Vec<_>, Vec<_>) = known.into_iter().partition(|(name, _)| is_here(name));
    for (name, _) in missing {
        println!("skipped: there is no {name}");
    }
    here.into_iter().map(|(_, flag)| flag).collect()
}

#[test]
fn shared_libraries_with_the_documented_command() {
    let setup = Setup::new("shared");
    let flag_sets: [&[&str]; 6] = [
        &[],
        &["-no-pie"],
        &["-Wl,--as-needed"],
        &["-Wl,--gc-sections", "-Wl,--no-undefined"],
        &["-Wl,--gc-sections", "-no-pie", "-Wl,-z,now"],
        &["-Wl,-O1", "-Wl,--as-needed", "-Wl,-z,relro", "-Wl,-z,now", "-rdynamic"],
    ];
    for flags in flag_sets {
        setup.assert_shared(&setup.link(flags, &shared()), &format!("{flags:?}"));
    }
    let twice = [shared(), shared()].concat();
    setup.assert_shared(&setup.link(&[], &twice), "named twice");
}

#[test]
fn static_libraries_with_the_documented_command() {
    let setup = Setup::new("static");
    for flags in [&[][..], &["-no-pie"], &["-Wl,--gc-sections"]] {
        setup.assert_static(&setup.link(flags, &archives(&setup)), &format!("archives {flags:?}"));
    }
    for flags in [&["-static"][..], &["-static-pie"], &["-static", "-Wl,--gc-sections"]] {
        setup.assert_static(&setup.link(flags, &shared_names_static()), &format!("{flags:?}"));
    }
    let twice = [archives(&setup), archives(&setup)].concat();
    setup.assert_static(&setup.link(&[], &twice), "named twice");
}

/// With Droplet's library first, its own connection subsystem would be linked. The linker refuses that.
#[test]
fn static_libraries_in_the_wrong_order_are_refused() {
    let setup = Setup::new("order");
    let mut libraries = archives(&setup);
    libraries.swap(0, 1);
    let refused = outcome(setup.linker(&[], &libraries).arg("-o").arg(setup.folder.join("program")));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && complaint.contains("multiple definition"), "{complaint}");
}

/// rustc copies the members of a static library, so it needs an archive, not a linker script.
#[test]
fn archive_can_be_linked_into_a_rust_program() {
    let folder = empty_folder("linking-rust");
    let source = "#[link(name = \"droplet_conn_static\", kind = \"static\")]\n\
                  #[link(name = \"ssl\")]\n#[link(name = \"crypto\")]\n\
                  unsafe extern \"C\" { safe fn dplx_version() -> *const std::ffi::c_char; }\n\
                  fn main() { assert!(!dplx_version().is_null()) }\n";
    let program = folder.join("program");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    run(Command::new(rustc)
        .args(["--edition=2024", "-L"])
        .arg(shared_library().parent().expect("a folder"))
        .arg(write(&folder, "program.rs", source))
        .arg("-o")
        .arg(&program));
    run(&mut Command::new(program));
}

#[test]
fn link_time_optimisation() {
    let setup = Setup::new("lto");
    setup.compile(&["-flto"]);
    let flags = ["-flto", "-O2"];
    setup.assert_shared(&setup.link(&flags, &shared()), "shared");
    setup.assert_static(&setup.link(&flags, &archives(&setup)), "static");
}

/// The static library with a shared Droplet: Droplet's calls must find all functions of this library in the program.
#[test]
fn static_library_with_a_shared_droplet() {
    let setup = Setup::new("mixed");
    let libraries =
        [owned(&["-Wl,-Bstatic", "-ldroplet_conn", "-Wl,-Bdynamic", "-ldroplet"]), owned(&NEEDED)].concat();
    for flags in [&[][..], &["-Wl,--gc-sections"]] {
        setup.assert_static(&setup.link(flags, &libraries), &format!("{flags:?}"));
    }
}

#[test]
fn other_linkers_give_the_same_result() {
    let setup = Setup::new("linkers");
    let ours = format!("-L{}", setup.ours.display());
    for linker in other_linkers() {
        for more in ["-Wl,--as-needed", "-Wl,--gc-sections"] {
            let flags = [linker, more];
            setup.assert_shared(&setup.link(&flags, &shared()), &format!("shared {flags:?}"));
            // mold looks for the files of a linker script in the folders of -L, not in the folder of the script.
            let flags = [linker, more, &ours];
            setup.assert_static(&setup.link(&flags, &archives(&setup)), &format!("static {flags:?}"));
        }
    }
}

#[test]
fn through_pkg_config() {
    let mut setup = Setup::new("pkg-config");
    let prefix = setup.folder.join("prefix");
    make(&["install", &format!("PREFIX={}", prefix.display())]);
    setup.ours = prefix.join("lib");
    let pkgconfig = setup.ours.join("pkgconfig");
    // Droplet's own .pc file names the libraries that it needs.
    let droplet =
        "Name: droplet\nDescription: stand-in\nVersion: 3.0\nRequires: libcrypto\nLibs: -ldroplet\n";
    write(&pkgconfig, "droplet-3.0.pc", &format!("{droplet}Libs.private: -lssl -lcrypto -lpthread\n"));
    let said = |arguments: &[&str]| -> Vec<String> {
        let said = run(Command::new("pkg-config").args(arguments).env("PKG_CONFIG_PATH", &pkgconfig));
        said.split_whitespace().map(str::to_owned).collect()
    };

    let shared = [said(&["--cflags", "--libs", "droplet_conn"]), owned(&["-ldroplet"])].concat();
    setup.assert_shared(&setup.link(&[], &shared), "-ldroplet");
    let shared = said(&["--cflags", "--libs", "droplet_conn", "droplet-3.0"]);
    setup.assert_shared(&setup.link(&[], &shared), "both through pkg-config");
    let all = said(&["--static", "--libs", "droplet_conn", "droplet-3.0"]);
    setup.assert_static(&setup.link(&["-static"], &all), "static, both through pkg-config");
    let ours = said(&["--static", "--libs", "droplet_conn"]);
    let all = [ours, owned(&["-ldroplet"]), owned(&NEEDED)].concat();
    setup.assert_static(&setup.link(&["-static"], &all), "static");
}

/// A plugin of a daemon is linked with both libraries.
#[test]
fn plugin_loads_the_library() {
    let setup = Setup::new("plugin");
    let plugin = setup.link(&["-shared"], &shared());
    let loader = setup.folder.join("loader");
    run(Command::new("cc").arg(write(&setup.folder, "loader.c", LOADER)).args(["-ldl", "-o"]).arg(&loader));
    setup.assert_good(Command::new(loader).arg(plugin), "plugin");
}

/// Only `libdroplet_conn.so.0` can be preloaded. `libdroplet_conn.so` is a linker script, and the loader says so.
#[test]
fn preloading_with_the_documented_name() {
    let setup = Setup::new("preload");
    let program = setup.link(&[], &owned(&["-ldroplet"]));
    setup.assert_good(Command::new(&program).env("LD_PRELOAD", "libdroplet_conn.so.0"), "preloaded");
    let refused = setup.outcome(Command::new(&program).env("LD_PRELOAD", "libdroplet_conn.so"));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(complaint.contains("'libdroplet_conn.so' from LD_PRELOAD cannot be preloaded"), "{complaint}");
    assert!(complaint.contains("stand-in's own"), "{complaint}");
}

/// The command finds the library where the build has put it.
#[test]
fn preloading_by_the_command() {
    let setup = Setup::new("command");
    let program = setup.link(&[], &owned(&["-ldroplet"]));
    let Some(command) = common::command() else { return println!("skipped: the command was not built") };
    setup.assert_good(Command::new(&command).arg(&program), "by the command");
    let said = run(Command::new(&command).arg("check").arg(&program).env("LD_LIBRARY_PATH", &setup.host));
    assert!(said.ends_with("preloading works\n") && said.contains(&*setup.host.to_string_lossy()), "{said}");
}

/// An installation can be moved to another folder.
#[test]
fn installed_files_have_no_paths() {
    let setup = Setup::new("moved");
    let stage = setup.folder.join("stage");
    make(&["install", "PREFIX=/usr", "LIBDIR=/usr/lib/somewhere", &format!("DESTDIR={}", stage.display())]);
    let installed = stage.join("usr/lib/somewhere");
    for name in ["libdroplet_conn.so", "libdroplet_conn.a"] {
        let script = fs::read_to_string(installed.join(name)).expect("a linker script");
        assert!(!script.contains("/usr") && !script.contains("target"), "{script}");
    }
    let object = fs::read(installed.join("libdroplet_conn_needed.o")).expect("an object");
    assert!(
        !String::from_utf8_lossy(&object).contains(&*root().to_string_lossy()),
        "the object has the path of a folder"
    );
    let moved = Setup { ours: setup.folder.join("moved"), ..setup };
    fs::rename(installed, &moved.ours).expect("one file system");
    moved.assert_shared(&moved.link(&[], &shared()), "moved");
    moved.assert_static(&moved.link(&[], &archives(&moved)), "moved");
}
