//! Uses of connections that another thread may cancel.
//!
//! A use lasts from the checkout to the release. It has a number that no other use has, and [`cancel`] takes that number:
//! a pointer to a connection may lead to the next use of it. While a use is registered, the socket of its connection is
//! neither closed nor pooled. A call that cancels pins the use, shuts the socket down without a lock, and lets go; the
//! end of the use waits for that. So no socket of somebody else is ever shut down.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;

use droplet_client::os::fork;
use droplet_client::os::lock::Lock;
use droplet_client::os::sync::atomic::{AtomicU64, Ordering};
use droplet_client::os::sys::{self, OpenFile};

#[derive(Default)]
struct Use {
    /// The descriptor of its connection, and where that leads; `None` while there is no connection.
    socket: Option<(RawFd, OpenFile)>,
    /// True if a call makes its connection, or has made it.
    is_claimed: bool,
    is_cancelled: bool,
    /// The number of calls of [`cancel`] that are about to shut the socket down.
    pins: u32,
}

/// Number of parts of the table, each with a lock of its own.
const SHARDS: u64 = 16;

/// The uses by their numbers.
static USES: [Lock<BTreeMap<u64, Use>>; SHARDS as usize] =
    [const { Lock::new(BTreeMap::new()) }; SHARDS as usize];

fn shard(number: u64) -> &'static Lock<BTreeMap<u64, Use>> {
    &USES[(number % SHARDS) as usize]
}

/// Registers a use that has no connection yet. Returns its number. An error means that memory is short.
pub fn begin() -> io::Result<u64> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    fork::run_in_children(forget_parent)?;
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    shard(number).lock().insert(number, Use::default());
    Ok(number)
}

/// Changes a use, unless it is over.
fn with<T>(number: u64, change: impl FnOnce(&mut Use) -> T) -> Option<T> {
    shard(number).lock().get_mut(&number).map(change)
}

/// Claims a use for a call that makes its connection. Returns false if another call has claimed it, or if it is over.
pub fn claim(number: u64) -> bool {
    with(number, |it| !std::mem::replace(&mut it.is_claimed, true)).unwrap_or(false)
}

/// Sets the descriptor of the connection.
pub fn set_socket(number: u64, fd: RawFd, file: OpenFile) {
    with(number, |it| {
        it.socket = Some((fd, file));
        it.is_claimed = true;
    });
}

/// Takes the socket out of a use that goes on. Afterwards it may be closed: no call shuts it down any more.
pub fn take_socket(number: u64) {
    with(number, |it| it.socket = None);
    let is_pinned = || with(number, |it| it.pins > 0).unwrap_or(false);
    let mut round = 0_u32;
    while is_pinned() {
        fork::pause(round);
        round = round.saturating_add(1);
    }
}

/// Returns whether a use was cancelled.
pub fn is_cancelled(number: u64) -> bool {
    with(number, |it| it.is_cancelled).unwrap_or(false)
}

/// Cancels a use: shuts down the socket of its connection, if it has one. Returns false if the use is over.
pub fn cancel(number: u64) -> bool {
    cancel_by(number, sys::shut_down)
}

/// Cancels a use by calling `shut_down` with the descriptor of its connection.
pub(super) fn cancel_by(number: u64, shut_down: impl FnOnce(RawFd)) -> bool {
    let Some(socket) = pin(number) else { return false };
    // The program may have closed the descriptor, and another file may have its number.
    let is_open = |&(fd, file): &_| OpenFile::behind(fd).is_ok_and(|there| there == file);
    if let Some((fd, _)) = socket.filter(is_open) {
        shut_down(fd);
    }
    unpin(number);
    true
}

/// Marks a use as cancelled, and pins it. Returns its socket; `None` if the use is over.
fn pin(number: u64) -> Option<Option<(RawFd, OpenFile)>> {
    with(number, |it| {
        it.is_cancelled = true;
        it.pins += 1;
        it.socket
    })
}

fn unpin(number: u64) {
    with(number, |it| it.pins -= 1);
}

/// Ends a use, before its connection is closed or pooled. Returns whether it was cancelled.
pub fn end(number: u64) -> bool {
    let mut round = 0_u32;
    loop {
        let mut uses = shard(number).lock();
        match uses.get(&number) {
            None => return false,
            Some(it) if it.pins == 0 => {
                let is_cancelled = it.is_cancelled;
                uses.remove(&number);
                return is_cancelled;
            }
            Some(_) => drop(uses),
        }
        fork::pause(round);
        round = round.saturating_add(1);
    }
}

/// Forgets, in a forked child, the uses of the parent: their sockets are shared with it.
fn forget_parent() {
    for shard in &USES {
        shard.lock().clear();
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        (client, listener.accept().expect("accepted").0)
    }

    #[test]
    fn a_use_that_is_over_shuts_nothing_down() {
        let (client, mut server) = connected();
        let file = OpenFile::behind(client.as_raw_fd()).expect("open");
        let number = begin().expect("memory");
        set_socket(number, client.as_raw_fd(), file);
        assert!(!end(number));
        assert!(!cancel(number) && !claim(number));
        server.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
        assert!(server.read(&mut [0]).is_err(), "the peer sees no end");
    }

    #[test]
    fn another_file_in_the_place_of_the_socket_stays_open() {
        let (client, mut server) = connected();
        let (other, _peer) = connected();
        let other_file = OpenFile::behind(other.as_raw_fd()).expect("open");
        let number = begin().expect("memory");
        set_socket(number, client.as_raw_fd(), other_file);
        assert!(cancel(number));
        server.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
        assert!(server.read(&mut [0]).is_err(), "the peer sees no end");
        assert!(is_cancelled(number) && end(number));
    }

    #[test]
    fn a_cancelled_use_ends_for_both_sides() {
        let (mut client, mut server) = connected();
        let number = begin().expect("memory");
        set_socket(number, client.as_raw_fd(), OpenFile::behind(client.as_raw_fd()).expect("open"));
        assert!(cancel(number) && cancel(number));
        assert_eq!((client.read(&mut [0]).ok(), server.read(&mut [0]).ok()), (Some(0), Some(0)));
        assert!(end(number));
    }

    #[test]
    fn a_use_is_claimed_once() {
        let number = begin().expect("memory");
        assert!(claim(number) && !claim(number));
        assert!(!end(number));
        let (client, _server) = connected();
        let number = begin().expect("memory");
        set_socket(number, client.as_raw_fd(), OpenFile::behind(client.as_raw_fd()).expect("open"));
        assert!(!claim(number), "it has a connection");
        assert!(!end(number));
    }

    #[test]
    fn a_socket_is_taken_out_once_no_call_is_about_to_shut_it_down() {
        let (client, _server) = connected();
        let number = begin().expect("memory");
        set_socket(number, client.as_raw_fd(), OpenFile::behind(client.as_raw_fd()).expect("open"));
        assert!(pin(number).is_some_and(|socket| socket.is_some()));
        let is_taken = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                take_socket(number);
                is_taken.store(true, Ordering::Relaxed);
            });
            while with(number, |it| it.socket.is_some()) == Some(true) {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            assert!(!is_taken.load(Ordering::Relaxed), "the socket may be shut down at this moment");
            assert_eq!(pin(number), Some(None), "calls that come now leave it alone");
            unpin(number);
            unpin(number);
        });
        assert!(end(number));
    }

    #[test]
    fn a_child_has_no_use_of_its_parent() {
        let number = begin().expect("memory");
        // SAFETY: the child calls nothing but the function under test and _exit(2).
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_over = !cancel(number);
            // SAFETY: it has no requirements.
            unsafe { libc::_exit(i32::from(!is_over)) };
        }
        let mut status = -1;
        // SAFETY: `status` is writable.
        let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((ended, status), (child, 0));
        assert!(!end(number));
    }
}
