//! `/etc/ld.so.cache`, the loader's own list of libraries (ldconfig(8)).

use std::fs;
use std::path::PathBuf;

use crate::target::TARGET;

/// What the list begins with, in the format that glibc has written since 2.2. Until 2.31 an older list stands before it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";

/// Length of the part before the entries, and of an entry.
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// The libraries that the loader knows by name.
#[derive(Default)]
pub struct Cache {
    /// Names and paths, in the order of the list.
    libraries: Vec<(String, PathBuf)>,
}

impl Cache {
    /// Reads this machine's list. It is empty if there is none.
    pub fn of_this_machine() -> Cache {
        fs::read("/etc/ld.so.cache").map(|bytes| Cache::parse(&bytes)).unwrap_or_default()
    }

    /// Returns the path of a library. Those for certain processors (glibc-hwcaps) count after the others, since they
    /// are builds of the same library.
    pub fn path(&self, name: &str) -> Option<&PathBuf> {
        self.libraries.iter().find(|(known, _)| known == name).map(|(_, path)| path)
    }

    fn parse(bytes: &[u8]) -> Cache {
        let start = bytes.windows(MAGIC.len()).position(|part| part == MAGIC);
        let Some(list) = start.map(|start| &bytes[start..]) else { return Cache::default() };
        let count = number(list, MAGIC.len()).unwrap_or_default() as usize;
        let (mut plain, mut for_processors) = (Vec::new(), Vec::new());
        for at in (0..count).map(|index| HEADER + index * ENTRY) {
            let Some((library, is_for_processor)) = entry(list, at) else { continue };
            if is_for_processor { for_processors.push(library) } else { plain.push(library) }
        }
        plain.append(&mut for_processors);
        Cache { libraries: plain }
    }
}

/// Returns the name and the path of an entry, and whether it is for certain processors. `None` if it is for another
/// machine.
fn entry(list: &[u8], at: usize) -> Option<((String, PathBuf), bool)> {
    if number(list, at)? != TARGET.cache_flags {
        return None;
    }
    let name = text(list, number(list, at + 4)?)?;
    let path = text(list, number(list, at + 8)?)?;
    let is_for_processor = number(list, at + 16)? != 0 || number(list, at + 20)? != 0;
    Some(((name, PathBuf::from(path)), is_for_processor))
}

fn number(list: &[u8], at: usize) -> Option<u32> {
    let bytes = list.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn text(list: &[u8], at: u32) -> Option<String> {
    let rest = list.get(at as usize..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a list of libraries, each with its flags, capabilities of processors, name and path.
    fn list(libraries: &[(u32, u64, &str, &str)]) -> Vec<u8> {
        let mut bytes =
            [MAGIC, &(libraries.len() as u32).to_le_bytes(), &[0; HEADER - MAGIC.len() - 4]].concat();
        let mut strings = Vec::new();
        let start = HEADER + ENTRY * libraries.len();
        for (flags, capabilities, name, path) in libraries {
            bytes.extend(flags.to_le_bytes());
            for text in [name, path] {
                bytes.extend(((start + strings.len()) as u32).to_le_bytes());
                strings.extend([text.as_bytes(), b"\0"].concat());
            }
            bytes.extend(0_u32.to_le_bytes());
            bytes.extend(capabilities.to_le_bytes());
        }
        [bytes, strings].concat()
    }

    #[test]
    fn libraries_of_this_machine_are_found() {
        let bytes = list(&[
            (TARGET.cache_flags, 1 << 62, "libx.so.1", "/lib/glibc-hwcaps/libx.so.1"),
            (0x0003, 0, "libx.so.1", "/lib32/libx.so.1"),
            (TARGET.cache_flags, 0, "libx.so.1", "/lib/libx.so.1"),
        ]);
        let old = [b"ld.so-1.7.0\0", &bytes[..]].concat();
        for bytes in [&bytes, &old] {
            let cache = Cache::parse(bytes);
            assert_eq!(cache.path("libx.so.1"), Some(&PathBuf::from("/lib/libx.so.1")));
            assert_eq!(cache.path("liby.so.1"), None);
        }
    }

    #[test]
    fn damaged_lists_are_read_as_far_as_they_go() {
        let whole = list(&[
            (TARGET.cache_flags, 0, "libx.so.1", "/lib/libx.so.1"),
            (TARGET.cache_flags, 0, "liby.so.1", "/lib/liby.so.1"),
        ]);
        for length in 0..whole.len() {
            Cache::parse(&whole[..length]);
        }
        assert!(Cache::parse(&whole[..whole.len() - 1]).path("libx.so.1").is_some());
    }

    #[test]
    fn this_machine_has_a_list_with_libc() {
        let path = Cache::of_this_machine().path("libc.so.6").cloned().expect("glibc's own library");
        assert!(path.is_file(), "{path:?}");
    }
}
