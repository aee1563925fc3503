//! What `droplet-conn check` says of running processes, and of programs with more rights than their callers.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{DROPLET, Folder, LIBRARY, assert_says, check, droplet_conn, outcome, set_mode};

/// A program that loads a plugin, says so, and waits for its end.
const LOADER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argv[1] && !dlopen(argv[1], RTLD_NOW))
        return 1;
    puts("ready");
    fflush(stdout);
    pause();
}
"#;

/// A process, which ends with the value.
struct Running(Child);

impl Running {
    fn new(command: &mut Command) -> Running {
        let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("it starts"));
        let output = BufReader::new(running.0.stdout.take().expect("piped"));
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "it has loaded its plugin");
        running
    }

    fn number(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("there").uid() == 0
}

#[test]
fn plugins_of_a_process_are_found() {
    let folder = Folder::new("process");
    let library = folder.conn();
    let loader = folder.compile("loader", LOADER, &[], &["-ldl"]);
    let plugin = folder.library("plugin.so", "plugin.so", DROPLET, &[], &[]);
    let bound = folder.library("bound.so", "bound.so", DROPLET, &["-Wl,-Bsymbolic"], &[]);

    // The program alone says nothing.
    let found = check(&library, &[&loader]);
    assert_says(&found, 1, "no file that was read contains Droplet");
    assert_says(&found, 1, "it may load some: name them after the program");
    assert_says(&check(&library, &[&loader, &plugin]), 0, "preloading works\n");

    let running = Running::new(Command::new(&loader).arg(&plugin));
    let found = check(&library, &[running.number()]);
    assert_says(&found, 0, &format!("process     {}, {}, with ", running.number(), loader.display()));
    assert_says(&found, 0, &format!("Droplet     {}\n", plugin.display()));
    assert_says(&found, 0, "preloading works, from the next start of the process\n");

    let running = Running::new(Command::new(&loader).arg(&bound));
    assert_says(&check(&library, &[running.number()]), 1, "it was linked with -Bsymbolic");

    let mut preloaded = droplet_conn();
    let running = Running::new(preloaded.arg("--library").arg(&library).arg(&loader).arg(&plugin));
    assert_says(&check(&library, &[running.number()]), 0, "it runs on droplet-conn already");
}

/// A library that was loaded has an effect only if it comes before Droplet.
#[test]
fn order_of_a_process_is_that_of_loading() {
    let folder = Folder::new("order");
    folder.library("a/libdroplet.so.0", "libdroplet.so.0", DROPLET, &[], &[]);
    let library = folder.library("z/libdroplet_conn.so.0", "libdroplet_conn.so.0", LIBRARY, &[], &[]);
    let source = format!("int dpl_put(void *); int (*used)(void *) = dpl_put;{LOADER}");
    let link = |more: &[&str]| {
        let more = [&["-Wl,--no-as-needed,-rpath,$ORIGIN/a:$ORIGIN/z"], more].concat();
        folder.compile("loader", &source, &[], &more)
    };
    let (ours, theirs) = ("z/libdroplet_conn.so.0", "a/libdroplet.so.0");
    let already = "it runs on droplet-conn already";

    let program = link(&[theirs]);
    let running = Running::new(droplet_conn().arg("--library").arg(&library).arg(&program));
    assert_says(&check(&library, &[running.number()]), 0, already);
    let running = Running::new(&mut Command::new(link(&[ours, theirs])));
    assert_says(&check(&library, &[running.number()]), 0, already);
    drop(running);
    let running = Running::new(&mut Command::new(link(&[theirs, ours])));
    assert_says(
        &check(&library, &[running.number()]),
        0,
        "preloading works, from the next start of the process",
    );
}

#[test]
fn files_that_were_replaced_are_named() {
    let folder = Folder::new("replaced");
    let library = folder.conn();
    let loader = folder.compile("loader", LOADER, &[], &["-ldl"]);
    let plugin = folder.library("plugin.so", "plugin.so", DROPLET, &[], &[]);
    let running = Running::new(Command::new(&loader).arg(&plugin));
    fs::remove_file(&plugin).expect("removed");
    let found = check(&library, &[running.number()]);
    assert_says(&found, 2, &format!("not read    {} was deleted or replaced", plugin.display()));
    assert_says(
        &found,
        2,
        "it cannot be told whether preloading works: no file that was read contains Droplet",
    );
    // The program itself is still there by its process.
    fs::remove_file(&loader).expect("removed");
    assert_says(&check(&library, &[running.number()]), 2, "(deleted), with ");
}

/// The paths of such a process are those that the reader sees; in a namespace of mounts they are its own.
#[test]
fn process_may_have_another_root() {
    let folder = Folder::new("root");
    let library = folder.conn();
    let loader = folder.compile("jail/loader", LOADER, &[], &["-ldl"]);
    let plugin = folder.library("jail/plugin.so", "plugin.so", DROPLET, &[], &[]);
    let needed = outcome(Command::new("ldd").arg(&loader)).stdout;
    for path in needed.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = folder.file(&format!("jail{path}"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("it can be made");
        fs::copy(path, &copy).expect("copied");
    }
    // A plugin of another build, where the process sees its own.
    let other = folder.file(&format!("jail{}", plugin.display()));
    fs::create_dir_all(other.parent().expect("a folder")).expect("it can be made");
    fs::rename(folder.library("other.so", "plugin.so", DROPLET, &["-Wl,-Bsymbolic"], &[]), other)
        .expect("moved");

    let as_root: &[&str] = if is_root() { &["env"] } else { &["unshare", "--map-root-user"] };
    let chroot = |folder: &Path| {
        let mut command = Command::new(as_root[0]);
        command.args(&as_root[1..]).arg("chroot").arg(folder);
        command
    };
    if outcome(chroot(Path::new("/")).arg("true")).status != 0 {
        return eprintln!(
            "not tried: chroot(2) is for root, or for a namespace of users, which is refused here"
        );
    }
    let running = Running::new(chroot(&folder.file("jail")).args(["/loader", "/plugin.so"]));
    let found = check(&library, &[running.number()]);
    assert_says(&found, 0, &format!("Droplet     {}\n", plugin.display()));
    assert_says(&found, 0, "preloading works, from the next start of the process\n");
}

/// As after an upgrade of ours, or of a Droplet that comes before the one that was read.
#[test]
fn replaced_library_may_be_the_one_that_counts() {
    let folder = Folder::new("upgraded");
    let library = folder.conn();
    let plugin = folder.library("plugin.so", "plugin.so", DROPLET, &[], &[]);
    let bound = folder.library("bound.so", "bound.so", DROPLET, &["-Wl,-Bsymbolic"], &[]);
    let loader = folder.compile("loader", LOADER, &[], &["-ldl"]);
    let start =
        |plugin: &Path| Running::new(droplet_conn().arg("--library").arg(&library).arg(&loader).arg(plugin));
    let (running, with_bound) = (start(&plugin), start(&bound));
    fs::remove_file(&library).expect("removed");
    folder.conn();
    let doubt = "it cannot be told whether preloading works: libdroplet_conn.so.0 was not read";
    assert_says(&check(&library, &[running.number()]), 2, doubt);
    // This is known whatever the other is.
    assert_says(&check(&library, &[with_bound.number()]), 1, "preloading does not work");
}

#[test]
fn one_process_is_checked_at_a_time() {
    let folder = Folder::new("two");
    let library = folder.conn();
    let loader = folder.compile("loader", LOADER, &[], &["-ldl"]);
    let plugin = folder.library("plugin.so", "plugin.so", DROPLET, &[], &[]);
    let running = Running::new(Command::new(&loader).arg(&plugin));
    let (one, other) = (running.number(), "4194999".to_owned());
    let says = "4194999: there is no such plugin, and one process is checked at a time";
    assert_says(&check(&library, &[&one, &other]), 2, says);
    // A plugin may have such a name.
    folder.library("77", "77", DROPLET, &[], &[]);
    let mut check = droplet_conn();
    check.current_dir(&folder.0).arg("--library").arg(&library).args(["check", &one, "77"]);
    assert_says(&outcome(&mut check), 0, "Droplet     77\n");
}

#[test]
fn processes_of_others_are_refused() {
    let folder = Folder::new("others");
    let library = folder.conn();
    assert_says(&check(&library, &["4194999"]), 2, "there is no process 4194999");
    assert_says(&check(&library, &["99999999999999999999"]), 2, "99999999999999999999: not found in PATH");
    let own = std::process::id().to_string();
    if is_root() {
        // Others cannot reach the folder of this build.
        let command = folder.file("droplet-conn");
        fs::copy(env!("CARGO_BIN_EXE_droplet-conn"), &command).expect("a copy");
        let mut nobody = Command::new(command);
        let found = outcome(nobody.uid(65534).gid(65534).env("DPLX_LIBRARY", &library).args(["check", &own]));
        let says = format!(
            "process {own} is that of user 0, or hides itself: only that user or root can look at it"
        );
        assert_says(&found, 2, &says);
    } else if fs::metadata("/proc/1").is_ok_and(|it| it.uid() == 0) {
        assert_says(&check(&library, &["1"]), 2, "process 1 is that of user 0");
    }
}

/// Only root can make such files; the test of others is a program of the system.
#[test]
fn programs_with_more_rights_are_recognised() {
    let folder = Folder::new("rights");
    let library = folder.conn();
    let ignored = "the loader ignores LD_PRELOAD for it";
    if !is_root() {
        let system = ["/usr/bin/su", "/usr/bin/passwd", "/bin/su"];
        match system.iter().find(|path| fs::metadata(path).is_ok_and(|it| it.mode() & 0o4000 != 0)) {
            Some(path) => assert_says(&check(&library, &[path]), 1, ignored),
            None => println!("skipped: there is no set-user-ID program"),
        }
        return;
    }
    let program = folder.program("program", &[]);
    let with = |user, group, mode| {
        chown(&program, Some(user), Some(group)).expect("root may");
        set_mode(&program, mode);
        check(&library, &[&program])
    };
    assert_says(&with(1, 0, 0o4755), 1, "it is set-user-ID of user 1: the loader ignores LD_PRELOAD for it");
    assert_says(
        &with(0, 1, 0o2755),
        1,
        "it is set-group-ID of group 1: the loader ignores LD_PRELOAD for it",
    );
    // These give no rights: the caller has them, or the bit means something else.
    assert_says(&with(0, 0, 0o6755), 0, "preloading works");
    assert_says(&with(0, 1, 0o2745), 0, "preloading works");

    let with_capabilities = folder.file("capable");
    fs::copy(&program, &with_capabilities).expect("a copy");
    set_mode(&with_capabilities, 0o755);
    let mut setcap = Command::new("setcap");
    if !setcap.arg("cap_net_raw+ep").arg(&with_capabilities).status().is_ok_and(|status| status.success()) {
        println!("skipped: setcap gives no capabilities here");
        return;
    }
    assert_says(&check(&library, &[&with_capabilities]), 0, "preloading works");
    assert_says(&as_nobody(&folder, &library, &with_capabilities), 1, "it has file capabilities");
}

/// The rights of a process are its own, whoever checks it.
#[test]
fn process_with_more_rights_is_recognised() {
    if !is_root() {
        return println!("skipped: only root can make a set-user-ID program of root's");
    }
    let folder = Folder::new("secure");
    let library = folder.conn();
    let loader = folder.compile("loader", LOADER, &[], &["-ldl"]);
    let plugin = folder.library("plugin.so", "plugin.so", DROPLET, &[], &[]);
    set_mode(&loader, 0o4755);
    let running = Running::new(Command::new(&loader).arg(&plugin).uid(65534).gid(65534));
    assert_says(&check(&library, &[running.number()]), 1, "it has more rights than its caller");
    let running = Running::new(Command::new(&loader).arg(&plugin));
    assert_says(&check(&library, &[running.number()]), 0, "preloading works");
}

/// Checks a program as a user who is not root.
fn as_nobody(folder: &Folder, library: &Path, program: &Path) -> common::Outcome {
    let command = folder.file("droplet-conn");
    fs::copy(env!("CARGO_BIN_EXE_droplet-conn"), &command).expect("a copy");
    let mut nobody = Command::new(command);
    outcome(nobody.uid(65534).gid(65534).env("DPLX_LIBRARY", library).arg("check").arg(program))
}
