//! What a connection reads from and writes to.
#![forbid(unsafe_code)]

mod exchange;
mod file;
mod socket;

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use crate::net::tls::TlsStream;
pub use file::File;
pub use socket::Socket;

use crate::fault::Fault;
use crate::os::sys::{self, Descriptor, PollFd};
use crate::status::{Error, local_fault};

/// The most pieces one system call takes (`IOV_MAX`, writev(2)).
const MOST_PIECES: usize = 1024;

/// An open stream.
pub enum Stream {
    /// A TCP connection.
    Plain(Socket),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
    /// A local file that C handed us.
    File(File),
}

/// Why a read or write ended early.
#[derive(Debug)]
pub enum TransferError {
    /// Not a byte moved for as long as the caller would wait.
    TimedOut,
    /// The system's answer.
    Io(io::Error),
}

impl TransferError {
    /// The status for the caller.
    pub fn error(&self) -> Error {
        match self {
            TransferError::TimedOut => Error::TimedOut,
            TransferError::Io(_) => Error::Failure,
        }
    }

    /// Whether the peer had no part in it: the caller handed us memory or a descriptor that cannot be used
    /// (write(2)), a filter of this machine forbids it, or the system had no room.
    pub fn is_of_this_side(&self) -> bool {
        let TransferError::Io(error) = self else { return false };
        matches!(error.raw_os_error(), Some(libc::EFAULT | libc::EBADF | libc::ENOTSOCK | libc::EPERM))
            || local_fault(error).is_some()
    }
}

impl std::fmt::Display for TransferError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TransferError::TimedOut => f.write_str("timed out"),
            TransferError::Io(error) => f.write_str(&sys::error_text(error)),
        }
    }
}

impl Stream {
    /// Writes all pieces, in order. `timeout` bounds the time in which not a byte moves; `None` waits for
    /// ever, zero not at all.
    pub fn write_all(
        &mut self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        match self {
            Stream::Plain(socket) => {
                if pieces.iter().any(|piece| !piece.is_empty()) {
                    socket.exchange.write();
                }
                write_all(pieces, timeout, socket, |some| socket.send(some))
            }
            Stream::Tls(stream) => stream.write_all(pieces, timeout),
            Stream::File(file) => file.write_all(pieces, timeout),
        }
    }

    /// What the host is to blame for if a write failed so. Nothing, if this side is at fault; if the peer has
    /// answered before the request was complete, as servers do that refuse it and hang up; or if the connection
    /// had served before, since the peer may have closed it in between.
    pub fn fault_of_write(&mut self, error: &TransferError, has_served: bool) -> Option<Fault> {
        let fault = match error {
            TransferError::TimedOut => Fault::WriteTimedOut,
            TransferError::Io(_) if has_served || error.is_of_this_side() => return None,
            TransferError::Io(_) => Fault::Write,
        };
        (!self.has_reply()).then_some(fault)
    }

    /// Whether the peer has sent something that nobody has read yet. What came before a reset can still be read.
    fn has_reply(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => matches!(sys::peek(socket, &mut [0]), Ok(1..)),
            Stream::Tls(stream) => stream.has_data(),
            Stream::File(_) => false,
        }
    }

    /// Reads what there is, at least one byte; 0 tells of the end. `timeout` bounds the wait for the first
    /// byte; `None` waits for ever, zero not at all.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        match self {
            Stream::Plain(socket) => {
                let count = with_timeout(PollFd::readable(socket), timeout, || sys::receive(socket, buffer))?;
                if count > 0 {
                    socket.exchange.read(count);
                }
                Ok(count)
            }
            Stream::Tls(stream) => stream.read(buffer, timeout),
            Stream::File(file) => file.read(buffer, timeout),
        }
    }

    /// Whether an idle connection can be used again: open at both ends, and nothing was sent on it.
    #[inline(always)]
    pub fn is_good(&mut self) -> bool {
        if let Stream::Plain(socket) = self {
            return sys::is_silent(socket);
        }
        self.tls().is_some_and(TlsStream::is_good)
    }

    /// Whether the reply to what was written may still come: not a byte of it has. Nobody else may get it.
    #[inline]
    pub fn awaits_reply(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => socket.awaits_reply(),
            Stream::Tls(stream) => stream.awaits_reply(),
            Stream::File(_) => false,
        }
    }

    /// Somebody else has read a reply, past this. Under TLS that cannot happen.
    #[inline]
    pub fn was_read_elsewhere(&mut self) {
        if let Stream::Plain(socket) = self {
            socket.exchange.read_elsewhere();
        }
    }

    /// Takes an empty line from the socket, if that is what has come. Under TLS nobody looks.
    #[cold]
    pub fn take_empty_line(&mut self) -> bool {
        let Stream::Plain(socket) = self else { return false };
        let mut line = [0; 2];
        sys::peek(socket, &mut line).is_ok_and(|count| count == 2)
            && line == *b"\r\n"
            && sys::receive(socket, &mut line).is_ok()
    }

    /// Something may have been read past this, and more is about to be written: the reply to that is told
    /// from what came before by counting.
    pub fn count_what_came(&mut self) {
        if let Stream::Plain(socket) = self
            && socket.exchange.can_count()
        {
            socket.count_what_came();
        }
    }

    /// The descriptor below.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        match self {
            Stream::Plain(socket) => socket.descriptor(),
            Stream::Tls(stream) => stream.descriptor(),
            Stream::File(file) => file.descriptor(),
        }
    }

    /// The TLS layer, if there is one.
    #[inline]
    pub fn tls(&mut self) -> Option<&mut TlsStream> {
        match self {
            Stream::Tls(stream) => Some(stream),
            Stream::Plain(_) | Stream::File(_) => None,
        }
    }

    /// The socket, if it is a network connection.
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(stream) => Some(stream.socket()),
            Stream::File(_) => None,
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Stream::Plain(socket) => socket.as_raw_fd(),
            Stream::Tls(stream) => stream.as_raw_fd(),
            Stream::File(file) => file.as_raw_fd(),
        }
    }
}

/// The bytes of all pieces: of no more than one system call takes it is the true sum, since the kernel refuses
/// pieces that are longer than there are addresses.
fn length(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().fold(0, |length, piece| length.wrapping_add(piece.len()))
}

/// Calls `write` until all pieces are out, and waits on `fd` when it would block. The timeout starts
/// again whenever bytes move; a signal does not.
#[inline]
fn write_all(
    mut pieces: &mut [IoSlice<'_>],
    timeout: Option<Duration>,
    fd: &impl AsRawFd,
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> Result<(), TransferError> {
    let mut deadline = None;
    // Leading empty pieces go: a call that writes nothing could not be told from one that may not.
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        let some = &pieces[..pieces.len().min(MOST_PIECES)];
        match write(some) {
            Ok(0) => return Err(TransferError::Io(io::ErrorKind::WriteZero.into())),
            // As a rule: there is nothing left to walk to.
            Ok(written) if some.len() == pieces.len() && written == length(some) => return Ok(()),
            Ok(written) => {
                IoSlice::advance_slices(&mut pieces, written);
                deadline = None;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if deadline.is_none() {
                    deadline = sys::deadline(timeout);
                }
                wait_writable(fd, deadline)?;
            }
            Err(error) => return Err(TransferError::Io(error)),
        }
    }
    Ok(())
}

/// Calls `operation` until it moves bytes, and waits for what is awaited when it would block.
pub(super) fn with_timeout(
    awaited: PollFd,
    timeout: Option<Duration>,
    mut operation: impl FnMut() -> io::Result<usize>,
) -> Result<usize, TransferError> {
    let mut deadline = None;
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(awaited, *deadline.get_or_insert_with(|| sys::deadline(timeout)))?;
            }
            outcome => return outcome.map_err(TransferError::Io),
        }
    }
}

pub(super) fn wait_readable(fd: &impl AsRawFd, deadline: Option<Instant>) -> Result<(), TransferError> {
    wait(PollFd::readable(fd), deadline)
}

pub(super) fn wait_writable(fd: &impl AsRawFd, deadline: Option<Instant>) -> Result<(), TransferError> {
    wait(PollFd::writable(fd), deadline)
}

fn wait(fd: PollFd, deadline: Option<Instant>) -> Result<(), TransferError> {
    match sys::wait(&mut [fd], deadline) {
        Ok(true) => Ok(()),
        Ok(false) => Err(TransferError::TimedOut),
        Err(error) => Err(TransferError::Io(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Writes at most `most` bytes a call to a vector.
    fn through(pieces: &[&[u8]], most: usize) -> (Vec<u8>, usize) {
        let out = RefCell::new(Vec::new());
        let mut calls = 0;
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let never_waited_on = std::io::stdin();
        write_all(&mut slices, Some(Duration::ZERO), &never_waited_on, |some| {
            assert!(some.len() <= MOST_PIECES, "{} pieces in a call", some.len());
            calls += 1;
            let all: Vec<u8> = some.iter().flat_map(|piece| piece.iter().copied()).collect();
            let written = all.len().min(most);
            out.borrow_mut().extend_from_slice(&all[..written]);
            Ok(written)
        })
        .unwrap();
        (out.into_inner(), calls)
    }

    #[test]
    fn short_writes_lose_and_repeat_nothing() {
        let pieces: [&[u8]; 5] = [b"", b"abc", b"", b"defgh", b"i"];
        for most in 1..=9 {
            assert_eq!(through(&pieces, most).0, b"abcdefghi");
        }
    }

    #[test]
    fn nothing_to_write_writes_nothing() {
        assert_eq!(through(&[], 1).1, 0);
        assert_eq!(through(&[b"", b""], 1).1, 0);
    }

    #[test]
    fn many_pieces_take_several_calls() {
        let pieces = vec![b"x".as_slice(); 5000];
        let (out, calls) = through(&pieces, usize::MAX);
        assert_eq!((out.len(), calls), (5000, 5));
    }

    #[test]
    fn a_signal_is_no_failure() {
        let mut interrupted = false;
        let mut slices = [IoSlice::new(b"abc")];
        let outcome = write_all(&mut slices, None, &std::io::stdin(), |_| {
            if std::mem::replace(&mut interrupted, true) {
                Ok(3)
            } else {
                Err(io::ErrorKind::Interrupted.into())
            }
        });
        assert!(outcome.is_ok());
    }
}
