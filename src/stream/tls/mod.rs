//! TLS over a socket, by the process's own OpenSSL.
//!
//! OpenSSL reads and writes through our [`Transport`], so that no operation raises SIGPIPE or waits
//! longer than it may, whoever calls it: C reads replies by `SSL_read(conn->ssl)` itself.
#![forbid(unsafe_code)]

mod handshake;
mod sessions;
mod transport;

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use arrayvec::ArrayVec;
use openssl::ssl::{self, ErrorCode, SslContext, SslRef, SslSession, SslStream};

pub use handshake::{Handshake, Refusal, Step, TlsPlan};
pub use sessions::Sessions;
use transport::{Patience, Transport};

use super::{Socket, TransferError, wait_readable, wait_writable};
use crate::sys;
use crate::tls_ffi::{self, with_its_locks, with_own_errors};

/// The most plaintext of one record (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// What every TLS connection of a context has in common.
#[derive(Clone)]
pub struct Security {
    /// Certificates, ciphers and verification.
    pub context: SslContext,
    /// How long a read may wait, when C calls for one; `None` is for ever.
    pub read_timeout: Option<Duration>,
}

/// An open TLS connection. Between our own calls C may read from it.
pub struct TlsStream {
    inner: SslStream<Transport>,
    read_timeout: Option<Duration>,
    /// Whether its session went to those that may be resumed.
    is_session_kept: bool,
    /// Whether the peer is told of the end.
    says_goodbye: bool,
}

impl TlsStream {
    fn new(inner: SslStream<Transport>, read_timeout: Option<Duration>) -> TlsStream {
        let mut stream = TlsStream { inner, read_timeout, is_session_kept: false, says_goodbye: true };
        stream.inner.get_mut().patience = Patience::UpTo(read_timeout);
        stream
    }

    /// Runs one of our own operations, which never waits inside OpenSSL.
    fn without_waiting<R>(&mut self, operation: impl FnOnce(&mut SslStream<Transport>) -> R) -> R {
        self.inner.get_mut().patience = Patience::None;
        let outcome = with_own_errors(|| operation(&mut self.inner));
        self.inner.get_mut().patience = Patience::UpTo(self.read_timeout);
        outcome
    }

    /// How long C's reads may wait from now on.
    #[inline]
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
        self.inner.get_mut().patience = Patience::UpTo(timeout);
    }

    /// Whether C's last read ended because it waited long enough.
    pub fn timed_out(&self) -> bool {
        self.inner.get_ref().timed_out
    }

    /// The socket below.
    #[inline]
    pub fn socket(&self) -> &Socket {
        &self.inner.get_ref().socket
    }

    /// Whether the handshake resumed a session.
    pub fn was_resumed(&self) -> bool {
        self.ssl().session_reused()
    }

    /// The SSL.
    pub fn ssl(&self) -> &SslRef {
        self.inner.ssl()
    }

    /// Whether it can be used again. What the peer sends unasked is taken in if it belongs to TLS itself
    /// (session tickets and key updates, RFC 8446, section 4.6); data, an alert or the end disqualify it.
    #[inline]
    pub fn is_good(&mut self) -> bool {
        sys::is_silent(self.socket()) || self.absorbs_what_came()
    }

    #[cold]
    fn absorbs_what_came(&mut self) -> bool {
        let outcome = self.without_waiting(|stream| with_its_locks(|| stream.ssl_peek(&mut [0])));
        // The rest of half a record may be anything.
        outcome.is_err_and(|error| error.code() == ErrorCode::WANT_READ) && !self.has_unread()
    }

    /// Whether data of the peer is left that nobody has read.
    #[inline]
    pub fn has_unread(&self) -> bool {
        !tls_ffi::is_between_records(self.ssl())
    }

    /// As [`super::Stream::read`].
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        self.without_waiting(|stream| {
            let mut deadline = None;
            loop {
                let error = match stream.ssl_read(buffer) {
                    Ok(count) => return Ok(count),
                    Err(error) => error,
                };
                let mut deadline = || *deadline.get_or_insert_with(|| sys::deadline(timeout));
                match error.code() {
                    ErrorCode::ZERO_RETURN => return Ok(0),
                    ErrorCode::WANT_READ => wait_readable(&stream.get_ref().socket, deadline())?,
                    ErrorCode::WANT_WRITE => wait_writable(&stream.get_ref().socket, deadline())?,
                    ErrorCode::SYSCALL if error.io_error().is_none() => return Err(cut_off()),
                    _ => return Err(TransferError::Io(into_io(error))),
                }
            }
        })
    }

    /// Writes all pieces: small ones share a record, large ones go out from where they lie.
    pub fn write_all(
        &mut self,
        pieces: &[IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        // After an end that was told of, perhaps by C, OpenSSL refuses by itself, and the transport never knows.
        let is_open = self.ssl().is_init_finished() && self.inner.get_shutdown().is_empty();
        if is_open {
            self.write_waiting(pieces, timeout)
        } else {
            with_own_errors(|| self.write_waiting(pieces, timeout))
        }
    }

    /// Writes with a transport that waits. It fails only for good then, and only a failure needs OpenSSL's queue
    /// of errors to itself: to look at that before and after each write would be a twentieth of a short one.
    fn write_waiting(
        &mut self,
        pieces: &[IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        let transport = self.inner.get_mut();
        transport.patience = Patience::UpTo(timeout);
        transport.puts_errors_aside = true;
        let outcome = match pieces {
            [only] => write(&mut self.inner, only),
            _ => write_gathered(&mut self.inner, pieces),
        };
        let transport = self.inner.get_mut();
        transport.patience = Patience::UpTo(self.read_timeout);
        transport.puts_errors_aside = false;
        transport.put_errors_back();
        outcome
    }

    /// Its session, once, as soon as it can be resumed.
    #[inline]
    pub fn new_session(&mut self) -> Option<SslSession> {
        if self.is_session_kept {
            return None;
        }
        let session = self.ssl().session().filter(|session| tls_ffi::is_resumable(session))?.to_owned();
        self.is_session_kept = true;
        Some(session)
    }

    /// Ends without a word to the peer: the connection failed, or is another process's.
    pub fn abandon(&mut self) {
        self.says_goodbye = false;
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        if self.says_goodbye {
            // A session stays resumable only if close_notify was sent (SSL_shutdown(3)); the peer's is not
            // waited for.
            self.without_waiting(|stream| {
                let _ = with_its_locks(|| stream.shutdown());
            });
        }
    }
}

impl AsRawFd for TlsStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

/// Writes all pieces, as many small ones to a record as it takes.
// Not inlined: a write that needs no such record would still touch the stack it lies on.
#[inline(never)]
fn write_gathered(stream: &mut SslStream<Transport>, pieces: &[IoSlice<'_>]) -> Result<(), TransferError> {
    let mut record = ArrayVec::<u8, RECORD>::new();
    for piece in pieces {
        let mut left: &[u8] = piece;
        if record.is_empty() {
            let (whole, rest) = left.split_at(left.len() - left.len() % RECORD);
            write(stream, whole)?;
            left = rest;
        }
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(record.remaining_capacity()));
            // It has the room.
            let _ = record.try_extend_from_slice(some);
            left = rest;
            if record.is_full() {
                write(stream, &record)?;
                record.clear();
            }
        }
    }
    write(stream, &record)
}

/// Writes a block.
fn write(stream: &mut SslStream<Transport>, mut left: &[u8]) -> Result<(), TransferError> {
    while !left.is_empty() {
        let count = stream.ssl_write(left).map_err(|error| match error.code() {
            ErrorCode::WANT_WRITE | ErrorCode::WANT_READ => TransferError::TimedOut,
            _ => TransferError::Io(into_io(error)),
        })?;
        left = &left[count..];
    }
    Ok(())
}

/// The end of TCP without that of TLS: anybody on the way may have cut the stream (RFC 8446, section 6.1).
fn cut_off() -> TransferError {
    let text = "the peer closed the connection without a close_notify";
    TransferError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, text))
}

fn into_io(error: ssl::Error) -> io::Error {
    let reason = error.ssl_error().and_then(|errors| errors.errors().first()?.reason());
    match reason {
        Some(reason) => io::Error::other(reason),
        None => error.into_io_error().unwrap_or_else(|_| io::ErrorKind::ConnectionAborted.into()),
    }
}
