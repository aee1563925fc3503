//! A file of statistics for Prometheus, which a running program writes in passing (`DPLX_STATS_FILE`).
//!
//! One file has the statistics of all contexts of the process. Each context leaves a snapshot of its own every ten
//! seconds; a call that finds the file older than that writes it: a new file takes the place of the old one by
//! rename(2), so that a reader finds one or the other. No lock is held meanwhile, and no other call waits: if writing
//! takes long, on a file system that hangs, only the call that writes is late.
#![forbid(unsafe_code)]

mod prometheus;

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::mem;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{self, Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Table;
use crate::log::Log;
use crate::os::clock::Moment;
use crate::os::fork;
use crate::os::lock::Lock;
use crate::os::reserve;
use crate::os::sys::{self, Descriptor};
use prometheus::Snapshot;

/// The shortest time between two snapshots of a context, and between two files.
const INTERVAL: Duration = Duration::from_secs(10);

/// The largest number of freed contexts whose last statistics stay in the file.
const MOST_FREED: usize = 16;

/// The largest number of files that one call writes.
const MOST_ROUNDS: u32 = 8;

/// The number of the next context that has such a file.
static NEXT_CONTEXT: AtomicU64 = AtomicU64::new(1);

/// True if any context of this process has had one.
pub fn is_in_use() -> bool {
    NEXT_CONTEXT.load(Ordering::Relaxed) > 1
}

/// The time at which a context leaves its statistics.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// During a call.
    InPassing,
    /// When it is freed.
    Freed,
    /// When its process ends.
    AtExit,
}

/// The file of statistics, as one context sees it.
pub struct StatsFile {
    /// The path, in which `%p` stands for the number of the process.
    template: PathBuf,
    /// The number of the context.
    context: u64,
    /// The time of its next snapshot.
    next: AtomicU64,
}

/// The file of statistics of the process.
static FILE: Lock<Shared> = Lock::new(Shared::NEW);

struct Shared {
    /// The process that it belongs to ([`fork::generation`]).
    generation: u32,
    /// The newest snapshot of each context, and the last ones of some that were freed.
    snapshots: Vec<Arc<Snapshot>>,
    /// The time of the next file.
    next: Moment,
    is_being_written: bool,
    /// True if a context was freed while the file was being written.
    is_outdated: bool,
    /// True if the last file could not be written.
    has_failed: bool,
}

impl Shared {
    const NEW: Shared = Shared {
        generation: 0,
        snapshots: Vec::new(),
        next: Moment::from_nanoseconds(0),
        is_being_written: false,
        is_outdated: false,
        has_failed: false,
    };

    /// Forgets, in a forked child, what belongs to the parent.
    fn of_process(&mut self) -> &mut Shared {
        if self.generation != fork::generation() {
            *self = Shared { generation: fork::generation(), ..Shared::NEW };
        }
        self
    }

    /// Puts a snapshot in the place of the one before. Returns what it replaces.
    fn put(&mut self, snapshot: Arc<Snapshot>, when: When) -> Vec<Arc<Snapshot>> {
        let context = snapshot.context;
        let before = self.snapshots.iter().position(|other| other.context == context);
        let mut replaced: Vec<_> = before.map(|before| self.snapshots.remove(before)).into_iter().collect();
        let freed = self.snapshots.iter().filter(|other| other.is_last).count();
        if when == When::Freed && freed >= MOST_FREED {
            let oldest = self.snapshots.iter().position(|other| other.is_last);
            replaced.extend(oldest.map(|oldest| self.snapshots.remove(oldest)));
        }
        self.snapshots.push(snapshot);
        replaced
    }

    /// True for one caller, which writes the file then. All others leave it to that one.
    fn claim(&mut self, now: Moment, is_urgent: bool) -> bool {
        if self.is_being_written {
            self.is_outdated |= is_urgent;
            return false;
        }
        let is_due = is_urgent || self.next <= now;
        if is_due {
            self.is_being_written = true;
            self.is_outdated = false;
            self.next = now.after(INTERVAL);
        }
        is_due
    }

    /// Returns whether the one who writes writes once more, if it may.
    fn goes_on(&mut self, may: bool) -> bool {
        self.is_being_written = mem::take(&mut self.is_outdated) && may;
        self.is_being_written
    }
}

/// The claim of the call that writes the file. If writing panics, dropping it lets others write.
struct Claim;

impl Claim {
    /// Returns whether the call writes once more, if it may. If not, its claim has ended.
    fn goes_on(self, may: bool) -> bool {
        mem::forget(self);
        FILE.lock().of_process().goes_on(may)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        FILE.lock().of_process().is_being_written = false;
    }
}

impl StatsFile {
    /// The file that the environment names (`DPLX_STATS_FILE`), for a new context. A relative path is taken from the
    /// working directory of this moment.
    pub fn of_environment() -> Option<StatsFile> {
        let template = sys::environment("DPLX_STATS_FILE")?;
        let template = path::absolute(&template).unwrap_or_else(|_| template.into());
        let context = NEXT_CONTEXT.fetch_add(1, Ordering::Relaxed);
        Some(StatsFile { template, context, next: AtomicU64::new(0) })
    }

    /// True for one caller in ten seconds.
    pub fn is_due(&self, now: Moment) -> bool {
        let due = self.next.load(Ordering::Relaxed);
        let next = now.after(INTERVAL).nanoseconds();
        due <= now.nanoseconds()
            && self.next.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes the statistics of the context, and writes the file if it is old or these are the last. A failure is
    /// logged, once until a file can be written again.
    pub fn update(&self, table: Table, when: When, log: &impl Log) {
        if reserve::is_low() {
            return;
        }
        let is_last = when != When::InPassing;
        let snapshot = Arc::new(Snapshot { context: self.context, table, is_last });
        let (replaced, mut writes) = {
            let mut file = FILE.lock();
            let file = file.of_process();
            (file.put(snapshot, when), file.claim(Moment::now(), is_last))
        };
        drop(replaced);
        // Others that free contexts meanwhile leave their last statistics to this call, which must end all the same.
        let mut rounds = 0;
        while writes {
            let claim = Claim;
            self.write(log);
            rounds += 1;
            writes = claim.goes_on(rounds < MOST_ROUNDS);
        }
    }

    /// Writes the file.
    fn write(&self, log: &impl Log) {
        let snapshots = FILE.lock().of_process().snapshots.clone();
        let path = expanded(&self.template, process::id());
        let outcome = replace(&path, |to| prometheus::write(&snapshots, to));
        drop(snapshots);
        let had_failed = mem::replace(&mut FILE.lock().of_process().has_failed, outcome.is_err());
        let Err(error) = outcome else { return };
        if !had_failed {
            log!(log, Warning, "statistics file {}: {}", path.display(), sys::error_text(&error));
        }
    }
}

/// Returns a path with the number of the process for `%p`, and a percent sign for `%%`.
fn expanded(template: &Path, process: u32) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = template.as_os_str().as_bytes().iter();
    while let Some(byte) = rest.next() {
        match (byte, rest.as_slice().first()) {
            (b'%', Some(b'p')) => bytes.extend(process.to_string().bytes()),
            (b'%', Some(b'%')) => bytes.push(b'%'),
            _ => {
                bytes.push(*byte);
                continue;
            }
        }
        rest.next();
    }
    OsString::from_vec(bytes).into()
}

/// Writes a new file in the place of one that may be there. Until it is complete it has another name in the same
/// directory. Anything else than a regular file stays: a device such as /dev/null, a FIFO, a link.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<Output>) -> io::Result<()>) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("what is there is no regular file, and stays"));
    }
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{}.tmp", process::id()));
    let draft = path.with_file_name(name);
    let mut output = BufWriter::new(create(&draft)?);
    let written = write(&mut output).and_then(|()| output.flush());
    // What is left in the buffer after a failure must not be written on drop.
    drop(output.into_parts());
    let outcome = written.and_then(|()| fs::rename(&draft, path));
    if outcome.is_err() {
        let _ = fs::remove_file(&draft);
    }
    outcome
}

/// Creates a file. One that is there was left behind by a process of the same number, and is removed; nothing is written
/// to a file of others, nor through a link.
fn create(path: &Path) -> io::Result<Output> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    let file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        other => other?,
    };
    Ok(Output(Descriptor::of_new(file.into())?))
}

/// An open file. Its number is none of the standard streams', so that nothing else is written to it.
struct Output(Descriptor);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::without_file_size_signal(|| sys::write(&self.0, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
