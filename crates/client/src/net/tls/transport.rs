//! The socket as OpenSSL reads and writes it.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use super::bound::Bound;
use crate::net::socket::{Socket, TransferError, wait_readable, with_timeout};
use crate::os::libssl::{self, Method, Operation};
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
    /// True if the last operation was stopped although more had come ([`Timeout::NoWait`]).
    pub was_stopped: bool,
    bound: Bound,
}

/// The time to wait for a socket.
#[derive(Clone, Copy)]
pub enum Timeout {
    /// Does not wait, and stops an operation that reads very much.
    NoWait,
    /// Waits for this time; `None` is for ever.
    UpTo(Option<Duration>),
    /// Waits for this time in an operation of C, unless the options that C has set on the socket forbid it.
    OfProgram(Option<Duration>),
}

impl Transport {
    /// Makes a transport that does not wait.
    pub fn new(socket: Socket) -> Transport {
        Transport {
            socket,
            timeout: Timeout::NoWait,
            timed_out: false,
            has_failed: false,
            was_stopped: false,
            bound: Bound::default(),
        }
    }

    fn receive(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<usize, TransferError> {
        match self.timeout {
            Timeout::NoWait => {
                if !self.bound.allows_another_read() {
                    self.was_stopped = true;
                    return Err(TransferError::Io(io::ErrorKind::WouldBlock.into()));
                }
                let count = without_wait(|| sys::receive(&self.socket, buffer))?;
                self.bound.count_read(count);
                Ok(count)
            }
            Timeout::UpTo(timeout) => {
                if !self.bound.is_in_time(timeout) {
                    return Err(TransferError::TimedOut);
                }
                with_timeout(PollFd::readable(&self.socket), timeout, || sys::receive(&self.socket, buffer))
            }
            Timeout::OfProgram(timeout) => {
                self.bound.count_read_by_program(operation, timeout)?;
                loop {
                    match without_wait(|| sys::receive(&self.socket, buffer)) {
                        Err(TransferError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                            self.wait_for_program(operation, timeout)?;
                        }
                        outcome => return outcome,
                    }
                }
            }
        }
    }

    /// Waits for data in an operation of C.
    #[cold]
    fn wait_for_program(
        &mut self,
        operation: Operation,
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        if sys::is_nonblocking(&self.socket) {
            return Err(TransferError::TimedOut);
        }
        let timeout = match self.socket.receive_timeout() {
            Some(own) => Some(timeout.map_or(own, |timeout| timeout.min(own))),
            None => timeout,
        };
        let deadline = match timeout {
            Some(timeout) => self.bound.end_of_wait(operation, timeout)?,
            None => None,
        };
        wait_readable(&self.socket, deadline)?;
        self.bound.waited();
        Ok(())
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

    #[inline]
    fn begin(&mut self, operation: Operation) {
        self.was_stopped = false;
        self.bound.restart(operation);
    }

    fn read(&mut self, operation: Operation, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.receive(operation, buffer);
        self.timed_out = matches!(outcome, Err(TransferError::TimedOut));
        if self.timed_out {
            self.bound.restart(operation);
        }
        if let Ok(count @ 1..) = outcome {
            self.socket.exchange.read(count);
        }
        outcome.map_err(|error| self.error_for_openssl(error))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.exchange.write();
        let piece = [IoSlice::new(bytes)];
        let outcome = match self.timeout {
            Timeout::NoWait => without_wait(|| self.socket.send(&piece)),
            Timeout::UpTo(timeout) | Timeout::OfProgram(timeout) => {
                with_timeout(PollFd::writable(&self.socket), timeout, || self.socket.send(&piece))
            }
        };
        outcome.map_err(|error| self.error_for_openssl(error))
    }
}

/// Calls `operation` again after a signal.
fn without_wait(mut operation: impl FnMut() -> io::Result<usize>) -> Result<usize, TransferError> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome.map_err(TransferError::Io),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_does_not_end_a_transfer() {
        let mut calls = 0;
        let outcome = without_wait(|| {
            calls += 1;
            if calls == 1 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(3) }
        });
        assert_eq!(outcome.ok(), Some(3));
    }
}
