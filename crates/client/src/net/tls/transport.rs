//! The socket as OpenSSL reads and writes it.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::net::socket::{Socket, TransferError, with_timeout};
use crate::os::libssl::{self, Method};
use crate::os::sys::{self, PollFd};

/// A socket as OpenSSL sees it.
pub struct Transport {
    /// The socket.
    pub socket: Socket,
    /// How long a read or write waits for a byte to move.
    pub patience: Timeout,
    /// Whether the last read ended because it waited long enough.
    pub timed_out: bool,
    /// Whether the socket failed.
    pub has_failed: bool,
}

/// How long to wait for a socket.
#[derive(Clone, Copy)]
pub enum Timeout {
    /// Not at all.
    None,
    /// So long; for ever without a limit.
    UpTo(Option<Duration>),
}

impl Transport {
    /// A transport that does not wait.
    pub fn new(socket: Socket) -> Transport {
        Transport { socket, patience: Timeout::None, timed_out: false, has_failed: false }
    }

    /// Calls `operation` until it moves bytes, and waits for the socket as long as there is patience.
    fn with_timeout(
        &self,
        awaited: PollFd,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> Result<usize, TransferError> {
        match self.patience {
            Timeout::UpTo(timeout) => with_timeout(awaited, timeout, operation),
            Timeout::None => loop {
                match operation() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    outcome => return outcome.map_err(TransferError::Io),
                }
            },
        }
    }

    /// An error as OpenSSL is told of it: a wait that took too long would have blocked.
    #[cold]
    fn failure(&mut self, error: TransferError) -> io::Error {
        let error = match error {
            TransferError::TimedOut => io::ErrorKind::WouldBlock.into(),
            TransferError::Io(error) => error,
        };
        self.has_failed |= error.kind() != io::ErrorKind::WouldBlock;
        error
    }
}

impl AsRawFd for Transport {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl libssl::Transport for Transport {
    fn method() -> &'static Method {
        static METHOD: Method = Method::new();
        &METHOD
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome =
            self.with_timeout(PollFd::readable(&self.socket), || sys::receive(&self.socket, buffer));
        self.timed_out = matches!(outcome, Err(TransferError::TimedOut));
        if let Ok(count @ 1..) = outcome {
            self.socket.exchange.read(count);
        }
        outcome.map_err(|error| self.failure(error))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.exchange.write();
        let piece = [IoSlice::new(bytes)];
        let outcome = self.with_timeout(PollFd::writable(&self.socket), || self.socket.send(&piece));
        outcome.map_err(|error| self.failure(error))
    }
}
