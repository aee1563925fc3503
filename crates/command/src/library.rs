//! The library that is preloaded.

use std::env;
use std::path::{Path, PathBuf, absolute};

use crate::elf::{self, Kind, Object, our_machine};
use crate::loader::Loader;
use crate::target::TARGET;

/// The name of the library.
pub const NAME: &str = "libdroplet_conn.so.0";

/// The variable that names the library's file.
pub const VARIABLE: &str = "DPLX_LIBRARY";

/// Returns the library: the one that is named by the option or the variable, or the one that was installed with this
/// command, or the one that the loader finds.
pub fn find(named: Option<PathBuf>) -> Result<Object, String> {
    let variable = || env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = named.or_else(variable) {
        return at(&path);
    }
    let own = env::current_exe().ok();
    let above = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    // The first is also where a build puts it.
    let folders = ["lib".to_owned(), "lib64".to_owned(), format!("lib/{}", TARGET.multiarch)];
    let beside = above.into_iter().flat_map(|above| folders.each_ref().map(|it| above.join(it).join(NAME)));
    if let Some(path) = beside.into_iter().find(|path| path.is_file()) {
        return at(&path);
    }
    match Loader::new().library(NAME) {
        Some(library) => at(&library.path),
        None => Err(format!(
            "{NAME} was not found beside this command or by the loader: name its file with --library or {VARIABLE}"
        )),
    }
}

/// Reads the library, and refuses what the loader would only warn of.
fn at(path: &Path) -> Result<Object, String> {
    let shown = path.display();
    // A program may change its working directory before it starts others.
    let path = absolute(path).map_err(|error| format!("{shown}: {error}"))?;
    let text = path.to_string_lossy();
    if text.contains([' ', ':', '\u{fffd}']) {
        return Err(format!("{shown}: the loader takes blanks and colons in LD_PRELOAD as separators"));
    }
    if text.contains('$') {
        return Err(format!("{shown}: the loader replaces names after a $ in LD_PRELOAD, such as $ORIGIN"));
    }
    let library = Object::read(&path).map_err(|error| match error {
        elf::Error::NotElf => {
            format!("{shown}: it is no shared library; preload {NAME}, not the linker's script")
        }
        _ => format!("{shown}: {error}"),
    })?;
    if library.kind == Kind::Foreign && library.machine != our_machine() {
        return Err(format!(
            "{shown}: it is for {}, and this command for {}",
            library.machine,
            our_machine()
        ));
    }
    if library.soname.as_deref() != Some(NAME) {
        return Err(format!("{shown}: it is not {NAME}"));
    }
    Ok(library)
}
