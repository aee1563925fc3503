//! Which file is taken for a library that a program needs: the one that the loader takes.

mod common;

use std::fs;
use std::path::Path;

use common::{DROPLET, Folder, Outcome, PROGRAM, assert_says, droplet_conn, native, outcome};

const LOADER: &str =
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };

/// Returns the path that the loader itself takes for Droplet. Only for programs of this test: it maps them.
fn by_the_loader(working: &Path, program: &Path, library_path: &str) -> Option<String> {
    let mut loader = native(LOADER);
    loader.current_dir(working).env("LD_LIBRARY_PATH", library_path);
    let listed = outcome(loader.arg("--list").arg(program)).stdout;
    let line = listed.lines().find(|line| line.contains("libdroplet.so.0"))?.to_owned();
    let path = line.split_once("=> ").map_or(line.trim(), |(_, path)| path).split(" (").next()?;
    (path != "not found").then(|| working.join(path).display().to_string())
}

fn check(working: &Path, program: &Path, library: &Path, library_path: &str) -> Outcome {
    let mut command = droplet_conn();
    command.current_dir(working);
    command.env("LD_LIBRARY_PATH", library_path).env("DPLX_LIBRARY", library);
    outcome(command.arg("check").arg(program))
}

/// Asserts that the loader and the command take the same file, and that it is this one. The folder `a` is the working
/// directory.
#[track_caller]
fn assert_takes(folder: &Folder, program: &Path, library_path: &str, expected: Option<&str>) {
    let library = folder.file("lib/libdroplet_conn.so.0");
    let working = folder.file("a");
    let found = check(&working, program, &library, library_path);
    let real = |path: &str| fs::canonicalize(working.join(path)).expect("a file");
    let loaders = by_the_loader(&working, program, library_path).map(|path| real(&path));
    assert_eq!(loaders, expected.map(|name| real(&folder.file(name).display().to_string())), "the loader");
    let Some(loaders) = loaders else {
        return assert_says(&found, 1, "the loader does not find libdroplet.so.0, which ");
    };
    let line = found.stdout.lines().find_map(|line| line.strip_prefix("Droplet     ")).expect("a line");
    assert_eq!(real(line.split(", which").next().expect("a path")), loaders, "{found:?}");
}

#[test]
fn libraries_are_found_where_the_loader_finds_them() {
    let folder = Folder::new("loader");
    folder.conn();
    for place in ["a", "b", "c"] {
        fs::create_dir(folder.file(place)).expect("a folder");
        folder.library(&format!("{place}/libdroplet.so.0"), "libdroplet.so.0", DROPLET, &[], &[]);
    }
    let (rpath, runpath) = ("-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags");
    let program = |flags: &[&str]| folder.compile("program", PROGRAM, flags, &["a/libdroplet.so.0"]);
    let path = |name: &str| folder.file(name).display().to_string();
    let (a, b) = (path("a"), path("b"));
    let rpath_of = |list: &str| format!("-Wl,-rpath,{list}");

    assert_takes(&folder, &program(&[]), "", None);
    assert_takes(&folder, &program(&[]), &b, Some("b/libdroplet.so.0"));
    assert_takes(&folder, &program(&[]), &format!("{};{a}", path("none")), Some("a/libdroplet.so.0"));
    assert_takes(&folder, &program(&[]), "$ORIGIN/b", Some("b/libdroplet.so.0"));
    assert_takes(&folder, &program(&[rpath, &rpath_of(&a)]), &b, Some("a/libdroplet.so.0"));
    assert_takes(&folder, &program(&[runpath, &rpath_of(&a)]), &b, Some("b/libdroplet.so.0"));
    assert_takes(&folder, &program(&[runpath, &rpath_of(&a)]), "", Some("a/libdroplet.so.0"));
    assert_takes(
        &folder,
        &program(&[rpath_of("$ORIGIN/none:${ORIGIN}/c").as_str()]),
        "",
        Some("c/libdroplet.so.0"),
    );
    // One for another machine is passed by.
    let mut foreign = fs::read(folder.file("a/libdroplet.so.0")).expect("readable");
    foreign[18] ^= 1;
    folder.write("foreign/libdroplet.so.0", foreign);
    assert_takes(&folder, &program(&[]), &format!("{}:{b}", path("foreign")), Some("b/libdroplet.so.0"));
    // A name with a slash is a path.
    folder.library("a/libdroplet.so.0", &path("a/libdroplet.so.0"), DROPLET, &[], &[]);
    assert_takes(&folder, &program(&[]), &b, Some("a/libdroplet.so.0"));
}

/// The program's `DT_RPATH` holds for what its libraries need, unless these have a `DT_RUNPATH`. That is not passed on.
#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let folder = Folder::new("rpath");
    folder.conn();
    folder.library("a/libdroplet.so.0", "libdroplet.so.0", DROPLET, &[], &[]);
    let (rpath, runpath) = ("-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags");
    let between = "int dpl_put(void *); int between(void) { return dpl_put(0); }";
    let source = "int between(void); int main(void) { return between(); }";
    for (own, programs, expected) in [
        (&[][..], rpath, Some("a/libdroplet.so.0")),
        (&[], runpath, None),
        (&[runpath, "-Wl,-rpath,/none"], rpath, None),
        (&[rpath, "-Wl,-rpath,/none"], rpath, Some("a/libdroplet.so.0")),
    ] {
        folder.library("libbetween.so", "libbetween.so", between, own, &["a/libdroplet.so.0"]);
        let more = ["libbetween.so", "-Wl,-rpath,$ORIGIN:$ORIGIN/a", "-Wl,--allow-shlib-undefined"];
        let program = folder.compile("program", source, &[programs], &more);
        assert_takes(&folder, &program, "", expected);
    }
}

/// An empty list is none, and an empty entry of a list is the working directory.
#[test]
fn empty_lists_are_none() {
    let folder = Folder::new("empty");
    folder.conn();
    for place in ["a", "b"] {
        fs::create_dir(folder.file(place)).expect("a folder");
        folder.library(&format!("{place}/libdroplet.so.0"), "libdroplet.so.0", DROPLET, &[], &[]);
    }
    let b = folder.file("b").display().to_string();
    let program = |flags: &[&str]| folder.compile("program", PROGRAM, flags, &["a/libdroplet.so.0"]);
    assert_takes(&folder, &program(&[]), "", None);
    assert_takes(&folder, &program(&[]), ":", Some("a/libdroplet.so.0"));
    assert_takes(&folder, &program(&[]), "/none;", Some("a/libdroplet.so.0"));
    for tags in ["-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags"] {
        let program = program(&[tags, "-Wl,-rpath,PLACE"]);
        // Linkers leave an empty list out.
        let bytes = fs::read(&program).expect("readable");
        let at = bytes.windows(6).position(|part| part == b"PLACE\0").expect("the list");
        for (list, expected) in [(&b"\0"[..], None), (b":\0", Some("a/libdroplet.so.0"))] {
            let mut bytes = bytes.clone();
            bytes[at..at + list.len()].copy_from_slice(list);
            fs::write(&program, bytes).expect("writable");
            assert_takes(&folder, &program, "", expected);
            assert_takes(
                &folder,
                &program,
                &b,
                Some(expected.filter(|_| tags.contains("disable")).unwrap_or("b/libdroplet.so.0")),
            );
        }
    }
}
