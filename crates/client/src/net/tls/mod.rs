//! TLS over a socket, by the process's own OpenSSL.
//!
//! OpenSSL reads and writes through [`Transport`], so that no operation raises SIGPIPE or exceeds its timeout. That
//! holds also for Droplet and the program, which read replies by `SSL_read(conn->ssl)` themselves.
#![forbid(unsafe_code)]

mod bound;
mod error;
mod handshake;
mod peer;
mod sessions;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

use std::ffi::c_void;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use foreign_types_shared::ForeignTypeRef;
use openssl::ssl::{SslContext, SslRef, SslSession, SslSessionRef, SslVerifyMode, SslVersion};

pub use error::HandshakeError;
pub use handshake::{Failed, Handshake, Step, TlsPlan};
pub use peer::PeerName;
use sessions::Scope;
pub use sessions::Sessions;
use transport::{Timeout, Transport};

use crate::net::socket::{Socket, TransferError, wait_to_retry};
use crate::os::libssl::{self, Channel, SslError, in_tls_step, is_out_of_memory, with_own_errors};
use crate::os::sys::{self, Descriptor, PollFd};

/// The largest plaintext of a record in bytes (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// The settings that all TLS connections of a context share.
#[derive(Clone)]
pub struct Security {
    /// The `SSL_CTX`: certificates, ciphers and verification.
    pub context: SslContext,
    /// The timeout of a read by C; `None` waits for ever.
    pub read_timeout: Option<Duration>,
}

/// An open TLS connection. C may read from its SSL between calls of this type.
pub struct TlsStream {
    channel: Channel<Transport>,
    read_timeout: Option<Duration>,
    sessions: Arc<Sessions>,
    /// The data to keep its session with; `None` once that was done.
    new_session: Option<NewSession>,
    /// The address of its `SSL_CTX`, to which it has a reference, and the verify mode at the handshake.
    made_under: (usize, SslVerifyMode),
    /// True once [`TlsStream::read`] has returned data.
    has_reply: bool,
    /// True once a failure was blamed on the session that it resumed.
    has_blamed_session: bool,
    /// True if drop sends a close_notify.
    sends_close_notify: bool,
}

/// The scope of a new session, and the session that the handshake offered.
struct NewSession {
    scope: Scope,
    offered: Option<SslSession>,
}

impl TlsStream {
    fn new(
        channel: Channel<Transport>,
        read_timeout: Option<Duration>,
        sessions: Arc<Sessions>,
        new_session: NewSession,
    ) -> TlsStream {
        let made_under = (channel.ssl_context().as_ptr().addr(), new_session.scope.verify_mode());
        let mut stream = TlsStream {
            channel,
            made_under,
            read_timeout,
            sessions,
            new_session: Some(new_session),
            has_reply: false,
            has_blamed_session: false,
            sends_close_notify: true,
        };
        stream.set_read_timeout(read_timeout);
        // The last message of the handshake has no reply.
        stream.channel.transport_mut().socket.exchange.settle();
        stream
    }

    /// Runs an operation. `timeout` is for each read and write of the socket.
    #[inline]
    fn run<R>(&mut self, timeout: Timeout, operation: impl FnOnce(&mut Channel<Transport>) -> R) -> R {
        self.channel.transport_mut().timeout = timeout;
        let outcome = with_own_errors(|| operation(&mut self.channel));
        self.channel.transport_mut().timeout = Timeout::OfProgram(self.read_timeout);
        outcome
    }

    /// Sets the timeout of reads by C.
    #[inline]
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
        self.channel.transport_mut().timeout = Timeout::OfProgram(timeout);
    }

    /// True if the reply to what was written may still come. A read that has timed out leaves that open even if bytes
    /// have come: they may have been session tickets.
    #[inline]
    pub fn awaits_reply(&self) -> bool {
        let transport = self.channel.transport();
        transport.socket.exchange.awaits_reply() || transport.timed_out
    }

    /// Returns the descriptor of the socket.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        self.channel.transport_mut().socket.descriptor()
    }

    /// True if the last read, by C or by [`TlsStream::read`], timed out.
    pub fn timed_out(&self) -> bool {
        self.channel.transport().timed_out
    }

    /// Returns the socket.
    #[inline]
    pub fn socket(&self) -> &Socket {
        &self.channel.transport().socket
    }

    /// True if the handshake resumed a session.
    pub fn was_resumed(&self) -> bool {
        self.ssl().session_reused()
    }

    /// Returns the SSL.
    pub fn ssl(&self) -> &SslRef {
        &self.channel
    }

    /// Returns pointers to the SSL and its BIO, for C.
    pub fn raw(&self) -> (*mut c_void, *mut c_void) {
        self.channel.raw()
    }

    /// True if it was made with this `SSL_CTX`, and the verify mode of that has not changed since.
    #[inline]
    pub fn was_made_under(&self, context: *const c_void) -> bool {
        let (own, mode) = self.made_under;
        own == context.addr() && self.ssl().ssl_context().verify_mode() == mode
    }

    /// True if an idle connection can be used again. Session tickets and key updates (RFC 8446, section 4.6) do no
    /// harm; data, an alert or the end of the stream do.
    #[inline]
    pub fn is_good(&mut self) -> bool {
        sys::is_silent(self.socket()) || self.process_pending()
    }

    /// Has OpenSSL process what the peer has sent. Returns whether the connection is still good.
    #[cold]
    fn process_pending(&mut self) -> bool {
        // Not by OpenSSL at the end of the stream: it would make the session not resumable. And if the program has
        // closed the socket and opened a file under its number, the data is the file's.
        if !self.socket().is_own() || matches!(sys::peek(self.socket(), &mut [0]), Ok(0)) {
            return false;
        }
        let outcome = self.run(Timeout::NoWait, |channel| in_tls_step(|| channel.peek()));
        // OpenSSL answers a key update. That answer has no reply.
        self.channel.transport_mut().socket.exchange.settle();
        // Half a record may turn out to be data, as may what was left unread.
        matches!(outcome, Err(SslError::WantsRead))
            && !self.channel.transport().was_stopped
            && !self.has_unread()
    }

    /// True if data can be read without waiting.
    pub fn has_data(&mut self) -> bool {
        self.run(Timeout::NoWait, |channel| in_tls_step(|| channel.peek())).is_ok()
    }

    /// True if received bytes are left in OpenSSL's buffers.
    #[inline]
    pub fn has_unread(&self) -> bool {
        !self.channel.is_between_records()
    }

    /// As [`super::Stream::read`].
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        let outcome = self.run(Timeout::NoWait, |channel| {
            let mut deadline = None;
            loop {
                let error = match in_tls_step(|| channel.read(buffer)) {
                    Ok(count) => return Ok(count),
                    Err(error) => error,
                };
                let awaited = match error {
                    SslError::Closed => return Ok(0),
                    SslError::WantsRead => PollFd::readable,
                    SslError::WantsWrite => PollFd::writable,
                    other => return Err(transfer_error(other)),
                };
                // Messages of TLS itself may keep coming.
                wait_to_retry(awaited(channel.transport()), &mut deadline, timeout)?;
            }
        });
        self.channel.transport_mut().timed_out = matches!(outcome, Err(TransferError::TimedOut));
        match outcome {
            Ok(1..) => self.has_reply = true,
            Err(TransferError::Io(_)) => _ = self.failed_unanswered(),
            _ => {}
        }
        outcome
    }

    /// Writes all pieces. Small ones are gathered into one record; large ones are not copied.
    pub fn write_all(
        &mut self,
        pieces: &[IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        self.run(Timeout::UpTo(timeout), |channel| match pieces {
            [only] => write(channel, only),
            _ => write_gathered(channel, pieces),
        })
    }

    /// Adds its session to the cache, as soon as it can be resumed, and only once.
    #[inline]
    pub fn keep_session(&mut self) {
        if self.new_session.is_some() {
            self.keep_session_once();
        }
    }

    fn keep_session_once(&mut self) {
        let is_new = |session: &&SslSessionRef| {
            let offered = self.new_session.as_ref().and_then(|new| new.offered.as_deref());
            // The ticket that this handshake offered serves no other connection (RFC 8446, appendix C.4).
            session.protocol_version() != SslVersion::TLS1_3
                || offered.is_none_or(|offered| !ptr::eq(offered, *session))
        };
        let session = self.channel.session().filter(|session| libssl::is_resumable(session)).filter(is_new);
        let Some(session) = session.map(ToOwned::to_owned) else { return };
        if let Some(new) = self.new_session.take() {
            self.sessions.put(session, new.scope);
        }
    }

    /// Notes that the connection has failed before a reply. Returns whether the session that it resumed may be the
    /// reason, so that the host is not to blame: a server may reject a session of TLS 1.3 after the handshake.
    pub fn failed_unanswered(&mut self) -> bool {
        let is_suspicious = self.was_resumed() && !self.has_reply && !self.timed_out();
        if is_suspicious && !self.has_blamed_session {
            self.has_blamed_session = true;
            self.sessions.refused("the connection failed before its first reply");
        }
        is_suspicious
    }

    /// Has drop send no close_notify, since the connection has failed or belongs to another process.
    pub fn abandon(&mut self) {
        self.sends_close_notify = false;
    }

    /// Leaves the connection to the program, which has taken the SSL, and the descriptor unless `closes`.
    pub fn leave_to_program(mut self, closes: bool) {
        self.abandon();
        self.channel.transport_mut().socket.leave_to_program(closes);
        self.channel.leave_to_program();
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        // A file that the program has opened under the number of the socket must not get a close_notify.
        if !self.sends_close_notify || !self.socket().is_own() {
            return;
        }
        let transport = self.channel.transport();
        if !transport.has_failed && !transport.timed_out {
            self.keep_session();
        }
        // OpenSSL makes a session not resumable if no close_notify was sent (SSL_shutdown(3)). The peer's is not
        // waited for.
        self.run(Timeout::NoWait, |channel| in_tls_step(|| channel.send_close_notify()));
    }
}

impl AsRawFd for TlsStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

/// Writes all pieces, and gathers small ones into records.
///
/// The buffer of the record is on the heap, since the program's threads may have small stacks. If memory is short,
/// each piece has records of its own.
#[inline(never)]
fn write_gathered(channel: &mut Channel<Transport>, pieces: &[IoSlice<'_>]) -> Result<(), TransferError> {
    let length = pieces.iter().fold(0_usize, |length, piece| length.saturating_add(piece.len()));
    let mut record = Vec::new();
    if record.try_reserve_exact(length.min(RECORD)).is_err() {
        return pieces.iter().try_for_each(|piece| write(channel, piece));
    }
    for piece in pieces {
        let mut left: &[u8] = piece;
        if record.is_empty() {
            let (whole, rest) = left.split_at(left.len() - left.len() % RECORD);
            write(channel, whole)?;
            left = rest;
        }
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(RECORD - record.len()));
            record.extend_from_slice(some);
            left = rest;
            if record.len() == RECORD {
                write(channel, &record)?;
                record.clear();
            }
        }
    }
    write(channel, &record)
}

/// Writes all of `left`.
#[inline]
fn write(channel: &mut Channel<Transport>, mut left: &[u8]) -> Result<(), TransferError> {
    while !left.is_empty() {
        let count = channel.write(left).map_err(transfer_error)?;
        left = &left[count..];
    }
    Ok(())
}

/// Turns an error of OpenSSL into one for the caller. "Wants to read" means that the transport has timed out.
fn transfer_error(error: SslError) -> TransferError {
    let error = match error {
        SslError::WantsRead | SslError::WantsWrite => return TransferError::TimedOut,
        SslError::Io(error) => error,
        SslError::Closed => io::ErrorKind::ConnectionAborted.into(),
        SslError::OutOfMemory => io::Error::from_raw_os_error(libc::ENOMEM),
        SslError::CutOff => {
            let text = "the peer closed the connection without a close_notify";
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        }
        SslError::Tls(errors) if is_out_of_memory(&errors) => io::Error::from_raw_os_error(libc::ENOMEM),
        SslError::Tls(errors) => match errors.errors().first().and_then(|error| error.reason()) {
            Some(reason) => io::Error::other(reason),
            None => io::ErrorKind::ConnectionAborted.into(),
        },
    };
    TransferError::Io(error)
}
