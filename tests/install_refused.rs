//! What `make install` and `make uninstall-standalone` refuse: names that would lead elsewhere, and a Droplet of others.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use common::{empty_folder, files_in, make, make_command, outcome, shared_library};

const OURS: &str = concat!("libdroplet.so.", env!("CARGO_PKG_VERSION"));

/// Installs what is a Droplet's by its names: its library, the links to it, its headers, and its pkg-config file.
fn install_another_droplet(stage: &Path, library: &str) {
    for (file, text) in [
        (&*format!("lib/{library}"), "another library"),
        ("lib/pkgconfig/droplet-3.0.pc", "Name: droplet"),
        ("include/droplet-3.0/droplet.h", "/* of another */"),
        ("include/droplet-3.0/droplet/conn.h", "/* of another */"),
    ] {
        let path = stage.join("usr").join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    for (link, to) in [("libdroplet.so.0", library), ("libdroplet.so", "libdroplet.so.0")] {
        let link = stage.join("usr/lib").join(link);
        let _ = fs::remove_file(&link);
        symlink(to, link).expect("a link");
    }
}

fn uninstall_standalone(stage: &Path) -> Output {
    let to_stage = format!("DESTDIR={}", stage.display());
    outcome(make_command().args(["uninstall-standalone", "PREFIX=/usr", &to_stage]))
}

/// Also if its library has the name that ours would have.
#[test]
fn droplet_of_others_is_not_uninstalled() {
    for library in ["libdroplet.so.0.0.0", OURS] {
        let stage = empty_folder("uninstall-others");
        install_another_droplet(&stage, library);
        let before = files_in(&stage);
        let output = uninstall_standalone(&stage);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(&format!("there is no {}/usr/lib/{OURS} of", stage.display())), "{said}");
        assert_eq!(files_in(&stage), before, "{library}");
    }
}

#[test]
fn droplet_that_was_installed_over_ours_stays() {
    shared_library();
    let (alone, both) = (empty_folder("uninstall-alone"), empty_folder("uninstall-both"));
    install_another_droplet(&alone, "libdroplet.so.0.0.0");
    make(&["install-standalone", "PREFIX=/usr", &format!("DESTDIR={}", both.display())]);
    install_another_droplet(&both, "libdroplet.so.0.0.0");
    assert!(uninstall_standalone(&both).status.success());
    let left = files_in(&both);
    let missing: Vec<_> = files_in(&alone).difference(&left).cloned().collect();
    assert_eq!(missing, Vec::<String>::new());
    assert!(!left.iter().any(|file| file.contains(OURS)), "{left:?}");
}

/// Names that the shell, sed or pkg-config would change.
#[test]
fn names_that_cannot_be_installed_are_refused() {
    let stage = empty_folder("install-names");
    let to_stage = format!("DESTDIR={}", stage.display());
    let run = |target: &str, variable: &str, value: &str| {
        let value = format!("{variable}={value}");
        let output = outcome(make_command().args([target, "PREFIX=/usr", &to_stage, &value]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(&format!("{variable} has ")), "{value}: {said}");
        assert_eq!(files_in(&stage), BTreeSet::new(), "{value}");
    };
    for character in ["&", "|", "'", "\\", " ", "\t", "\"", "`", "$$", "#", "(", ")", ";", "*", "?"] {
        for variable in ["PREFIX", "LIBDIR", "INCLUDEDIR", "DOCDIR"] {
            run("install", variable, &format!("/usr/a{character}b"));
        }
        run("install-standalone", "LIBDIR", &format!("/usr/a{character}b"));
    }
    for target in ["uninstall", "uninstall-standalone"] {
        run(target, "PREFIX", "/usr/a'b");
    }
    for variable in ["DESTDIR", "BINDIR", "MANDIR"] {
        run("install", variable, "/usr/a\"b");
    }
}

/// They would depend on the folder of whoever reads the pkg-config file.
#[test]
fn relative_names_are_refused() {
    let stage = empty_folder("install-relative");
    let to_stage = format!("DESTDIR={}/", stage.display());
    for variable in ["PREFIX", "LIBDIR", "INCLUDEDIR", "DOCDIR", "BINDIR", "MANDIR"] {
        for target in ["install", "install-standalone", "uninstall", "uninstall-standalone"] {
            let value = format!("{variable}=some/where");
            let output = outcome(make_command().args([target, "PREFIX=/usr", &to_stage, &value]));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let reason = format!("{variable} is not an absolute path: some/where");
            assert!(!output.status.success() && said.contains(&reason), "{target} {value}: {said}");
            assert_eq!(files_in(&stage), BTreeSet::new(), "{target} {value}");
        }
    }
}
