//! The machine that this command and the library are built for, as ELF files and the loader of glibc name it. What differs
//! between architectures is here only.

use object::elf;

/// What the loader of a machine and its files are called. All machines are of 64 bits and little-endian.
pub struct Target {
    /// `e_machine` of its files.
    pub machine: elf::Machine,
    /// The file name of glibc's loader.
    pub loader: &'static str,
    /// Debian's folder of its libraries, below `lib`.
    pub multiarch: &'static str,
    /// `flags` of its libraries in `/etc/ld.so.cache`: `_DL_CACHE_DEFAULT_ID` of glibc, the number of the machine and
    /// `FLAG_ELF_LIBC6`.
    pub cache_flags: u32,
    /// What `$PLATFORM` stands for.
    pub platform: &'static str,
    /// The layouts of a context, as Droplet's headers make them there.
    pub contexts: Contexts,
}

/// Tables of the fields of a context, one for each layout that the library knows.
pub struct Contexts {
    pub november_2015: &'static str,
    pub april_2015: &'static str,
    pub june_2014: &'static str,
    pub bareos: &'static str,
}

/// Returns the tables whose names end in this way. The library's own structs are compared with the same.
macro_rules! contexts {
    ($end:literal) => {
        Contexts {
            november_2015: include_str!(concat!("../../../tests/data/layout-3.0", $end)),
            april_2015: include_str!(concat!("../../../tests/data/layout-2015-04", $end)),
            june_2014: include_str!(concat!("../../../tests/data/layout-2014-06", $end)),
            bareos: include_str!(concat!("../../../tests/data/layout-bareos", $end)),
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub const TARGET: Target = Target {
    machine: elf::EM_X86_64,
    loader: "ld-linux-x86-64.so.2",
    multiarch: "x86_64-linux-gnu",
    cache_flags: 0x0303,
    platform: "x86_64",
    contexts: contexts!(".tsv"),
};

#[cfg(target_arch = "aarch64")]
pub const TARGET: Target = Target {
    machine: elf::EM_AARCH64,
    loader: "ld-linux-aarch64.so.1",
    multiarch: "aarch64-linux-gnu",
    cache_flags: 0x0a03,
    platform: "aarch64",
    contexts: contexts!("-aarch64.tsv"),
};

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("droplet-conn knows the loader of glibc on Linux on x86-64 and aarch64 only");
