//! A file, pipe or socket that C opened and handed over.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::{TransferError, patiently, wait_readable, wait_writable, write_all};
use crate::sys::{self, FileKind, PollFd};

/// After poll(2) a pipe takes this much without blocking (`PIPE_BUF`, pipe(7)).
const PIPE_BUFFER: usize = libc::PIPE_BUF;

/// An open descriptor of any kind.
pub enum File {
    /// Writes neither block for long nor raise SIGPIPE.
    Regular(fs::File),
    /// A socket.
    Socket(socket2::Socket),
    /// A pipe, terminal or device.
    Other(fs::File),
}

impl File {
    /// Takes the descriptor over, which leads to a file of this kind.
    pub fn new(kind: FileKind, fd: OwnedFd) -> File {
        match kind {
            FileKind::Regular => File::Regular(fd.into()),
            FileKind::Socket => File::Socket(fd.into()),
            FileKind::Other => File::Other(fd.into()),
        }
    }

    /// As [`super::Stream::write_all`].
    pub fn write_all(
        &mut self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        sys::without_cancellation(|| match self {
            File::Regular(file) => write_all(pieces, timeout, file, |some| (&*file).write_vectored(some)),
            File::Socket(socket) => write_all(pieces, timeout, socket, |some| sys::send(socket, some)),
            File::Other(file) => write_in_turns(file, pieces, timeout),
        })
    }

    /// As [`super::Stream::read`].
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        match self {
            File::Regular(file) => patiently(PollFd::readable(file), timeout, || (&*file).read(buffer)),
            File::Socket(socket) => {
                patiently(PollFd::readable(socket), timeout, || sys::receive(socket, buffer))
            }
            File::Other(file) => {
                // As for writing: it is not ours to make non-blocking.
                wait_readable(file, sys::deadline(timeout))?;
                patiently(PollFd::readable(file), timeout, || (&*file).read(buffer))
            }
        }
    }
}

/// Waits before every write, which is then short enough not to block: the descriptor may be shared with
/// others, so it is not ours to make non-blocking.
fn write_in_turns(
    file: &fs::File,
    pieces: &mut [IoSlice<'_>],
    timeout: Option<Duration>,
) -> Result<(), TransferError> {
    let mut deadline = sys::deadline(timeout);
    for piece in pieces {
        let mut left: &[u8] = piece;
        while !left.is_empty() {
            wait_writable(file, deadline)?;
            let some = &left[..left.len().min(PIPE_BUFFER)];
            match sys::without_sigpipe(|| (&*file).write(some)) {
                Ok(0) => return Err(TransferError::Io(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    left = &left[written..];
                    deadline = sys::deadline(timeout);
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(TransferError::Io(error)),
            }
        }
    }
    Ok(())
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            File::Regular(file) | File::Other(file) => file.as_raw_fd(),
            File::Socket(socket) => socket.as_raw_fd(),
        }
    }
}
