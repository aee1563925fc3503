//! The socket as OpenSSL reads and writes it.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use crate::stream::Socket;
use crate::sys::{self, PollFd};

/// A socket as OpenSSL sees it.
pub struct Transport {
    /// The socket.
    pub socket: Socket,
    /// How long a read or write waits: nothing while one of our functions runs, which waits itself.
    pub patience: Patience,
    /// Whether the last read ended because it waited long enough.
    pub timed_out: bool,
    /// Counts the bytes sent, to tell progress.
    pub sent: u64,
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
        Transport { socket, patience: Patience::None, timed_out: false, sent: 0 }
    }

    /// Waits for the socket, or says that it would block.
    fn wait(&mut self, fd: PollFd, deadline: &mut Option<Option<Instant>>) -> io::Result<()> {
        let Patience::UpTo(timeout) = self.patience else { return Err(io::ErrorKind::WouldBlock.into()) };
        let deadline = *deadline.get_or_insert_with(|| sys::deadline(timeout));
        self.timed_out = !sys::wait(&mut [fd], deadline)?;
        if self.timed_out { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.timed_out = false;
        let mut deadline = None;
        loop {
            match sys::receive(&self.socket, buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFd::readable(&self.socket), &mut deadline)?;
                }
                outcome => return outcome,
            }
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut deadline = None;
        loop {
            match self.socket.send(&[IoSlice::new(bytes)]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFd::writable(&self.socket), &mut deadline)?;
                }
                Ok(count) => {
                    self.sent += count as u64;
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
