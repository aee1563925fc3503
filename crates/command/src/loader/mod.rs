//! The libraries that the loader would load for a program, found by reading files only.
//!
//! `ldd` and `ld.so --list` map the program's files into a process, which a crafted file can take over. Nothing of what
//! is read here is run, so a file may come from anywhere. The order of the search is that of ld.so(8). Not imitated:
//! builds for certain processors (glibc-hwcaps), which are the same library, and `DT_AUXILIARY`.

mod cache;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::elf::{Kind, Object};
use crate::target::TARGET;
use cache::Cache;

/// A library that was not found.
#[derive(Debug)]
pub struct Missing {
    /// The name by which it is needed.
    pub name: String,
    /// The file that needs it.
    pub needed_by: PathBuf,
}

/// The files that are loaded together, in the order in which names are looked up in them.
pub struct Loaded {
    /// The program comes first.
    pub objects: Vec<Object>,
    /// For each file the one that it was loaded for.
    parents: Vec<Option<usize>>,
    /// The libraries that were not found.
    pub missing: Vec<Missing>,
}

/// Finds libraries.
pub struct Loader {
    cache: Cache,
    /// `LD_LIBRARY_PATH`
    from_environment: Option<OsString>,
}

impl Loader {
    /// Returns the loader of this machine, with this process's environment.
    pub fn new() -> Loader {
        Loader { cache: Cache::of_this_machine(), from_environment: env::var_os("LD_LIBRARY_PATH") }
    }

    /// Returns a program, what it loads later by itself, and all libraries that these need.
    pub fn load(&self, program: Object, plugins: Vec<Object>) -> Loaded {
        let mut loaded = Loaded { objects: vec![program], parents: vec![None], missing: Vec::new() };
        self.add_needed(&mut loaded, 0);
        for plugin in plugins {
            let first = loaded.objects.len();
            loaded.add(plugin, Some(0));
            self.add_needed(&mut loaded, first);
        }
        loaded
    }

    /// Returns the file that the loader takes for a name that the program needs, before any library of its own.
    pub fn library(&self, name: &str) -> Option<Object> {
        self.in_environment(name, Path::new("/")).or_else(|| self.by_default(name))
    }

    /// Adds what is needed by the files from this one on, breadth first.
    fn add_needed(&self, loaded: &mut Loaded, first: usize) {
        let mut at = first;
        while at < loaded.objects.len() {
            for name in loaded.objects[at].needed.clone() {
                if loaded.has(&name) {
                    continue;
                }
                match self.find(&name, loaded, at) {
                    Some(library) => loaded.add(library, Some(at)),
                    None => {
                        let needed_by = loaded.objects[at].path.clone();
                        loaded.missing.push(Missing { name, needed_by });
                    }
                }
            }
            at += 1;
        }
    }

    fn find(&self, name: &str, loaded: &Loaded, by: usize) -> Option<Object> {
        let object = &loaded.objects[by];
        if name.contains('/') {
            return expand(name, &object.path).iter().find_map(|path| library_at(path));
        }
        let mut found = None;
        if object.runpath.is_none() {
            found = loaded.rpaths(by).iter().find_map(|(list, of)| in_list(list, name, of));
        }
        found
            .or_else(|| self.in_environment(name, &loaded.objects[0].path))
            .or_else(|| in_list(object.runpath.as_deref()?, name, &object.path))
            .or_else(|| self.by_default(name))
    }

    /// Looks a name up in `LD_LIBRARY_PATH`, where `$ORIGIN` is the folder of the program.
    fn in_environment(&self, name: &str, program: &Path) -> Option<Object> {
        let list = self.from_environment.as_ref()?.to_str()?.replace(';', ":");
        in_list(&list, name, program)
    }

    fn by_default(&self, name: &str) -> Option<Object> {
        let known = self.cache.path(name).and_then(|path| library_at(path));
        known.or_else(|| default_folders().iter().find_map(|folder| library_at(&folder.join(name))))
    }
}

impl Loaded {
    fn add(&mut self, object: Object, parent: Option<usize>) {
        self.objects.push(object);
        self.parents.push(parent);
    }

    fn has(&self, name: &str) -> bool {
        let is_missing = self.missing.iter().any(|missing| missing.name == name);
        is_missing
            || self.objects.iter().skip(1).any(|object| object.name() == name || object.path.ends_with(name))
    }

    /// Returns the `DT_RPATH` of a file, of those that it was loaded for, and of the program; each with the file. A
    /// `DT_RUNPATH` takes its place.
    fn rpaths(&self, by: usize) -> Vec<(String, PathBuf)> {
        let mut found = Vec::new();
        let mut next = Some(by);
        while let Some(at) = next {
            let object = &self.objects[at];
            if let (Some(list), None) = (&object.rpath, &object.runpath) {
                found.push((list.clone(), object.path.clone()));
            }
            next = self.parents[at];
        }
        found
    }
}

/// Returns the folders that the loader looks into at the end, on Debian and elsewhere.
fn default_folders() -> Vec<PathBuf> {
    let [multiarch, lib64] = lib();
    let folders = [lib64, multiarch, "lib".to_owned()].into_iter();
    folders.flat_map(|folder| [Path::new("/").join(&folder), Path::new("/usr").join(&folder)]).collect()
}

/// Returns what `$LIB` may stand for.
fn lib() -> [String; 2] {
    [format!("lib/{}", TARGET.multiarch), "lib64".to_owned()]
}

/// Looks a name up in a list of folders that stands in a file. An empty list is none.
fn in_list(list: &str, name: &str, of: &Path) -> Option<Object> {
    if list.is_empty() {
        return None;
    }
    let folders = list.split(':').flat_map(|folder| {
        // An empty one is the working directory.
        expand(if folder.is_empty() { "." } else { folder }, of)
    });
    folders.into_iter().find_map(|folder| library_at(&folder.join(name)))
}

/// Replaces what the loader replaces in a path that stands in a file. One path becomes several, since what `$LIB` is
/// depends on the system.
fn expand(path: &str, of: &Path) -> Vec<PathBuf> {
    let real = of.canonicalize().unwrap_or_else(|_| of.to_owned());
    let origin = real.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let set = |path: &str, token: &str, value: &str| {
        path.replace(&format!("${{{token}}}"), value).replace(&format!("${token}"), value)
    };
    let path = set(&set(path, "ORIGIN", &origin), "PLATFORM", TARGET.platform);
    let mut paths: Vec<_> = lib().iter().map(|lib| PathBuf::from(set(&path, "LIB", lib))).collect();
    paths.dedup();
    paths
}

/// Returns the library at a path. The loader passes by files for other machines.
fn library_at(path: &Path) -> Option<Object> {
    Object::read(path).ok().filter(|object| object.kind != Kind::Foreign)
}
