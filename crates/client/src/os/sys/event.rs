//! An event that poll(2) can wait for.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Descriptor, check, file};

/// An event that happens once. Until it is dropped, it stays ready for everybody who waits.
///
/// It is a pipe, into which one byte is written. An eventfd(2) would take one descriptor instead of two. But all
/// eventfds and epoll descriptors of a system have the same inode, so that a [`Descriptor`] could not tell its own
/// from one of the program that has got its number.
pub struct Event {
    reader: Descriptor,
    writer: Descriptor,
}

impl Event {
    /// Makes an event. Takes two descriptors.
    pub fn new() -> io::Result<Event> {
        let [reader, writer] = pipe()?;
        Ok(Event { reader: Descriptor::of_new(reader)?, writer: Descriptor::of_new(writer)? })
    }

    /// Makes it ready. To be called once: the pipe has room for the byte, so that the write does not wait.
    pub fn set(&self) {
        if self.writer.is_own() {
            let write = || file::without_sigpipe(|| file::write(&self.writer, &[0]));
            // It fails for good only if the program has closed the other end.
            while write().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        }
    }
}

/// Makes a pipe (pipe2(2)). Returns its end for reading, and the one for writing.
fn pipe() -> io::Result<[OwnedFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` is writable.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: pipe2(2) has succeeded, so that both are open, and nobody else owns them.
    Ok(ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }))
}

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::{PollFd, wait};
    use super::*;

    #[test]
    fn an_event_stays_ready_once_it_has_happened() {
        let event = Event::new().unwrap();
        let is_ready = || wait(&mut [PollFd::readable(&event)], Some(Instant::now())).unwrap();
        assert!(!is_ready());
        event.set();
        assert!(is_ready() && is_ready());
    }
}
