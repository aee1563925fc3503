//! What the loader and a linker see of an ELF file.

pub mod layout;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use memchr::memmem;
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{
    Dynamic, FileHeader, ProgramHeader, Rela, SectionHeader, SectionTable, Sym, SymbolTable,
};
use object::read::{ReadCache, ReadRef, SectionIndex};

use crate::target::TARGET;

type Header = FileHeader64<Endianness>;
type Sections<'data, R> = SectionTable<'data, Header, R>;

/// A name of a static function in Droplet's connection unit. It is in the constants of every build, stripped or not,
/// because the unit traces its functions by name; no other code has it.
const TRACE_OF_DROPLET: &[u8] = b"dpl_conn_terminate_nolock\0";

/// What the loader does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is a program, which the loader that it names links at its start.
    Program,
    /// It is a program without a loader: nothing can be preloaded.
    StaticProgram,
    /// It is a shared library.
    Library,
    /// It is for another machine, or is no linked file. Nothing else is known of it.
    Foreign,
}

/// Why a file says nothing.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be opened or read.
    Io(io::Error),
    /// It does not begin as ELF files do.
    NotElf,
    /// It is a damaged ELF file, or one without section headers.
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => error.fmt(f),
            Error::NotElf => f.write_str("it is no ELF file"),
            Error::Broken(reason) => write!(f, "it cannot be read as ELF: {reason}"),
        }
    }
}

impl From<object::read::Error> for Error {
    fn from(error: object::read::Error) -> Error {
        Error::Broken(error.to_string())
    }
}

/// An ELF file.
#[derive(Debug)]
pub struct Object {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its class and machine, such as "64-bit x86-64".
    pub machine: String,
    /// The loader that it names.
    pub interpreter: Option<PathBuf>,
    /// Its own name, by which others need it.
    pub soname: Option<String>,
    /// The libraries that it needs, in their order.
    pub needed: Vec<String>,
    /// `DT_RPATH`, where its libraries are looked for.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`, which takes the place of the former.
    pub runpath: Option<String>,
    /// True if its own definitions come first for it (`-Bsymbolic`).
    pub is_symbolic: bool,
    /// The names of Droplet and OpenSSL that it defines for others; true for those of protected visibility.
    pub defined: BTreeMap<String, bool>,
    /// The names of these that it takes from others.
    pub undefined: BTreeSet<String>,
    /// The names of these that the loader binds for it when it runs.
    pub bound_by_loader: BTreeSet<String>,
    /// The names that it defines for itself only, as far as it was not stripped.
    pub hidden: BTreeSet<String>,
    /// True if Droplet's connection unit is in its constants.
    pub has_trace_of_droplet: bool,
    /// The layout of a context, as its debug information describes it.
    pub context: Option<layout::Fields>,
}

impl Object {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Object, Error> {
        Object::read_from(path, path)
    }

    /// Reads a file that is known by another path.
    pub fn read_from(file: &Path, path: &Path) -> Result<Object, Error> {
        // To open a FIFO would wait for its other end.
        if !file.metadata().map_err(Error::Io)?.is_file() {
            return Err(Error::Io(io::Error::other("it is no regular file")));
        }
        let file = File::open(file).map_err(Error::Io)?;
        let data = ReadCache::new(file);
        let start: &[u8] = (&data).read_bytes_at(0, 20).unwrap_or_default();
        if !start.starts_with(&elf::ELFMAG) {
            return Err(Error::NotElf);
        }
        let mut object = Object::empty(path, machine_of(start));
        if object.machine != our_machine() {
            return Ok(object);
        }
        let header = Header::parse(&data)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, &data)?;
        if sections.is_empty() {
            return Err(Error::Broken("it has no section headers".to_owned()));
        }
        object.read_segments(header, endian, &data)?;
        object.read_dynamic(&sections, endian, &data)?;
        object.read_symbols(&sections, endian, &data)?;
        object.has_trace_of_droplet = has_trace_of_droplet(&sections, endian, &data);
        if object.may_contain_droplet() {
            object.context = layout::of_context(&sections, endian, &data);
        }
        Ok(object)
    }

    fn empty(path: &Path, machine: String) -> Object {
        Object {
            path: path.to_owned(),
            kind: Kind::Foreign,
            machine,
            interpreter: None,
            soname: None,
            needed: Vec::new(),
            rpath: None,
            runpath: None,
            is_symbolic: false,
            defined: BTreeMap::new(),
            undefined: BTreeSet::new(),
            bound_by_loader: BTreeSet::new(),
            hidden: BTreeSet::new(),
            has_trace_of_droplet: false,
            context: None,
        }
    }

    /// Returns whether code of Droplet's connection unit is in the file, for others to use or not.
    pub fn may_contain_droplet(&self) -> bool {
        self.has_trace_of_droplet
            || self.exports("dpl_try_connect")
            || self.hidden.contains("dpl_try_connect")
    }

    /// Returns whether it defines this name for others.
    pub fn exports(&self, name: &str) -> bool {
        self.defined.contains_key(name)
    }

    /// Returns the name by which others need it, or its file's.
    pub fn name(&self) -> String {
        let file = || self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.soname.clone().unwrap_or_else(file)
    }

    fn read_segments<'data, R: ReadRef<'data>>(
        &mut self,
        header: &'data Header,
        endian: Endianness,
        data: R,
    ) -> Result<(), Error> {
        let file_type = header.e_type(endian);
        for segment in header.program_headers(endian, data)? {
            if let Some(path) = segment.interpreter(endian, data)? {
                self.interpreter = Some(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())));
            }
        }
        self.kind = match file_type {
            elf::ET_EXEC | elf::ET_DYN if self.interpreter.is_some() => Kind::Program,
            elf::ET_EXEC => Kind::StaticProgram,
            elf::ET_DYN => Kind::Library,
            _ => Kind::Foreign,
        };
        Ok(())
    }

    fn read_dynamic<'data, R: ReadRef<'data>>(
        &mut self,
        sections: &Sections<'data, R>,
        endian: Endianness,
        data: R,
    ) -> Result<(), Error> {
        let table = sections.dynamic_table(endian, data)?;
        for entry in &table {
            let text = |entry: Dynamic| -> Result<String, Error> {
                Ok(String::from_utf8_lossy(table.string(entry)?).into_owned())
            };
            match entry.tag {
                elf::DT_NEEDED => self.needed.push(text(entry)?),
                elf::DT_SONAME => self.soname = Some(text(entry)?),
                elf::DT_RPATH => self.rpath = Some(text(entry)?),
                elf::DT_RUNPATH => self.runpath = Some(text(entry)?),
                elf::DT_SYMBOLIC => self.is_symbolic = true,
                elf::DT_FLAGS => self.is_symbolic |= entry.val & elf::DF_SYMBOLIC.0 != 0,
                // A program that loads itself (-static-pie) is a library but for this flag and its missing loader.
                elf::DT_FLAGS_1 if self.kind == Kind::Library && entry.val & elf::DF_1_PIE.0 != 0 => {
                    self.kind = Kind::StaticProgram;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_symbols<'data, R: ReadRef<'data>>(
        &mut self,
        sections: &Sections<'data, R>,
        endian: Endianness,
        data: R,
    ) -> Result<(), Error> {
        let dynamic = sections.symbols(endian, data, elf::SHT_DYNSYM)?;
        for symbol in dynamic.iter().skip(1).filter(|symbol| !symbol.is_local()) {
            let Some(name) = name_of(&dynamic, endian, symbol) else { continue };
            if symbol.is_undefined(endian) {
                self.undefined.insert(name);
            } else {
                self.defined.insert(name, symbol.st_visibility() == elf::STV_PROTECTED);
            }
        }
        for section in sections.iter() {
            let Some((relocations, table)) = section.rela(endian, data)? else { continue };
            if table != dynamic.section() || table == SectionIndex(0) {
                continue;
            }
            for symbol in relocations.iter().filter_map(|relocation| relocation.symbol(endian, false)) {
                self.bound_by_loader.extend(name_of(&dynamic, endian, dynamic.symbol(symbol)?));
            }
        }
        let all = sections.symbols(endian, data, elf::SHT_SYMTAB)?;
        for symbol in all.iter().filter(|symbol| !symbol.is_undefined(endian)) {
            self.hidden.extend(name_of(&all, endian, symbol).filter(|name| !self.exports(name)));
        }
        Ok(())
    }
}

/// Returns the name of the machine that the library is for.
pub fn our_machine() -> String {
    machine_name(elf::ELFCLASS64, elf::ELFDATA2LSB, TARGET.machine)
}

/// Returns the name of the machine that the beginning of an ELF file is for.
fn machine_of(start: &[u8]) -> String {
    let [class, order] = [4, 5].map(|at| start.get(at).copied().unwrap_or_default());
    let bytes = [18, 19].map(|at| start.get(at).copied().unwrap_or_default());
    let order = elf::DataEncoding(order);
    let machine =
        if order == elf::ELFDATA2MSB { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    machine_name(elf::FileClass(class), order, elf::Machine(machine))
}

/// Returns a name that no other machine has, since machines are compared by it.
fn machine_name(class: elf::FileClass, order: elf::DataEncoding, machine: elf::Machine) -> String {
    let class = match class {
        elf::ELFCLASS32 => "32-bit",
        elf::ELFCLASS64 => "64-bit",
        _ => "unknown",
    };
    let order = match order {
        elf::ELFDATA2LSB => "",
        elf::ELFDATA2MSB => ", big-endian",
        _ => ", of unknown byte order",
    };
    let name = match machine {
        elf::EM_X86_64 => "x86-64",
        elf::EM_386 => "x86",
        elf::EM_AARCH64 => "AArch64",
        elf::EM_ARM => "ARM",
        elf::EM_RISCV => "RISC-V",
        elf::EM_PPC64 => "POWER",
        elf::EM_S390 => "S/390",
        _ => return format!("{class} machine {}{order}", machine.0),
    };
    format!("{class} {name}{order}")
}

/// Returns the name of a symbol, if it says something about Droplet. Libraries have tens of thousands of others.
fn name_of<'data, R: ReadRef<'data>>(
    table: &SymbolTable<'data, Header, R>,
    endian: Endianness,
    symbol: &<Header as FileHeader>::Sym,
) -> Option<String> {
    let name = table.symbol_name(endian, symbol).unwrap_or_default();
    let says_something = name.starts_with(b"dpl") || matches!(name, b"SSL_CTX_new" | b"dlopen");
    says_something.then(|| String::from_utf8_lossy(name).into_owned())
}

fn has_trace_of_droplet<'data, R: ReadRef<'data>>(
    sections: &Sections<'data, R>,
    endian: Endianness,
    data: R,
) -> bool {
    let Some((_, section)) = sections.section_by_name(endian, b".rodata") else { return false };
    let constants = section.data(endian, data).unwrap_or_default();
    memmem::find(constants, TRACE_OF_DROPLET).is_some()
}
