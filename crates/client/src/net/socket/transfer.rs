//! Reads and writes that wait until bytes move, at most for a timeout.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::os::sys::{self, PollFd};
use crate::status::{Error, local_fault};

/// The largest number of pieces that one system call takes (`IOV_MAX`, writev(2)).
const MAX_PIECES: usize = 1024;

/// A failed read or write.
#[derive(Debug)]
pub enum TransferError {
    /// No byte moved within the timeout.
    TimedOut,
    /// The system reported an error.
    Io(io::Error),
}

impl TransferError {
    /// Returns the status for the caller.
    pub fn error(&self) -> Error {
        match self {
            TransferError::TimedOut => Error::TimedOut,
            TransferError::Io(error) if error.kind() == io::ErrorKind::OutOfMemory => Error::OutOfMemory,
            TransferError::Io(_) => Error::Failure,
        }
    }

    /// True if the peer did not cause it: the caller passed memory or a descriptor that cannot be used (write(2)), a
    /// packet filter of this machine forbids it, or memory is short.
    pub fn is_local(&self) -> bool {
        let TransferError::Io(error) = self else { return false };
        matches!(error.raw_os_error(), Some(libc::EFAULT | libc::EBADF | libc::ENOTSOCK | libc::EPERM))
            || local_fault(error).is_some()
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::TimedOut => f.write_str("timed out"),
            TransferError::Io(error) => f.write_str(&sys::error_text(error)),
        }
    }
}

/// Returns the total length in bytes of the pieces of one system call. If that has succeeded, the sum has not wrapped
/// around: the kernel rejects longer vectors.
fn total_length(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().fold(0, |length, piece| length.wrapping_add(piece.len()))
}

/// Calls `write` until all pieces are written, and waits for `fd` where it would block. The timeout starts again
/// whenever bytes move, but not after a signal.
#[inline]
pub fn write_all(
    mut pieces: &mut [IoSlice<'_>],
    timeout: Option<Duration>,
    fd: &impl AsRawFd,
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> Result<(), TransferError> {
    let mut deadline = None;
    // Skips leading empty pieces: a call that has nothing to write returns 0, as does one that cannot write.
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        let some = &pieces[..pieces.len().min(MAX_PIECES)];
        match write(some) {
            Ok(0) => return Err(TransferError::Io(io::ErrorKind::WriteZero.into())),
            // The usual case. Spares a walk over all pieces.
            Ok(written) if some.len() == pieces.len() && written == total_length(some) => return Ok(()),
            Ok(written) => {
                IoSlice::advance_slices(&mut pieces, written);
                deadline = None;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait_to_retry(PollFd::writable(fd), &mut deadline, timeout)?;
            }
            Err(error) => return Err(TransferError::Io(error)),
        }
    }
    Ok(())
}

/// Calls `operation` until it moves bytes, and waits for the event `awaited` where it would block.
pub fn with_timeout(
    awaited: PollFd,
    timeout: Option<Duration>,
    mut operation: impl FnMut() -> io::Result<usize>,
) -> Result<usize, TransferError> {
    let mut deadline = None;
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait_to_retry(awaited, &mut deadline, timeout)?;
            }
            outcome => return outcome.map_err(TransferError::Io),
        }
    }
}

/// Waits where an operation would block. The first wait sets the deadline. Once that has passed, there is no other:
/// poll(2) may see an event again and again with which the operation can do nothing.
pub fn wait_to_retry(
    awaited: PollFd,
    deadline: &mut Option<Option<Instant>>,
    timeout: Option<Duration>,
) -> Result<(), TransferError> {
    if deadline.flatten().is_some_and(|deadline| deadline <= Instant::now()) {
        return Err(TransferError::TimedOut);
    }
    wait(awaited, *deadline.get_or_insert_with(|| sys::deadline(timeout)))
}

/// Waits until there is something to read.
pub fn wait_readable(fd: &impl AsRawFd, deadline: Option<Instant>) -> Result<(), TransferError> {
    wait(PollFd::readable(fd), deadline)
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
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Writes the pieces, `most` bytes a call at most. Returns the written bytes and the number of calls.
    fn through(pieces: &[&[u8]], most: usize) -> (Vec<u8>, usize) {
        let out = RefCell::new(Vec::new());
        let mut calls = 0;
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let unused = std::io::stdin();
        write_all(&mut slices, Some(Duration::ZERO), &unused, |some| {
            assert!(some.len() <= MAX_PIECES, "{} pieces in one call", some.len());
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
    fn a_call_that_a_signal_interrupts_is_repeated() {
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

    #[test]
    fn a_signal_does_not_end_a_transfer() {
        let mut calls = 0;
        let outcome = with_timeout(PollFd::readable(&std::io::stdin()), Some(Duration::ZERO), || {
            calls += 1;
            if calls == 1 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(3) }
        });
        assert_eq!(outcome.ok(), Some(3));
    }

    #[test]
    fn a_wait_that_is_of_no_use_ends_at_the_deadline() {
        // There is room at any time.
        let (room, _peer) = UnixStream::pair().unwrap();
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let begin = Instant::now();
            let outcome =
                with_timeout(
                    PollFd::writable(&room),
                    Some(timeout),
                    || Err(io::ErrorKind::WouldBlock.into()),
                );
            assert!(matches!(outcome, Err(TransferError::TimedOut)) && begin.elapsed() >= timeout);
            let mut slices = [IoSlice::new(b"abc")];
            let outcome =
                write_all(&mut slices, Some(timeout), &room, |_| Err(io::ErrorKind::WouldBlock.into()));
            assert!(matches!(outcome, Err(TransferError::TimedOut)));
        }
    }

    #[test]
    fn a_lack_of_memory_is_told_from_other_failures() {
        let failed = |number| TransferError::Io(io::Error::from_raw_os_error(number)).error();
        assert_eq!(failed(libc::ENOMEM), Error::OutOfMemory);
        assert_eq!(failed(libc::ECONNRESET), Error::Failure);
    }
}
