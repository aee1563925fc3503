//! What a running process has loaded.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::elf::{Error, Object};

/// Type of the entry of the auxiliary vector that says that the process has more rights than its caller (`AT_SECURE`).
const SECURE: u64 = 23;

/// A running process.
pub struct Process {
    /// The files that it has loaded, the program first.
    pub objects: Vec<Object>,
    /// Files that were loaded and cannot be read.
    pub unread: Vec<Unread>,
    /// True if it has more rights than its caller.
    pub is_secure: bool,
}

/// A file that cannot be read.
pub struct Unread {
    /// Its name without the folder.
    pub name: String,
    /// Its path, and why.
    pub text: String,
}

impl Unread {
    fn new(path: &str, text: String) -> Unread {
        Unread { name: path.rsplit('/').next().unwrap_or_default().to_owned(), text }
    }
}

impl Process {
    /// Looks at a process.
    pub fn read(number: u32) -> Result<Process, String> {
        let folder = PathBuf::from(format!("/proc/{number}"));
        let maps = fs::read_to_string(folder.join("maps")).map_err(|error| refusal(number, &error))?;
        let program = fs::read_link(folder.join("exe")).map_err(|error| refusal(number, &error))?;
        let secure = fs::read(folder.join("auxv")).is_ok_and(|vector| is_secure(&vector));
        let mut process = Process { objects: Vec::new(), unread: Vec::new(), is_secure: secure };
        // The link leads to the program also if its file was deleted.
        let first = Object::read_from(&folder.join("exe"), &program);
        process.objects.push(first.map_err(|error| format!("{}: {error}", program.display()))?);
        for mapping in mapped(&maps).into_iter().filter(|mapping| mapping.path != program) {
            process.add(&folder, mapping);
        }
        let environment = fs::read(folder.join("environ")).unwrap_or_default();
        process.objects = in_order_of_loading(process.objects, &preloaded(&environment));
        Ok(process)
    }

    /// Adds a file that is mapped.
    fn add(&mut self, folder: &Path, Mapping { path, inode }: Mapping) {
        let shown = path.to_string_lossy().into_owned();
        if let Some(name) = shown.strip_suffix(" (deleted)") {
            let text = format!("{name} was deleted or replaced since it was loaded");
            self.unread.push(Unread::new(name, text));
            return;
        }
        // The path is that below the root of the process if it has mounts of its own, as in a container. If it has another
        // root in the mounts of this process (chroot(2)), it is the path that this process sees.
        let below_root = folder.join("root").join(path.strip_prefix("/").unwrap_or(&path));
        let is_it = |file: &&Path| fs::metadata(file).is_ok_and(|it| it.ino() == inode);
        let file = [&*below_root, &*path].into_iter().find(is_it).unwrap_or(&below_root);
        match Object::read_from(file, &path) {
            Ok(object) => self.objects.push(object),
            // A file of data.
            Err(Error::NotElf) => {}
            Err(error) => self.unread.push(Unread::new(&shown, format!("{shown}: {error}"))),
        }
    }
}

/// Explains why a process cannot be looked at.
fn refusal(number: u32, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let owner = fs::metadata(format!("/proc/{number}")).map(|it| it.uid());
            let owner = owner.map_or("another user".to_owned(), |owner| format!("user {owner}"));
            format!(
                "process {number} is that of {owner}, or hides itself: only that user or root can look at it"
            )
        }
        io::ErrorKind::NotFound if Path::new(&format!("/proc/{number}")).exists() => {
            format!("process {number} has no program: it belongs to the kernel, or has ended")
        }
        io::ErrorKind::NotFound => format!("there is no process {number}"),
        _ => format!("process {number}: {error}"),
    }
}

/// A file that is mapped.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mapping {
    path: PathBuf,
    /// Its number in its file system. That of the device is left out: in some file systems stat(2) has another one.
    inode: u64,
}

/// Returns the files that are mapped to be run, in the order of their paths.
fn mapped(maps: &str) -> Vec<Mapping> {
    let files = maps.lines().filter_map(|line| {
        // ADDRESSES RIGHTS OFFSET DEVICE INODE PATH
        let mut fields = line.split(' ');
        let (rights, inode) = (fields.nth(1)?, fields.nth(2)?.parse().ok()?);
        let path = &line[line.find('/')?..];
        // Memory without a file of its own has such names.
        let is_file =
            !path.starts_with("/memfd:") && !path.starts_with("/dev/") && !path.starts_with("/SYSV");
        (rights.contains('x') && is_file).then(|| Mapping { path: path.into(), inode })
    });
    files.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns what the environment of a process preloads.
fn preloaded(environment: &[u8]) -> Vec<String> {
    let variables = environment.split(|byte| *byte == 0);
    let list =
        variables.filter_map(|variable| variable.strip_prefix(b"LD_PRELOAD=")).next().unwrap_or_default();
    let list = String::from_utf8_lossy(list);
    list.split([':', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Puts files, of which the first is the program, into the order in which names are looked up in them: the program, what
/// is preloaded, and what these need, breadth first. Plugins come last.
fn in_order_of_loading(mut files: Vec<Object>, preloaded: &[String]) -> Vec<Object> {
    let mut ordered = vec![files.remove(0)];
    let mut take = |wanted: &str, ordered: &mut Vec<Object>| {
        let is_it = |file: &Object| file.name() == wanted || file.path == Path::new(wanted);
        if let Some(at) = files.iter().position(is_it) {
            ordered.push(files.remove(at));
        }
    };
    preloaded.iter().for_each(|name| take(name, &mut ordered));
    let mut at = 0;
    while at < ordered.len() {
        for name in ordered[at].needed.clone() {
            take(&name, &mut ordered);
        }
        at += 1;
    }
    ordered.append(&mut files);
    ordered
}

fn is_secure(vector: &[u8]) -> bool {
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).unwrap_or_default();
    vector.chunks_exact(16).any(|entry| number(&entry[..8]) == SECURE && number(&entry[8..]) != 0)
}
