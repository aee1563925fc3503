//! The stream of a connection: a plain socket, TLS, or a file.
#![forbid(unsafe_code)]

mod file;

use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

pub use crate::net::socket::{Socket, TransferError};
pub use file::File;

use crate::fault::Fault;
use crate::net::socket::{with_timeout, write_all};
use crate::net::tls::TlsStream;
use crate::os::sys::{self, Descriptor, PollFd};

/// An open stream.
pub enum Stream {
    /// A TCP connection.
    Plain(Socket),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
    /// A file, pipe or socket that C has opened.
    File(File),
}

impl Stream {
    /// Writes all pieces, in order. Fails if no byte moves within the timeout: `None` waits for ever, zero does not
    /// wait.
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

    /// Returns the fault of the host if a write failed with this error. `None` if the host is not to blame:
    /// - This side caused the error.
    /// - The peer replied before the request was complete, as servers do that reject it and hang up.
    /// - The connection had served before, so that the peer may have closed it in between.
    pub fn fault_of_write(&mut self, error: &TransferError, has_served: bool) -> Option<Fault> {
        let fault = match error {
            TransferError::TimedOut => Fault::WriteTimedOut,
            TransferError::Io(_) if has_served || error.is_local() => return None,
            TransferError::Io(_) => Fault::Write,
        };
        (!self.has_data()).then_some(fault)
    }

    /// True if the peer has sent data that is not read yet. Data that came before a reset can still be read.
    fn has_data(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => matches!(sys::peek(socket, &mut [0]), Ok(1..)),
            Stream::Tls(stream) => stream.has_data(),
            Stream::File(_) => false,
        }
    }

    /// Reads what has come, at least one byte; 0 is the end of the stream. Fails if no byte comes within the timeout:
    /// `None` waits for ever, zero does not wait.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        match self {
            Stream::Plain(socket) => {
                let count = with_timeout(PollFd::readable(socket), timeout, || sys::receive(socket, buffer))?;
                socket.exchange.read(count);
                Ok(count)
            }
            Stream::Tls(stream) => stream.read(buffer, timeout),
            Stream::File(file) => file.read(buffer, timeout),
        }
    }

    /// True if an idle connection can be used again: it is open at both ends, and the peer has sent nothing.
    #[inline(always)]
    pub fn is_good(&mut self) -> bool {
        if let Stream::Plain(socket) = self {
            return sys::is_silent(socket);
        }
        self.tls().is_some_and(TlsStream::is_good)
    }

    /// True if nothing has come that was not read, neither data nor the end.
    pub fn is_silent(&mut self) -> bool {
        self.is_good() && !self.tls().is_some_and(|tls| tls.has_unread())
    }

    /// True if the reply to what was written may still come, since no byte of it has. The next user of the connection
    /// would read that reply.
    #[inline]
    pub fn awaits_reply(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => socket.awaits_reply(),
            Stream::Tls(stream) => stream.awaits_reply(),
            Stream::File(_) => false,
        }
    }

    /// True if certainly no byte has come since the last write. Where the program reads itself, nobody knows.
    pub fn is_unanswered(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => socket.exchange.can_count() && socket.awaits_reply(),
            Stream::Tls(stream) => stream.awaits_reply() && !stream.timed_out(),
            Stream::File(_) => false,
        }
    }

    /// Notes that the program has read a reply from the descriptor itself. Under TLS it cannot.
    #[inline]
    pub fn was_read_elsewhere(&mut self) {
        if let Stream::Plain(socket) = self {
            socket.exchange.read_elsewhere();
        }
    }

    /// Reads an empty line, if the next bytes of a plain socket are one. Returns whether they were.
    #[cold]
    pub fn take_empty_line(&mut self) -> bool {
        let Stream::Plain(socket) = self else { return false };
        let mut line = [0; 2];
        sys::peek(socket, &mut line).is_ok_and(|count| count == 2)
            && line == *b"\r\n"
            && sys::receive(socket, &mut line).is_ok()
    }

    /// Counts the bytes that have come, if the program may have read some of them from the descriptor itself. To be
    /// called before a write, so that the count tells the reply to it from bytes that came before.
    pub fn count_received(&mut self) {
        let Stream::Plain(socket) = self else { return };
        if socket.exchange.can_count() {
            socket.count_received();
        }
    }

    /// Returns the descriptor.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        match self {
            Stream::Plain(socket) => socket.descriptor(),
            Stream::Tls(stream) => stream.descriptor(),
            Stream::File(file) => file.descriptor(),
        }
    }

    /// Returns the TLS connection. `None` without TLS.
    #[inline]
    pub fn tls(&mut self) -> Option<&mut TlsStream> {
        match self {
            Stream::Tls(stream) => Some(stream),
            Stream::Plain(_) | Stream::File(_) => None,
        }
    }

    /// Returns the socket of a network connection. `None` for a file.
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;
    use crate::pool::permits::Permits;

    /// Returns a connection, and the peer's end.
    fn connected() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let permit = Permits::new(Box::new(|_| {})).acquire(1).unwrap();
        let socket = Socket::connect(listener.local_addr().unwrap(), permit).unwrap();
        let stream = Stream::Plain(socket);
        wait(&stream, PollFd::writable);
        (stream, listener.accept().unwrap().0)
    }

    fn wait(stream: &Stream, awaited: fn(&Stream) -> PollFd) {
        let deadline = Some(Instant::now() + Duration::from_secs(20));
        assert!(sys::wait(&mut [awaited(stream)], deadline).unwrap());
    }

    /// Returns what can be read without waiting.
    fn left(stream: &mut Stream) -> Vec<u8> {
        let mut bytes = [0; 16];
        let count = stream.read(&mut bytes, Some(Duration::ZERO)).unwrap_or(0);
        bytes[..count].to_vec()
    }

    #[test]
    fn only_an_empty_line_is_taken() {
        for (sent, is_taken, rest) in
            [("\r\n", true, ""), ("\r\nHTTP", true, "HTTP"), ("HT", false, "HT"), ("\r", false, "\r")]
        {
            let (mut stream, mut peer) = connected();
            peer.write_all(sent.as_bytes()).unwrap();
            wait(&stream, PollFd::readable);
            assert_eq!(stream.take_empty_line(), is_taken, "{sent:?}");
            assert_eq!(left(&mut stream), rest.as_bytes(), "{sent:?}");
        }
    }

    #[test]
    fn data_and_the_end_are_no_silence() {
        let (mut stream, mut peer) = connected();
        assert!(stream.is_silent());
        peer.write_all(b"x").unwrap();
        wait(&stream, PollFd::readable);
        assert!(!stream.is_silent());
        assert_eq!(left(&mut stream), b"x");
        assert!(stream.is_silent());
        drop(peer);
        wait(&stream, PollFd::readable);
        assert!(!stream.is_silent());
    }
}
