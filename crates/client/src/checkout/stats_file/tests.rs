use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

use super::*;
use crate::checkout::PoolStatistics;
use crate::log::{Level, Location};
use crate::pool::metrics::Metrics;

#[test]
fn a_path_has_the_number_of_the_process() {
    let expand = |template: &str| expanded(Path::new(template), 42).to_string_lossy().into_owned();
    assert_eq!(expand("/run/%p/x.%p.prom"), "/run/42/x.42.prom");
    assert_eq!(expand("/run/100%%p.prom"), "/run/100%p.prom");
    assert_eq!(expand("/run/%x%"), "/run/%x%");
}

#[test]
fn only_a_regular_file_is_replaced() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::os::unix::net::UnixListener;

    let folder = std::env::temp_dir().join(format!("droplet-stats-file-{}", process::id()));
    fs::create_dir(&folder).unwrap();
    let [file, link, socket, directory] =
        ["file", "link", "socket", "directory"].map(|name| folder.join(name));
    fs::write(&file, "old").unwrap();
    symlink(&file, &link).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::create_dir(&directory).unwrap();
    for other in [&link, &socket, &directory] {
        let outcome = replace(other, |to| to.write_all(b"new"));
        assert!(outcome.is_err(), "{}", other.display());
    }
    assert!(link.is_symlink() && directory.is_dir());
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    replace(&file, |to| to.write_all(b"new")).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4, "no draft is left");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_reason_why_no_file_can_be_created_is_told() {
    let error = create(&std::env::temp_dir().join("no-folder/")).err().expect("a failure");
    assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn one_caller_writes_and_is_told_what_came_meanwhile() {
    let now = Moment::default().after(INTERVAL);
    let mut file = Shared::NEW;
    assert!(file.claim(now, false));
    assert!(!file.claim(now.after(INTERVAL), false), "it is being written");
    assert!(!file.is_outdated);
    assert!(!file.claim(now, true));
    assert!(file.goes_on(true), "the writer writes once more");
    assert!(!file.goes_on(true));
    assert!(!file.claim(now, false), "it is new");
    assert!(file.claim(now.after(INTERVAL), false));
}

#[test]
fn a_context_leaves_a_snapshot_every_ten_seconds() {
    let file = file("unused", 1);
    let now = Moment::default().after(INTERVAL);
    assert!(file.is_due(now), "the first");
    assert!(!file.is_due(now) && !file.is_due(now.after(INTERVAL / 2)));
    assert!(file.is_due(now.after(INTERVAL)) && !file.is_due(now.after(INTERVAL)));
}

/// A log that calls a function for each line.
struct Calls<F>(F);

impl<F: Fn()> Log for Calls<F> {
    fn log(&self, _: Level, _: Location, _: fmt::Arguments<'_>) {
        self.0();
    }
    fn note(&self, _: fmt::Arguments<'_>) {}
    fn trace(&self, _: Location, _: fmt::Arguments<'_>) {}
}

fn file(path: impl Into<PathBuf>, context: u64) -> StatsFile {
    StatsFile { template: path.into(), context, next: AtomicU64::default() }
}

/// The last update of a context that was freed.
fn update_last(file: &StatsFile, log: &impl Log) {
    let counts = Metrics::default().counts();
    let pool = PoolStatistics { idle: 0, in_use: 0, connecting: 0, waiting: 0, reused: 0, counts };
    file.update(Table { pool, hosts: Vec::new() }, When::Freed, log);
}

/// The tests that write the file of this process take turns.
static WRITING: Mutex<()> = Mutex::new(());

#[test]
fn a_panic_while_writing_lets_others_write() {
    let _turn = WRITING.lock();
    let update = || update_last(&file("/dev/null/x", u64::MAX), &Calls(|| panic!("no room")));
    assert!(panic::catch_unwind(AssertUnwindSafe(update)).is_err(), "the failure is logged");
    assert!(!FILE.lock().of_process().is_being_written);
    FILE.lock().of_process().has_failed = false;
}

#[test]
fn what_another_context_leaves_while_the_file_is_written_gets_into_it() {
    let _turn = WRITING.lock();
    let folder = std::env::temp_dir().join(format!("droplet-stats-file-late-{}", process::id()));
    let path = folder.join("file");
    let [first, second] = [u64::MAX - 2, u64::MAX - 1].map(|context| file(&path, context));
    // The first attempt to write fails, for want of the folder. That is logged while the file is being written.
    let log = Calls(|| {
        fs::create_dir(&folder).unwrap();
        update_last(&second, &Calls(|| panic!("two write at once")));
    });
    update_last(&first, &log);
    let text = fs::read_to_string(&path).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    for StatsFile { context, .. } in [first, second] {
        assert!(text.contains(&format!("checkouts_failed_total{{context=\"{context}\"}} 0\n")), "{text}");
    }
}

#[test]
fn a_call_does_not_write_for_ever_what_others_leave() {
    let _turn = WRITING.lock();
    let file = file("/dev/null/x", u64::MAX - 3);
    let writes = AtomicU64::new(0);
    // Each attempt to write fails, and meanwhile another context leaves its last statistics.
    let log = Calls(|| {
        FILE.lock().of_process().has_failed = false;
        if writes.fetch_add(1, Ordering::Relaxed) < 100 {
            update_last(&file, &Calls(|| panic!("two write at once")));
        }
    });
    update_last(&file, &log);
    assert_eq!(writes.into_inner(), MOST_ROUNDS.into());
    assert!(!FILE.lock().of_process().is_being_written);
    FILE.lock().of_process().has_failed = false;
}
