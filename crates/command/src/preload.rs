//! Whether the loader obeys `LD_PRELOAD` for a program.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, getxattr, statvfs};
use rustix::process::{getgid, getuid};

use crate::elf::{Kind, Object, our_machine};
use crate::target::TARGET;

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
/// A file that its group cannot run has mandatory locks, not the group's rights.
const GROUP_MAY_RUN: u32 = 0o0010;

/// Returns why nothing, or not the library, can be preloaded into a program. `None` if it can.
pub fn obstacle(program: &Object) -> Option<String> {
    match program.kind {
        Kind::Foreign if program.machine != our_machine() => {
            Some(format!("it is a {} program, and the library is for {}", program.machine, our_machine()))
        }
        Kind::Foreign => Some("it is an object file, not a program".to_owned()),
        Kind::StaticProgram => {
            Some("it is linked statically: there is no loader that could preload".to_owned())
        }
        Kind::Library => None,
        Kind::Program => {
            let loader = program.interpreter.as_deref()?;
            if loader.file_name().is_some_and(|name| name != TARGET.loader) {
                let loader = loader.display();
                return Some(format!(
                    "its loader is {loader}, and the library needs that of glibc, {}",
                    TARGET.loader
                ));
            }
            more_rights(&program.path)
        }
    }
}

/// Returns why a program has more rights than its caller, in which case the loader ignores `LD_PRELOAD`.
fn more_rights(path: &Path) -> Option<String> {
    const IGNORED: &str = "the loader ignores LD_PRELOAD for it, and so for what it starts";
    let metadata = path.metadata().ok()?;
    // The kernel ignores these rights on such file systems.
    if statvfs(path).is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::NOSUID)) {
        return None;
    }
    let has = |bits: u32| metadata.mode() & bits == bits;
    if has(SET_USER_ID) && metadata.uid() != getuid().as_raw() {
        return Some(format!("it is set-user-ID of user {}: {IGNORED}", metadata.uid()));
    }
    if has(SET_GROUP_ID | GROUP_MAY_RUN) && metadata.gid() != getgid().as_raw() {
        return Some(format!("it is set-group-ID of group {}: {IGNORED}", metadata.gid()));
    }
    let has_capabilities = getxattr(path, "security.capability", &mut [0_u8; 64][..]).is_ok();
    if has_capabilities && !getuid().is_root() {
        return Some(format!("it has file capabilities: {IGNORED}"));
    }
    None
}
