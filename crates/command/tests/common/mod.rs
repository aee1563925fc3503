//! Files of every kind that the command meets, made by the C compiler.
#![allow(dead_code)] // a test does not use all of them

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// A Droplet with the functions that matter here. `CALLED` says how those are declared that its other units call.
pub const DROPLET: &str = r#"
#ifndef CALLED
#define CALLED
#endif
struct dpl_ctx;
CALLED int dpl_conn_pool_init(struct dpl_ctx *ctx) { return ctx ? 1 : 2; }
CALLED int dpl_try_connect(struct dpl_ctx *ctx) { return ctx ? 3 : 4; }
CALLED int dpl_conn_writev_all(struct dpl_ctx *ctx) { return ctx ? 5 : 6; }
CALLED const char *dpl_conn_release(int n) { return n ? "dpl_conn_terminate_nolock" : "x"; }
int dpl_put(struct dpl_ctx *ctx) {
    return dpl_conn_pool_init(ctx) + dpl_try_connect(ctx) + dpl_conn_writev_all(ctx) + *dpl_conn_release(!ctx);
}
int dpl_dict_new(void) { return 0; }
"#;

/// A program that uses it.
pub const PROGRAM: &str = "int dpl_put(void *); int dpl_dict_new(void);
int main(void) { return dpl_put(0) + dpl_dict_new(); }";

/// A stand-in for the library. It prints a line when it is loaded.
pub const LIBRARY: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int dplx_version, dpl_try_connect;
__attribute__((constructor)) static void loaded(void) {
    const char *stats = getenv("DPLX_STATS"), *file = getenv("DPLX_STATS_FILE");
    printf("loaded, stats %s, file %s\n", stats ? stats : "-", file ? file : "-");
    fflush(stdout);
}
"#;

/// A folder that is removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes a folder that other users can reach.
    pub fn new(name: &str) -> Folder {
        let path = env::temp_dir().join(format!("droplet-conn-command-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a folder can be made");
        set_mode(&path, 0o755);
        Folder(path)
    }

    /// Returns the path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Compiles a source, in C, into a file: `cc FLAGS SOURCE MORE -o NAME`.
    pub fn compile(&self, name: &str, source: &str, flags: &[&str], more: &[&str]) -> PathBuf {
        let file = self.write(&format!("{name}.c"), source);
        let path = self.file(name);
        let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compiler.current_dir(&self.0).args(["-O1", "-w"]).args(flags).arg(file).args(more);
        let output = compiler.arg("-o").arg(&path).output().expect("there is a C compiler");
        assert!(output.status.success(), "{compiler:?}: {}", text(&output.stderr));
        path
    }

    /// Compiles a shared library with a soname.
    pub fn library(&self, name: &str, soname: &str, source: &str, flags: &[&str], more: &[&str]) -> PathBuf {
        let soname = format!("-Wl,-soname,{soname}");
        self.compile(name, source, &[&["-shared", "-fPIC", &soname], flags].concat(), more)
    }

    /// Compiles Droplet as a shared library, and a program that finds it beside itself.
    pub fn program(&self, name: &str, droplets_flags: &[&str]) -> PathBuf {
        self.library("libdroplet.so.0", "libdroplet.so.0", DROPLET, droplets_flags, &[]);
        self.compile(name, PROGRAM, &[], &["libdroplet.so.0", "-Wl,-rpath,$ORIGIN"])
    }

    /// Returns the stand-in for the library.
    pub fn conn(&self) -> PathBuf {
        self.library("lib/libdroplet_conn.so.0", "libdroplet_conn.so.0", LIBRARY, &[], &[])
    }

    /// Writes a script.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        set_mode(&path, 0o755);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sets the rights of a file.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its rights can be set");
}

/// A program for the machine that these tests are built for, which is not this one if there is an emulator.
pub fn native(program: impl AsRef<OsStr>) -> Command {
    let Some(emulator) = env::var_os("EMULATOR") else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.arg(program.as_ref());
    command
}

/// The command, without variables of the environment that it reads.
pub fn droplet_conn() -> Command {
    let mut command = native(env!("CARGO_BIN_EXE_droplet-conn"));
    ["LD_LIBRARY_PATH", "LD_PRELOAD", "DPLX_LIBRARY", "DPLX_STATS", "DPLX_STATS_FILE"]
        .iter()
        .for_each(|variable| _ = command.env_remove(variable));
    command
}

/// What a run of the command came to.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// Runs a command.
pub fn outcome(command: &mut Command) -> Outcome {
    // A process that another test has just forked may still have a file open for writing that this one has copied.
    let is_busy = |tried: &io::Result<Output>| {
        tried.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy)
    };
    let mut tried = command.output();
    while is_busy(&tried) {
        thread::sleep(Duration::from_millis(10));
        tried = command.output();
    }
    let Output { status, stdout, stderr } = tried.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Outcome { status: status.code().unwrap_or(-1), stdout: text(&stdout), stderr: text(&stderr) }
}

/// Checks files with a stand-in for the library.
pub fn check<S: AsRef<OsStr>>(library: &Path, words: &[S]) -> Outcome {
    outcome(droplet_conn().arg("--library").arg(library).arg("check").args(words))
}

/// Asserts an exit status and a part of what was printed.
#[track_caller]
pub fn assert_says(found: &Outcome, status: i32, part: &str) {
    let all = format!("{}{}", found.stdout, found.stderr);
    assert!(found.status == status && all.contains(part), "not {status} and {part:?}: {found:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
