//! A file, pipe or socket that C has opened.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::net::socket::{TransferError, wait_readable, wait_to_retry, with_timeout, write_all};
use crate::os::sys::{self, Descriptor, FileKind, PollFd};

/// The number of bytes that a pipe accepts without blocking, once poll(2) has seen room (`PIPE_BUF`, pipe(7)).
const PIPE_BUFFER: usize = libc::PIPE_BUF;

/// An open descriptor of any kind.
pub struct File(Descriptor);

impl File {
    /// Makes the stream of a descriptor.
    pub fn new(descriptor: Descriptor) -> File {
        File(descriptor)
    }

    /// Returns its descriptor.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        &mut self.0
    }

    fn kind(&self) -> FileKind {
        self.0.file().kind()
    }

    /// As [`super::Stream::write_all`].
    pub fn write_all(
        &mut self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        let file = &self.0;
        sys::without_cancellation(|| match self.kind() {
            FileKind::Regular => write_all(pieces, timeout, file, |some| sys::write_vectored(file, some)),
            FileKind::Socket => write_all(pieces, timeout, file, |some| sys::send(file, some)),
            FileKind::Other => write_after_waits(file, pieces, timeout),
        })
    }

    /// As [`super::Stream::read`].
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        let file = &self.0;
        let readable = PollFd::readable(file);
        match self.kind() {
            FileKind::Regular => with_timeout(readable, timeout, || sys::read(file, buffer)),
            FileKind::Socket => with_timeout(readable, timeout, || sys::receive(file, buffer)),
            FileKind::Other => {
                // Waits first, since the descriptor may be blocking: see `write_after_waits`.
                wait_readable(file, sys::deadline(timeout))?;
                with_timeout(readable, timeout, || sys::read(file, buffer))
            }
        }
    }
}

/// Waits for room before each write, which is so short that it does not block. The descriptor cannot be made
/// non-blocking, since other processes may share it.
fn write_after_waits(
    file: &Descriptor,
    pieces: &mut [IoSlice<'_>],
    timeout: Option<Duration>,
) -> Result<(), TransferError> {
    let mut deadline = None;
    for piece in pieces {
        let mut left: &[u8] = piece;
        while !left.is_empty() {
            wait_to_retry(PollFd::writable(file), &mut deadline, timeout)?;
            let some = &left[..left.len().min(PIPE_BUFFER)];
            match sys::without_sigpipe(|| sys::write(file, some)) {
                Ok(0) => return Err(TransferError::Io(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    left = &left[written..];
                    deadline = None;
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
        self.0.as_raw_fd()
    }
}
