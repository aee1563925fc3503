//! Uses of connections that another thread may cancel.
//!
//! A use lasts from the checkout to the release. It has a number that no other use has, and [`cancel`] takes that number:
//! a pointer to a connection may lead to the next use of it. While a use is registered, the socket of its connection is
//! neither closed nor pooled. A call that cancels pins the use, shuts the socket down without a lock, and lets go; the
//! end of the use waits for that. So no socket of somebody else is ever shut down.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use droplet_client::os::fork;
use droplet_client::os::lock::Lock;
use droplet_client::os::sys::{self, OpenFile};

struct Use {
    number: u64,
    /// The descriptor of its connection, and where that leads; `None` while there is no connection.
    socket: Option<(RawFd, OpenFile)>,
    is_cancelled: bool,
    /// The number of calls of [`cancel`] that are about to shut the socket down.
    pins: u32,
}

static USES: Lock<Vec<Use>> = Lock::new(Vec::new());

/// Registers a use that has no connection yet. Returns its number.
pub fn begin() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    USES.lock().push(Use { number, socket: None, is_cancelled: false, pins: 0 });
    number
}

/// Changes a use, unless it is over.
fn with<T>(number: u64, change: impl FnOnce(&mut Use) -> T) -> Option<T> {
    USES.lock().iter_mut().find(|it| it.number == number).map(change)
}

/// Returns whether a use is registered.
pub fn is_registered(number: u64) -> bool {
    with(number, |_| ()).is_some()
}

/// Sets the descriptor of the connection.
pub fn set_socket(number: u64, fd: RawFd, file: OpenFile) {
    with(number, |it| it.socket = Some((fd, file)));
}

/// Returns whether a use was cancelled.
pub fn is_cancelled(number: u64) -> bool {
    with(number, |it| it.is_cancelled).unwrap_or(false)
}

/// Cancels a use: shuts down the socket of its connection, if it has one. Returns false if the use is over.
pub fn cancel(number: u64) -> bool {
    let pinned = with(number, |it| {
        it.is_cancelled = true;
        it.pins += 1;
        it.socket
    });
    let Some(socket) = pinned else { return false };
    // The program may have closed the descriptor, and another file may have its number.
    if let Some((fd, file)) = socket
        && OpenFile::behind(fd).is_ok_and(|there| there == file)
    {
        sys::shut_down(fd);
    }
    with(number, |it| it.pins -= 1);
    true
}

/// Ends a use, before its connection is closed or pooled. Returns whether it was cancelled.
pub fn end(number: u64) -> bool {
    let mut round = 0_u32;
    loop {
        let mut uses = USES.lock();
        let Some(place) = uses.iter().position(|it| it.number == number) else { return false };
        if uses[place].pins == 0 {
            return uses.swap_remove(place).is_cancelled;
        }
        drop(uses);
        fork::pause(round);
        round = round.saturating_add(1);
    }
}

/// Forgets, in a forked child, the uses of the parent: their sockets are shared with it.
pub fn forget_parent() {
    USES.lock().clear();
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
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
        let number = begin();
        set_socket(number, client.as_raw_fd(), file);
        assert!(!end(number));
        assert!(!cancel(number) && !is_registered(number));
        server.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
        assert!(server.read(&mut [0]).is_err(), "the peer sees no end");
    }

    #[test]
    fn another_file_in_the_place_of_the_socket_stays_open() {
        let (client, mut server) = connected();
        let (other, _peer) = connected();
        let other_file = OpenFile::behind(other.as_raw_fd()).expect("open");
        let number = begin();
        set_socket(number, client.as_raw_fd(), other_file);
        assert!(cancel(number));
        server.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
        assert!(server.read(&mut [0]).is_err(), "the peer sees no end");
        assert!(is_cancelled(number) && end(number));
    }

    #[test]
    fn a_cancelled_use_ends_for_both_sides() {
        let (mut client, mut server) = connected();
        let number = begin();
        set_socket(number, client.as_raw_fd(), OpenFile::behind(client.as_raw_fd()).expect("open"));
        assert!(cancel(number) && cancel(number));
        assert_eq!((client.read(&mut [0]).ok(), server.read(&mut [0]).ok()), (Some(0), Some(0)));
        assert!(end(number));
    }
}
