//! The socket as OpenSSL reads and writes it.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::net::socket::{Socket, TransferError, with_timeout};
use crate::os::libssl::{self, Method};
use crate::os::sys::{self, PollFd};

/// A socket, with the timeout of the operations of OpenSSL on it.
pub struct Transport {
    /// The socket.
    pub socket: Socket,
    /// The time that a read or write may wait for a byte to move.
    pub timeout: Timeout,
    /// True if the last read timed out.
    pub timed_out: bool,
    /// True if the socket has failed.
    pub has_failed: bool,
}

/// The time to wait for a socket.
#[derive(Clone, Copy)]
pub enum Timeout {
    /// Does not wait.
    NoWait,
    /// Waits for this time; `None` is for ever.
    UpTo(Option<Duration>),
}

impl Transport {
    /// Makes a transport that does not wait.
    pub fn new(socket: Socket) -> Transport {
        Transport { socket, timeout: Timeout::NoWait, timed_out: false, has_failed: false }
    }

    /// Calls `operation` until it moves bytes, and waits for the socket within the timeout.
    fn with_timeout(
        &self,
        awaited: PollFd,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> Result<usize, TransferError> {
        match self.timeout {
            Timeout::UpTo(timeout) => with_timeout(awaited, timeout, operation),
            Timeout::NoWait => loop {
                match operation() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    outcome => return outcome.map_err(TransferError::Io),
                }
            },
        }
    }

    /// Turns an error into the one for OpenSSL: after a timeout that is "would block".
    #[cold]
    fn error_for_openssl(&mut self, error: TransferError) -> io::Error {
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
        outcome.map_err(|error| self.error_for_openssl(error))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.exchange.write();
        let piece = [IoSlice::new(bytes)];
        let outcome = self.with_timeout(PollFd::writable(&self.socket), || self.socket.send(&piece));
        outcome.map_err(|error| self.error_for_openssl(error))
    }
}
