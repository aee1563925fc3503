//! The socket as OpenSSL reads and writes it.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use openssl::error::ErrorStack;

use crate::stream::{Socket, TransferError, patiently};
use crate::sys::{self, PollFd};
use crate::tls_ffi::take_errors;

/// A socket as OpenSSL sees it.
pub struct Transport {
    /// The socket.
    pub socket: Socket,
    /// How long a read or write waits for a byte to move.
    pub patience: Patience,
    /// Whether the last read ended because it waited long enough.
    pub timed_out: bool,
    /// Whether a failure finds errors in OpenSSL's queue that are the program's, and has to put them aside: what
    /// failed must have the queue to itself (SSL_get_error(3)).
    pub puts_errors_aside: bool,
    errors_aside: Option<ErrorStack>,
}

/// How long to wait for a socket.
#[derive(Clone, Copy)]
pub enum Patience {
    /// Not at all.
    None,
    /// So long; for ever without a limit.
    UpTo(Option<Duration>),
}

impl Transport {
    /// A transport that does not wait.
    pub fn new(socket: Socket) -> Transport {
        Transport {
            socket,
            patience: Patience::None,
            timed_out: false,
            puts_errors_aside: false,
            errors_aside: None,
        }
    }

    /// Puts the program's errors back, if a failure has put them aside.
    pub fn put_errors_back(&mut self) {
        if let Some(errors) = self.errors_aside.take() {
            errors.put();
        }
    }

    /// Calls `operation` until it moves bytes, and waits for the socket as long as there is patience.
    fn patiently(
        &self,
        awaited: PollFd,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> Result<usize, TransferError> {
        match self.patience {
            Patience::UpTo(timeout) => patiently(awaited, timeout, operation),
            Patience::None => loop {
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
        // Once: from then on those in the queue are of this operation.
        if std::mem::take(&mut self.puts_errors_aside) {
            self.errors_aside = take_errors();
        }
        match error {
            TransferError::TimedOut => io::ErrorKind::WouldBlock.into(),
            TransferError::Io(error) => error,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.patiently(PollFd::readable(&self.socket), || sys::receive(&self.socket, buffer));
        self.timed_out = matches!(outcome, Err(TransferError::TimedOut));
        outcome.map_err(|error| self.failure(error))
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = [IoSlice::new(bytes)];
        let outcome = self.patiently(PollFd::writable(&self.socket), || self.socket.send(&piece));
        outcome.map_err(|error| self.failure(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
