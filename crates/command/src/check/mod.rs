//! What preloading the library will do to a program, found by reading files. Nothing of the program is run.

mod droplet;
mod layout;
mod names;
mod openssl;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::elf::{Kind, Object};
use crate::library;
use crate::loader::{Loader, Missing};
use crate::preload;
use crate::process::{Process, Unread};
use crate::program;
use droplet::Droplets;

/// The exit status of a check that could not be made, or tells nothing.
pub const NOT_TOLD: u8 = 2;

/// What was found, as lines of text.
#[derive(Default)]
pub struct Report {
    lines: Vec<(&'static str, String)>,
    /// Why preloading does not work.
    obstacles: Vec<String>,
    /// Why it cannot be told whether preloading works.
    doubt: Option<String>,
    /// What is said in place of "preloading works".
    good: Option<String>,
}

impl Report {
    /// Returns the exit status: 0 if the program runs, or can run, on the library, and 1 if not.
    pub fn status(&self) -> u8 {
        match &self.doubt {
            _ if !self.obstacles.is_empty() => 1,
            Some(_) => NOT_TOLD,
            None => 0,
        }
    }

    fn say(&mut self, label: &'static str, text: impl Into<String>) {
        self.lines.push((label, text.into()));
    }

    fn object(&mut self, text: impl Into<String>) {
        self.obstacles.push(text.into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, text) in &self.lines {
            writeln!(f, "{label:<12}{text}")?;
        }
        for obstacle in &self.obstacles {
            writeln!(f, "preloading does not work: {obstacle}")?;
        }
        match (&self.doubt, &self.good) {
            _ if !self.obstacles.is_empty() => Ok(()),
            (Some(reason), _) => writeln!(f, "it cannot be told whether preloading works: {reason}"),
            (None, Some(text)) => writeln!(f, "{text}"),
            (None, None) => writeln!(f, "preloading works"),
        }
    }
}

/// The files of a program.
struct Subject {
    /// The program is the first.
    objects: Vec<Object>,
    missing: Vec<Missing>,
    /// Files of the process that could not be read.
    unread: Vec<Unread>,
    /// None for a program that does not run.
    process: Option<Rights>,
}

/// What a process may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    OfItsCaller,
    MoreThanItsCaller,
}

/// Checks a program, with plugins that it loads, or a process.
pub fn check(name: &OsStr, plugins: &[OsString], library: Option<PathBuf>) -> Result<Report, String> {
    let mut report = Report::default();
    let plugins: Result<Vec<_>, _> = plugins.iter().map(|name| plugin(name)).collect();
    let plugins = plugins?;
    let subject = match number(name) {
        Some(number) => of_process(number, plugins, &mut report)?,
        None => of_program(name, plugins, &mut report)?,
    };
    for Missing { name, needed_by } in &subject.missing {
        report.object(format!("the loader does not find {name}, which {} needs", needed_by.display()));
    }
    let droplets = Droplets::among(&subject.objects);
    judge(&droplets, &mut report);
    names::compare(&droplets, &mut report);
    match droplets.ours {
        Some(ours) => say_that_it_runs_on(ours, &mut report),
        None => compare_with_library(&subject, &droplets, library, &mut report),
    }
    Ok(report)
}

fn read(path: &Path) -> Result<Object, String> {
    Object::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns the number of a process. Other names are those of files.
fn number(name: &OsStr) -> Option<u32> {
    name.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn plugin(name: &OsStr) -> Result<Object, String> {
    let path = Path::new(name);
    if number(name).is_some() && !path.exists() {
        return Err(format!(
            "{}: there is no such plugin, and one process is checked at a time",
            path.display()
        ));
    }
    read(path)
}

fn of_process(number: u32, plugins: Vec<Object>, report: &mut Report) -> Result<Subject, String> {
    let process = Process::read(number)?;
    let shown = process.objects[0].path.display().to_string();
    report.say(
        "process",
        format!("{number}, {shown}, with {} files that it has loaded", process.objects.len()),
    );
    for unread in &process.unread {
        report.say("not read", &unread.text);
    }
    report.good = Some("preloading works, from the next start of the process".to_owned());
    let mut objects = process.objects;
    objects.extend(plugins);
    let rights = if process.is_secure { Rights::MoreThanItsCaller } else { Rights::OfItsCaller };
    Ok(Subject { objects, missing: Vec::new(), unread: process.unread, process: Some(rights) })
}

fn of_program(name: &OsStr, plugins: Vec<Object>, report: &mut Report) -> Result<Subject, String> {
    // A library is given by its path, and need not be executable.
    let path = if name.as_encoded_bytes().contains(&b'/') {
        PathBuf::from(name)
    } else {
        program::find(name).map_err(|error| error.to_string())?
    };
    let found =
        program::interpreted(&path).map_err(|error| format!("the program cannot be told: {error}"))?;
    let program = read(&found.program)?;
    let (shown, machine) = (path.display(), &program.machine);
    match program.kind {
        _ if found.is_script => {
            report.say("program", format!("{shown}, a script that {} runs", program.path.display()));
            report.say("", "programs that the script starts get the library as well: check them");
        }
        Kind::Library => {
            report.say(
                "program",
                format!("{shown}, a shared library: what follows is for programs that load it"),
            );
        }
        _ => report.say("program", format!("{shown}, {machine}")),
    }
    let is_run = found.is_script || matches!(program.kind, Kind::Program | Kind::StaticProgram);
    if let Some(error) = program::find(path.as_os_str()).err().filter(|_| is_run) {
        report.object(format!("the program cannot be run: {error}"));
    }
    let loaded = Loader::new().load(program, plugins);
    Ok(Subject { objects: loaded.objects, missing: loaded.missing, unread: Vec::new(), process: None })
}

/// Says where Droplet is, and what stands against leading its calls elsewhere.
fn judge(droplets: &Droplets, report: &mut Report) {
    for droplet in &droplets.theirs {
        report.say("Droplet", droplets.place_of(droplet));
        match droplet::bound(droplet) {
            Ok(text) => report.say("binding", text),
            Err(reason) => report.object(format!("{}: {reason}", droplet.path.display())),
        }
        let found = layout::of(droplet);
        report.say("layout", found.to_string());
        if found.is_refused() {
            report.object("the library refuses contexts of this layout");
        }
    }
}

fn say_that_it_runs_on(ours: &Object, report: &mut Report) {
    report.say("library", format!("{}, which is loaded", ours.path.display()));
    report.good = Some(if droplet::is_standalone(ours) {
        "preload nothing: it runs on libdroplet.so.0 of droplet-conn".to_owned()
    } else {
        "it runs on droplet-conn already".to_owned()
    });
}

/// Says whether the library can be loaded, and goes with the OpenSSL of each Droplet.
fn compare_with_library(subject: &Subject, droplets: &Droplets, named: Option<PathBuf>, report: &mut Report) {
    match preload::obstacle(&subject.objects[0]) {
        Some(reason) => report.object(reason),
        None if subject.process == Some(Rights::MoreThanItsCaller) => {
            report.object("it has more rights than its caller: the loader ignores LD_PRELOAD for it");
        }
        None if droplets.theirs.is_empty() => say_without_droplet(subject, droplets, report),
        None => {
            // It may be ours, or a Droplet that comes first.
            let decides = subject.unread.iter().find(|unread| unread.name.starts_with("libdroplet"));
            report.doubt = decides.map(|unread| format!("{} was not read", unread.name));
        }
    }
    let library = match library::find(named) {
        Ok(library) => library,
        Err(reason) => return report.object(reason),
    };
    openssl::compare(subject, &droplets.theirs, &library, report);
    report.say("library", library.path.display().to_string());
    for Missing { name, .. } in Loader::new().load(library, Vec::new()).missing {
        report.object(format!("the loader does not find {name}, which the library needs"));
    }
}

fn say_without_droplet(subject: &Subject, droplets: &Droplets, report: &mut Report) {
    let user = droplets.users.first().map(|user| user.path.display());
    let reason = match &user {
        Some(user) => format!("{user} calls Droplet, which is not among the files that were read"),
        None => "no file that was read contains Droplet or calls it".to_owned(),
    };
    if !subject.unread.is_empty() {
        report.doubt = Some(format!("{reason}, and not all were read"));
        return;
    }
    if user.is_some() {
        return report.object(format!("{reason}: check what loads it"));
    }
    report.object(reason);
    let loads_plugins = subject.objects.iter().any(|object| object.undefined.contains("dlopen"));
    if loads_plugins && subject.process.is_none() {
        report
            .say("plugins", "it may load some: name them after the program, or check its process by number");
    }
}

/// Returns the lines of a list, without comments.
fn lines(list: &str) -> BTreeSet<&str> {
    list.lines().filter(|line| !line.starts_with('#')).collect()
}
