//! Linked by the commands of the README, a program runs on our connections although it calls Droplet's own
//! functions only, as real programs do. The host's connections are poison: a program that runs on them aborts.

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::loopback::Server;
use common::{droplets_names, empty_folder, make, outcome, root, run, shared_library, write};

/// A program that names no function of the connection subsystem.
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

/// A program that loads the other one, linked as a plugin.
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

/// Libraries that static ones need, as in the README.
const NEEDED: [&str; 5] = ["-lssl", "-lcrypto", "-lpthread", "-ldl", "-lm"];

/// The program's object, what it is linked with, and a server that it talks to.
struct Bench {
    folder: PathBuf,
    object: PathBuf,
    /// Where a linker finds the stand-in for Droplet.
    host: PathBuf,
    /// Where it finds us.
    ours: PathBuf,
    server: Server,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let ours = shared_library().parent().expect("a folder").to_owned();
        make(&["c-host"]);
        let folder = empty_folder(&format!("linking-{name}"));
        let host = root().join("target/tests-c/3.0");
        let server = Server::plain();
        let profile = format!("backend = posix\nhost = {}\npricing_dir = \"\"\n", server.address);
        write(&folder, "one.profile", &profile);
        let bench = Bench { object: folder.join("program.o"), folder, host, ours, server };
        bench.compile(&[]);
        bench
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

    /// Links the program: `cc FLAGS prog.o LIBRARIES`, where a linker finds Droplet and us.
    fn link(&self, flags: &[&str], libraries: &[String]) -> PathBuf {
        let program = self.folder.join("program");
        // Of an earlier link nothing must be left.
        let _ = fs::remove_file(&program);
        run(self.linker(flags, libraries).arg("-o").arg(&program));
        program
    }

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

    /// Runs a program where Droplet and we are installed.
    fn outcome(&self, program: &mut Command) -> Output {
        let libraries = env::join_paths([&self.ours, &self.host]).expect("paths");
        outcome(program.arg(&self.folder).env("LD_LIBRARY_PATH", libraries))
    }

    fn assert_good(&self, program: &mut Command, what: &str) {
        let before = self.server.accepted();
        let Output { status, stdout, stderr } = self.outcome(program);
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success() && stdout == "status 0\n", "{what}: {status}\n{stdout}{stderr}");
        assert_eq!(self.server.accepted(), before + 1, "{what}");
    }

    /// A program that is linked with the shared libraries: we are needed, and Droplet's calls lead to us.
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

    /// A program that has us in it, and of the host's connections nothing.
    fn assert_static(&self, program: &Path, what: &str) {
        let names = run(Command::new("nm").args(["--defined-only", "--format=just-symbols"]).arg(program));
        for name in droplets_names() {
            assert!(names.lines().any(|line| line == name), "{what}: no {name}");
        }
        let text = fs::read(program).expect("readable");
        let poison = b"stand-in's own";
        assert!(!text.windows(poison.len()).any(|part| part == poison), "{what}: the host's are in it, too");
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

/// `-ldroplet_conn -ldroplet -lssl -lcrypto -lpthread -ldl -lm`
fn shared_names_static() -> Vec<String> {
    [shared(), owned(&NEEDED)].concat()
}

/// `libdroplet_conn.a libdroplet.a -lssl -lcrypto -lpthread -ldl -lm`
fn archives(bench: &Bench) -> Vec<String> {
    let path = |folder: &Path, name: &str| folder.join(name).display().to_string();
    let files = [path(&bench.ours, "libdroplet_conn.a"), path(&bench.host, "libdroplet.a")];
    [files.to_vec(), owned(&NEEDED)].concat()
}

/// Linkers other than the compiler's own that are here, as the compiler is told to use them.
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
fn shared_libraries_by_the_documented_command() {
    let bench = Bench::new("shared");
    let flag_sets: [&[&str]; 6] = [
        &[],
        &["-no-pie"],
        &["-Wl,--as-needed"],
        &["-Wl,--gc-sections", "-Wl,--no-undefined"],
        &["-Wl,--gc-sections", "-no-pie", "-Wl,-z,now"],
        &["-Wl,-O1", "-Wl,--as-needed", "-Wl,-z,relro", "-Wl,-z,now", "-rdynamic"],
    ];
    for flags in flag_sets {
        bench.assert_shared(&bench.link(flags, &shared()), &format!("{flags:?}"));
    }
    let twice = [shared(), shared()].concat();
    bench.assert_shared(&bench.link(&[], &twice), "named twice");
}

#[test]
fn static_libraries_by_the_documented_command() {
    let bench = Bench::new("static");
    for flags in [&[][..], &["-no-pie"], &["-Wl,--gc-sections"]] {
        bench.assert_static(&bench.link(flags, &archives(&bench)), &format!("archives {flags:?}"));
    }
    for flags in [&["-static"][..], &["-static-pie"], &["-static", "-Wl,--gc-sections"]] {
        bench.assert_static(&bench.link(flags, &shared_names_static()), &format!("{flags:?}"));
    }
    let twice = [archives(&bench), archives(&bench)].concat();
    bench.assert_static(&bench.link(&[], &twice), "named twice");
}

/// Droplet's first would mean Droplet's connections: that is said.
#[test]
fn static_libraries_in_the_wrong_order_are_refused() {
    let bench = Bench::new("order");
    let mut libraries = archives(&bench);
    libraries.swap(0, 1);
    let refused = outcome(bench.linker(&[], &libraries).arg("-o").arg(bench.folder.join("program")));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && complaint.contains("multiple definition"), "{complaint}");
}

/// Rust puts the members of a static library into its own, and wants an archive for that.
#[test]
fn archive_goes_into_a_rust_program() {
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
    let bench = Bench::new("lto");
    bench.compile(&["-flto"]);
    let flags = ["-flto", "-O2"];
    bench.assert_shared(&bench.link(&flags, &shared()), "shared");
    bench.assert_static(&bench.link(&flags, &archives(&bench)), "static");
}

/// A static library of ours beside a shared Droplet, whose calls have to find all of our functions in the program.
#[test]
fn ours_static_and_droplet_shared() {
    let bench = Bench::new("mixed");
    let libraries =
        [owned(&["-Wl,-Bstatic", "-ldroplet_conn", "-Wl,-Bdynamic", "-ldroplet"]), owned(&NEEDED)].concat();
    for flags in [&[][..], &["-Wl,--gc-sections"]] {
        bench.assert_static(&bench.link(flags, &libraries), &format!("{flags:?}"));
    }
}

#[test]
fn other_linkers_do_the_same() {
    let bench = Bench::new("linkers");
    let ours = format!("-L{}", bench.ours.display());
    for linker in other_linkers() {
        for more in ["-Wl,--as-needed", "-Wl,--gc-sections"] {
            let flags = [linker, more];
            bench.assert_shared(&bench.link(&flags, &shared()), &format!("shared {flags:?}"));
            // mold looks for what a script names where -L says, and not beside the script.
            let flags = [linker, more, &ours];
            bench.assert_static(&bench.link(&flags, &archives(&bench)), &format!("static {flags:?}"));
        }
    }
}

#[test]
fn through_pkg_config() {
    let mut bench = Bench::new("pkg-config");
    let prefix = bench.folder.join("prefix");
    make(&["install", &format!("PREFIX={}", prefix.display())]);
    bench.ours = prefix.join("lib");
    let pkgconfig = bench.ours.join("pkgconfig");
    // Droplet has one of its own, with what it needs.
    let droplet =
        "Name: droplet\nDescription: stand-in\nVersion: 3.0\nRequires: libcrypto\nLibs: -ldroplet\n";
    write(&pkgconfig, "droplet-3.0.pc", &format!("{droplet}Libs.private: -lssl -lcrypto -lpthread\n"));
    let said = |arguments: &[&str]| -> Vec<String> {
        let said = run(Command::new("pkg-config").args(arguments).env("PKG_CONFIG_PATH", &pkgconfig));
        said.split_whitespace().map(str::to_owned).collect()
    };

    let shared = [said(&["--cflags", "--libs", "droplet_conn"]), owned(&["-ldroplet"])].concat();
    bench.assert_shared(&bench.link(&[], &shared), "-ldroplet");
    let shared = said(&["--cflags", "--libs", "droplet_conn", "droplet-3.0"]);
    bench.assert_shared(&bench.link(&[], &shared), "both through pkg-config");
    let all = said(&["--static", "--libs", "droplet_conn", "droplet-3.0"]);
    bench.assert_static(&bench.link(&["-static"], &all), "static, both through pkg-config");
    let ours = said(&["--static", "--libs", "droplet_conn"]);
    let all = [ours, owned(&["-ldroplet"]), owned(&NEEDED)].concat();
    bench.assert_static(&bench.link(&["-static"], &all), "static");
}

/// A plugin is linked with both libraries, as daemons load them.
#[test]
fn plugin_brings_us_along() {
    let bench = Bench::new("plugin");
    let plugin = bench.link(&["-shared"], &shared());
    let loader = bench.folder.join("loader");
    run(Command::new("cc").arg(write(&bench.folder, "loader.c", LOADER)).args(["-ldl", "-o"]).arg(&loader));
    bench.assert_good(Command::new(loader).arg(plugin), "plugin");
}

/// The library itself has the name that programs are linked with; what a linker finds is a text, which the
/// loader refuses aloud.
#[test]
fn preloaded_by_the_documented_name() {
    let bench = Bench::new("preload");
    let program = bench.link(&[], &owned(&["-ldroplet"]));
    bench.assert_good(Command::new(&program).env("LD_PRELOAD", "libdroplet_conn.so.0"), "preloaded");
    let refused = bench.outcome(Command::new(&program).env("LD_PRELOAD", "libdroplet_conn.so"));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(complaint.contains("'libdroplet_conn.so' from LD_PRELOAD cannot be preloaded"), "{complaint}");
    assert!(complaint.contains("stand-in's own"), "{complaint}");
}

/// An installation can be moved, and knows nothing of where it was built.
#[test]
fn installed_files_name_no_folder() {
    let bench = Bench::new("moved");
    let stage = bench.folder.join("stage");
    make(&["install", "PREFIX=/usr", "LIBDIR=/usr/lib/somewhere", &format!("DESTDIR={}", stage.display())]);
    let installed = stage.join("usr/lib/somewhere");
    for name in ["libdroplet_conn.so", "libdroplet_conn.a"] {
        let script = fs::read_to_string(installed.join(name)).expect("a linker script");
        assert!(!script.contains("/usr") && !script.contains("target"), "{script}");
    }
    let object = fs::read(installed.join("libdroplet_conn_needed.o")).expect("an object");
    assert!(
        !String::from_utf8_lossy(&object).contains(&*root().to_string_lossy()),
        "the object names a folder"
    );
    let moved = Bench { ours: bench.folder.join("moved"), ..bench };
    fs::rename(installed, &moved.ours).expect("one file system");
    moved.assert_shared(&moved.link(&[], &shared()), "moved");
    moved.assert_static(&moved.link(&[], &archives(&moved)), "moved");
}
