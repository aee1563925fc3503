//! Tests of `make install`: the files go to their places, from whatever folder and without Cargo, and programs can be
//! built with them through pkg-config.

mod common;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{
    empty_folder, files_in, make, make_command, outcome, root, run, shared_library, standalone_library,
    target_folder, write,
};

const PROGRAM: &str = r#"
#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    return puts(dplx_version()) < 0;
}
"#;

/// Returns the flags that pkg-config prints.
fn pkg_config(prefix: &Path, package: &str, arguments: &[&str]) -> Vec<String> {
    let said = run(Command::new("pkg-config")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .args(arguments)
        .arg(package));
    said.split_whitespace().map(str::to_owned).collect()
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Runs `make install` and the like for libraries that are built.
fn install(arguments: &[&str]) {
    shared_library();
    make(arguments);
}

/// Writes a program `cargo`, and returns a search path on which it comes first.
fn path_with_cargo(folder: &Path, script: &str) -> String {
    let cargo = write(folder, "cargo", script);
    fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).expect("its mode can be set");
    format!("{}:{}", folder.display(), env::var("PATH").expect("a search path"))
}

/// Root has no Cargo where rustup installed it for one user.
const NO_CARGO: &str = "#!/bin/sh\necho \"cargo $*: not found\" >&2\nexit 127\n";

/// Runs a target in a folder of built libraries, without Cargo. The libraries are copied there by their paths.
fn install_without_cargo(name: &str, built: &[&str], target: &str) -> (Output, BTreeSet<String>) {
    shared_library();
    let folder = empty_folder(name);
    for file in built {
        let copy = folder.join("target/lib").join(file);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(target_folder().join("lib").join(file), copy).expect("a library that is built");
    }
    let stage = folder.join("stage");
    fs::create_dir(&stage).expect("a folder");
    let output = outcome(
        make_command()
            .env("PATH", path_with_cargo(&folder, NO_CARGO))
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .args([target, "PREFIX=/usr", &format!("DESTDIR={}", stage.display())]),
    );
    (output, files_in(&stage))
}

/// What `make install` installs, from `target/lib`.
const CONN: [&str; 6] = [
    "libdroplet_conn.so.0",
    "libdroplet_conn_static.a",
    "libdroplet_conn.so",
    "libdroplet_conn.a",
    "libdroplet_conn_needed.o",
    "../release/droplet-conn",
];
const STANDALONE: &str = "standalone/libdroplet.so.0";

#[test]
fn libraries_are_installed_without_cargo_and_without_each_other() {
    for (name, built, target) in [
        ("install-conn-only", &CONN[..], "install"),
        ("install-standalone-only", &[STANDALONE], "install-standalone"),
    ] {
        let (output, files) = install_without_cargo(name, built, target);
        assert!(output.status.success(), "{target}: {output:?}");
        assert!(
            files.iter().any(|file| file.ends_with(&format!(".so.{}", version()))),
            "{target}: {files:?}"
        );
    }
}

#[test]
fn what_was_not_built_is_named() {
    for (name, built, target, missing) in [
        ("install-nothing", &[][..], "install", "libdroplet_conn.so.0"),
        ("install-half", &CONN[..3], "install", "libdroplet_conn_needed.o"),
        ("install-other", &CONN[..], "install-standalone", "libdroplet.so.0"),
    ] {
        let (output, files) = install_without_cargo(name, built, target);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && files.is_empty(), "{target}: {files:?}");
        assert!(said.contains(missing) && said.contains("make all"), "{target}: {said}");
        assert!(!said.contains("not found"), "{target} called Cargo: {said}");
    }
}

/// Copies what a build needs besides Cargo's sources to a folder with blanks in its name, where nothing may be written.
fn copy_of_the_source(folder: &Path) -> PathBuf {
    let copy = folder.join("a source that is read only");
    fs::create_dir(&copy).expect("a folder");
    let parts = ["Makefile", "Cargo.toml", "scripts", "include", "exports.txt", "LICENSE", "THIRD-PARTY.txt"];
    let parts = parts.iter().chain(&["droplet_conn.pc.in", "droplet-3.0.pc.in"]);
    run(Command::new("cp").arg("-r").args(parts.map(|part| root().join(part))).arg(&copy));
    run(Command::new("chmod").args(["-R", "a-w"]).arg(&copy));
    copy
}

/// In the place of Cargo, since a build takes minutes: it puts libraries that are built where Cargo would.
fn quick_cargo() -> String {
    let built = shared_library();
    let built = built.parent().and_then(Path::parent).expect("its folder").join("release");
    format!(
        "#!/bin/sh
        while [ $# != 0 ]; do [ \"$1\" != --target-dir ] || to=$2; shift; done
        to=$to/${{CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}}release
        mkdir -p \"$to\"
        cp '{0}/libdroplet_conn.so' '{0}/libdroplet_conn.a' '{0}/libdroplet.so' '{0}/droplet-conn' \"$to\"
        ",
        built.display()
    )
}

#[test]
fn source_may_be_read_only_and_its_folder_have_blanks() {
    let folder = empty_folder("install-elsewhere");
    let source = copy_of_the_source(&folder);
    let before = files_in(&source);
    let stage = folder.join("a stage");
    // All at once, in several processes: what is installed has to wait for what is built.
    let mut make = make_command();
    make.arg("--jobs=8").arg("-C").arg(&source).args(["install", "install-standalone", "all"]);
    make.arg("PREFIX=/usr")
        .arg("LIBDIR=/usr/lib/x86_64-linux-gnu")
        .arg(format!("DESTDIR={}", stage.display()));
    make.env("PATH", path_with_cargo(&folder, &quick_cargo()));
    make.env("CARGO_TARGET_DIR", folder.join("built")).env("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu");
    run(&mut make);
    let library = stage.join("usr/lib/x86_64-linux-gnu");
    for (name, built) in
        [("libdroplet_conn.so.0", shared_library()), ("libdroplet.so.0", standalone_library())]
    {
        assert!(fs::read(library.join(name)).expect(name) == fs::read(built).expect("built"), "{name}");
    }
    let description = fs::read_to_string(library.join("pkgconfig/droplet_conn.pc")).expect("installed");
    assert!(description.contains("libdir=/usr/lib/x86_64-linux-gnu\n"), "{description}");
    assert_eq!(files_in(&source), before, "nothing is written there, also by root");
    run(Command::new("chmod").args(["-R", "u+w"]).arg(&source));
}

/// Returns the names of a file's sections.
fn sections(file: &Path) -> String {
    run(Command::new("readelf").arg("-SW").arg(file))
}

#[test]
fn installed_libraries_can_be_stripped() {
    let stage = empty_folder("install-strip");
    let to_stage = format!("DESTDIR={}", stage.display());
    let library = stage.join("usr/lib");
    install(&["install-strip", "install-standalone-strip", "PREFIX=/usr", &to_stage]);
    for name in ["libdroplet_conn.so", "libdroplet.so"] {
        let file = library.join(format!("{name}.{}", version()));
        let stripped = sections(&file);
        assert!(!stripped.contains(".debug_") && !stripped.contains(".symtab"), "{name}: {stripped}");
        // What debuggers go by, and what tracers read.
        assert!(
            stripped.contains(".gnu_debuglink") && stripped.contains(".note.stapsdt"),
            "{name}: {stripped}"
        );
        let beside = library.join(format!(".debug/{name}.{}.debug", version()));
        assert!(sections(&beside).contains(".debug_line"), "{name}");
        let id = |file: &Path| {
            let notes = run(Command::new("readelf").arg("-n").arg(file));
            notes
                .lines()
                .find_map(|line| Some(line.split_once("Build ID: ")?.1.to_owned()))
                .expect("an identity")
        };
        assert_eq!(id(&file), id(&beside));
    }
    assert!(!sections(&library.join("libdroplet_conn_static.a")).contains(".debug_"));
    make(&["uninstall", "PREFIX=/usr", &to_stage]);
    assert!(library.join(".debug").exists(), "it has what belongs to the other library");
    make(&["uninstall-standalone", "PREFIX=/usr", &to_stage]);
    assert_eq!(files_in(&stage), BTreeSet::new());
    assert!(!library.join(".debug").exists());
    install(&["install-strip", "PREFIX=/usr", &to_stage]);
    make(&["uninstall", "PREFIX=/usr", &to_stage]);
    assert!(!library.join(".debug").exists());
}

#[test]
fn files_are_installed_and_uninstalled() {
    let stage = empty_folder("install-stage");
    let to_stage = format!("DESTDIR={}", stage.display());
    install(&["install", "PREFIX=/usr", &to_stage]);
    let version = version();
    let mut expected = BTreeSet::from([
        "usr/bin/droplet-conn".to_owned(),
        "usr/include/droplet_conn.h".to_owned(),
        "usr/lib/libdroplet_conn.a".to_owned(),
        "usr/lib/libdroplet_conn.so".to_owned(),
        format!("usr/lib/libdroplet_conn.so.0 libdroplet_conn.so.{version}"),
        format!("usr/lib/libdroplet_conn.so.{version}"),
        "usr/lib/libdroplet_conn_needed.o".to_owned(),
        "usr/lib/libdroplet_conn_static.a".to_owned(),
        "usr/lib/pkgconfig/droplet_conn.pc".to_owned(),
        "usr/share/doc/libdroplet_conn/LICENSE".to_owned(),
        "usr/share/doc/libdroplet_conn/THIRD-PARTY.txt".to_owned(),
    ]);
    let pages = files_in(&root().join("docs/man"));
    let section = |page: &str| page.rsplit('.').next().expect("a section").to_owned();
    expected.extend(pages.iter().map(|page| format!("usr/share/man/man{}/{page}", section(page))));
    assert_eq!(files_in(&stage), expected);
    let description = fs::read_to_string(stage.join("usr/lib/pkgconfig/droplet_conn.pc")).expect("installed");
    assert!(description.contains("prefix=/usr\n"), "the staging folder is not in it: {description}");
    make(&["uninstall", "PREFIX=/usr", &to_stage]);
    assert_eq!(files_in(&stage), BTreeSet::new());
}

/// Earlier versions installed the library under the name that a linker script has now.
#[test]
fn linker_scripts_replace_links() {
    let stage = empty_folder("install-over");
    let library = stage.join("usr/lib");
    fs::create_dir_all(&library).expect("a folder");
    symlink("libdroplet_conn.so.0", library.join("libdroplet_conn.so")).expect("a link");
    install(&["install", "PREFIX=/usr", &format!("DESTDIR={}", stage.display())]);
    let magic = fs::read(library.join("libdroplet_conn.so.0")).expect("installed")[..4].to_owned();
    assert_eq!(magic, *b"\x7fELF");
    let script = fs::read_to_string(library.join("libdroplet_conn.so")).expect("a linker script");
    assert!(script.contains("libdroplet_conn.so.0"), "{script}");
}

#[test]
fn standalone_library_is_installed_and_uninstalled() {
    let stage = empty_folder("install-standalone");
    let to_stage = format!("DESTDIR={}", stage.display());
    install(&["install-standalone", "PREFIX=/usr", &to_stage]);
    let version = version();
    let mut expected = BTreeSet::from([
        "usr/include/droplet-3.0/droplet_conn.h".to_owned(),
        "usr/lib/libdroplet.so libdroplet.so.0".to_owned(),
        format!("usr/lib/libdroplet.so.0 libdroplet.so.{version}"),
        format!("usr/lib/libdroplet.so.{version}"),
        "usr/lib/pkgconfig/droplet-3.0.pc".to_owned(),
        "usr/share/doc/libdroplet/LICENSE".to_owned(),
        "usr/share/doc/libdroplet/THIRD-PARTY.txt".to_owned(),
    ]);
    let headers = files_in(&root().join("include/droplet-3.0"));
    expected.extend(headers.into_iter().map(|header| format!("usr/include/droplet-3.0/{header}")));
    assert_eq!(files_in(&stage), expected);
    make(&["uninstall-standalone", "PREFIX=/usr", &to_stage]);
    assert_eq!(files_in(&stage), BTreeSet::new());
    assert!(
        !stage.join("usr/include/droplet-3.0").exists() && !stage.join("usr/share/doc/libdroplet").exists()
    );
}

/// The folders may also be those of the original, or of a package.
#[test]
fn files_of_others_stay() {
    let stage = empty_folder("install-others");
    let to_stage = format!("DESTDIR={}", stage.display());
    let others = [
        "usr/include/droplet-3.0/of_others.h",
        "usr/include/droplet-3.0/droplet/of_others.h",
        "usr/share/doc/libdroplet/of_others",
        "usr/share/doc/libdroplet_conn/of_others",
    ];
    for file in others.map(|file| stage.join(file)) {
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, "").expect("a file");
    }
    install(&["install", "install-standalone", "PREFIX=/usr", &to_stage]);
    make(&["uninstall", "uninstall-standalone", "PREFIX=/usr", &to_stage]);
    assert_eq!(files_in(&stage), others.map(str::to_owned).into());
}

/// All but the steps of others, which stand at the end of the list.
#[test]
fn make_lists_its_targets() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("readable");
    let (targets, _) = makefile.split_once("# ---- steps of the above ----").expect("the steps");
    let rules = targets.lines().filter_map(|line| line.split_once(':')).map(|(names, _)| names);
    let is_rule = |names: &&str| {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b' ');
        names.starts_with(|first: char| first.is_ascii_lowercase()) && names.bytes().all(is_name)
    };
    let wanted: BTreeSet<_> = rules.filter(is_rule).flat_map(|names| names.split(' ')).collect();
    let listed = make(&["help"]);
    let listed: BTreeSet<_> = listed.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert!(wanted.len() > 30, "{wanted:?}");
    assert_eq!(wanted.difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new());
}

const DROPLETS_PROGRAM: &str = r#"
#include <droplet.h>
#include <droplet_conn.h>

int main(void) {
    return puts(dpl_status_str(DPL_ENOTDIR)) < 0;
}
"#;

#[test]
fn programs_for_droplet_can_be_built_through_pkg_config() {
    let prefix = empty_folder("install-droplet");
    install(&["install-standalone", &format!("PREFIX={}", prefix.display())]);
    let source = write(&prefix, "program.c", DROPLETS_PROGRAM);
    let program = prefix.join("program");
    run(Command::new("cc")
        .arg(&source)
        .args(pkg_config(&prefix, "droplet-3.0", &["--cflags", "--libs"]))
        .arg("-o")
        .arg(&program));
    let said = run(Command::new(program).env("LD_LIBRARY_PATH", prefix.join("lib")));
    assert_eq!(said, "DPL_ENOTDIR\n");
}

#[test]
fn programs_can_be_built_through_pkg_config() {
    let prefix = empty_folder("install-prefix");
    install(&["install", &format!("PREFIX={}", prefix.display())]);
    let library = prefix.join("lib");
    let source = write(&prefix, "program.c", PROGRAM);
    assert_eq!(pkg_config(&prefix, "droplet_conn", &["--modversion"]), [version()]);

    let shared = prefix.join("shared");
    run(Command::new("cc")
        .arg(&source)
        .args(pkg_config(&prefix, "droplet_conn", &["--cflags", "--libs"]))
        .arg("-o")
        .arg(&shared));
    assert_eq!(run(Command::new(shared).env("LD_LIBRARY_PATH", &library)), version() + "\n");

    let linked = prefix.join("static");
    run(Command::new("cc")
        .arg("-static")
        .arg(&source)
        .args(pkg_config(&prefix, "droplet_conn", &["--static", "--cflags", "--libs"]))
        .arg("-o")
        .arg(&linked));
    assert_eq!(run(&mut Command::new(linked)), version() + "\n");
}

/// Two users who build in two folders get the same bytes only if neither folder is in them.
#[test]
fn libraries_name_no_folder_of_this_machine() {
    shared_library();
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let folders: Vec<_> = cargo_home.or(home).into_iter().chain([root().to_owned()]).collect();
    for library in [&CONN[..], &[STANDALONE]].concat() {
        let bytes = fs::read(target_folder().join("lib").join(library)).expect("built");
        for folder in &folders {
            let folder = folder.to_str().expect("text").as_bytes();
            let found = bytes.windows(folder.len()).position(|window| window == folder);
            let text =
                found.map(|at| String::from_utf8_lossy(&bytes[at..(at + 100).min(bytes.len())]).into_owned());
            assert_eq!(text, None, "{library}");
        }
    }
}
