//! TLS over a socket, by the process's own OpenSSL.
//!
//! OpenSSL reads and writes through our [`Transport`], so that no operation raises SIGPIPE or waits
//! longer than it may, whoever calls it: C reads replies by `SSL_read(conn->ssl)` itself.
#![forbid(unsafe_code)]

mod handshake;
mod peer;
mod refusal;
mod sessions;
#[cfg(test)]
mod tests;
mod transport;

use std::ffi::c_void;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use foreign_types_shared::ForeignTypeRef;
use openssl::ssl::{SslContext, SslRef, SslSession, SslSessionRef, SslVerifyMode, SslVersion};

pub use handshake::{Failed, Handshake, Step, TlsPlan};
pub use peer::PeerName;
pub use refusal::Refusal;
use sessions::Basis;
pub use sessions::Sessions;
use transport::{Timeout, Transport};

use crate::net::socket::{Socket, TransferError, wait_readable, wait_writable};
use crate::os::libssl::{self, Channel, Stop, with_its_locks, with_own_errors};
use crate::os::sys::{self, Descriptor};

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
    channel: Channel<Transport>,
    read_timeout: Option<Duration>,
    sessions: Arc<Sessions>,
    /// Facts about its session, for those who resume it; `None` once the session is kept.
    keeping: Option<Keeping>,
    /// The address of its `SSL_CTX`, which it holds, and how that verified then.
    made_under: (usize, SslVerifyMode),
    /// Whether one of our reads has had data.
    is_answered: bool,
    /// Whether it failed, perhaps because of the session that it resumed.
    has_blamed_session: bool,
    /// Whether the peer is told of the end.
    got_close_notify: bool,
}

/// The basis of a new session, and the session that was offered for it.
struct Keeping {
    basis: Basis,
    offered: Option<SslSession>,
}

impl TlsStream {
    fn new(
        channel: Channel<Transport>,
        read_timeout: Option<Duration>,
        sessions: Arc<Sessions>,
        keeping: Keeping,
    ) -> TlsStream {
        let made_under = (channel.ssl_context().as_ptr().addr(), keeping.basis.verify_mode());
        let mut stream = TlsStream {
            channel,
            made_under,
            read_timeout,
            sessions,
            keeping: Some(keeping),
            is_answered: false,
            has_blamed_session: false,
            got_close_notify: true,
        };
        stream.set_read_timeout(read_timeout);
        // What ended the handshake asks for no reply.
        stream.channel.transport_mut().socket.exchange.settle();
        stream
    }

    /// Runs one of our own operations, whose reads and writes wait so long inside OpenSSL.
    #[inline]
    fn run<R>(&mut self, patience: Timeout, operation: impl FnOnce(&mut Channel<Transport>) -> R) -> R {
        self.channel.transport_mut().patience = patience;
        let outcome = with_own_errors(|| operation(&mut self.channel));
        self.channel.transport_mut().patience = Timeout::UpTo(self.read_timeout);
        outcome
    }

    /// How long C's reads may wait from now on.
    #[inline]
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
        self.channel.transport_mut().patience = Timeout::UpTo(timeout);
    }

    /// Whether the reply to what was written may still come. Bytes that came are not enough, they may be
    /// tickets: the read that took them must not have waited in vain for more.
    #[inline]
    pub fn awaits_reply(&self) -> bool {
        let transport = self.channel.transport();
        transport.socket.exchange.awaits_reply() || transport.timed_out
    }

    /// The descriptor below.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        self.channel.transport_mut().socket.descriptor()
    }

    /// Whether the last read, C's or ours, ended because it waited long enough.
    pub fn timed_out(&self) -> bool {
        self.channel.transport().timed_out
    }

    /// The socket below.
    #[inline]
    pub fn socket(&self) -> &Socket {
        &self.channel.transport().socket
    }

    /// Whether the handshake resumed a session.
    pub fn was_resumed(&self) -> bool {
        self.ssl().session_reused()
    }

    /// The SSL.
    pub fn ssl(&self) -> &SslRef {
        &self.channel
    }

    /// The pointers that C gets: the SSL and its BIO.
    pub fn raw(&self) -> (*mut c_void, *mut c_void) {
        self.channel.raw()
    }

    /// Whether this `SSL_CTX` is the one that it was made under, which verifies as it did then.
    #[inline]
    pub fn was_made_under(&self, context: *const c_void) -> bool {
        let (own, mode) = self.made_under;
        own == context.addr() && self.ssl().ssl_context().verify_mode() == mode
    }

    /// Whether it can be used again. What the peer sends unasked is taken in if it belongs to TLS itself
    /// (session tickets and key updates, RFC 8446, section 4.6); data, an alert or the end disqualify it.
    #[inline]
    pub fn is_good(&mut self) -> bool {
        sys::is_silent(self.socket()) || self.absorbs_what_came()
    }

    #[cold]
    fn absorbs_what_came(&mut self) -> bool {
        // OpenSSL gives up the session of a connection that it sees end like that. And should the program have closed
        // the socket and opened something else there, that is not ours to read from.
        if !self.socket().is_own() || matches!(sys::peek(self.socket(), &mut [0]), Ok(0)) {
            return false;
        }
        let outcome = self.run(Timeout::None, |channel| with_its_locks(|| channel.peek()));
        // A key update is answered; that asks for no reply.
        self.channel.transport_mut().socket.exchange.settle();
        // The rest of half a record may be anything.
        matches!(outcome, Err(Stop::WantsRead)) && !self.has_unread()
    }

    /// Whether data can be read, beyond what belongs to TLS itself.
    pub fn has_data(&mut self) -> bool {
        self.run(Timeout::None, |channel| with_its_locks(|| channel.peek())).is_ok()
    }

    /// Whether data of the peer is left that nobody has read.
    #[inline]
    pub fn has_unread(&self) -> bool {
        !libssl::is_between_records(self.ssl())
    }

    /// As [`super::Stream::read`].
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        let outcome = self.run(Timeout::None, |channel| {
            let mut deadline = None;
            loop {
                let stop = match with_its_locks(|| channel.read(buffer)) {
                    Ok(count) => return Ok(count),
                    Err(stop) => stop,
                };
                let mut deadline = || *deadline.get_or_insert_with(|| sys::deadline(timeout));
                match stop {
                    Stop::Closed => return Ok(0),
                    Stop::WantsRead => wait_readable(channel.transport(), deadline())?,
                    Stop::WantsWrite => wait_writable(channel.transport(), deadline())?,
                    other => return Err(failure(other)),
                }
            }
        });
        self.channel.transport_mut().timed_out = matches!(outcome, Err(TransferError::TimedOut));
        match outcome {
            Ok(1..) => self.is_answered = true,
            Err(TransferError::Io(_)) => drop(self.failed_unanswered()),
            _ => {}
        }
        outcome
    }

    /// Writes all pieces: small ones share a record, large ones go out from where they lie.
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

    /// Leaves its session to the connections to come, once, as soon as it can be resumed.
    #[inline]
    pub fn keep_session(&mut self) {
        if self.keeping.is_some() {
            self.keep_session_once();
        }
    }

    fn keep_session_once(&mut self) {
        let is_new = |session: &&SslSessionRef| {
            let offered = self.keeping.as_ref().and_then(|keeping| keeping.offered.as_deref());
            // The ticket that was offered serves no other connection (RFC 8446, appendix C.4).
            session.protocol_version() != SslVersion::TLS1_3
                || offered.is_none_or(|offered| !ptr::eq(offered, *session))
        };
        let session = self.channel.session().filter(|session| libssl::is_resumable(session)).filter(is_new);
        let Some(session) = session.map(ToOwned::to_owned) else { return };
        if let Some(keeping) = self.keeping.take() {
            self.sessions.put(session, keeping.basis);
        }
    }

    /// Notes that it failed before a reply. The answer is whether the session that it resumed may be the reason, so
    /// that nobody is to blame: a server of TLS 1.3 can refuse one after the handshake.
    pub fn failed_unanswered(&mut self) -> bool {
        let is_suspicious = self.was_resumed() && !self.is_answered && !self.timed_out();
        if is_suspicious && !self.has_blamed_session {
            self.has_blamed_session = true;
            self.sessions.refused("the connection failed before its first reply");
        }
        is_suspicious
    }

    /// Ends without a word to the peer: the connection failed, or is another process's.
    pub fn abandon(&mut self) {
        self.got_close_notify = false;
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        // Whatever else has the descriptor's number by now must not get a close_notify.
        if !self.got_close_notify || !self.socket().is_own() {
            return;
        }
        let transport = self.channel.transport();
        if !transport.has_failed && !transport.timed_out {
            self.keep_session();
        }
        // A session stays resumable only if close_notify was sent (SSL_shutdown(3)); the peer's is not waited
        // for.
        self.run(Timeout::None, |channel| with_its_locks(|| channel.send_close_notify()));
    }
}

impl AsRawFd for TlsStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

/// Writes all pieces, as many small ones to a record as it takes.
///
/// The record is collected in the heap: the program's threads may have small stacks. Without memory for it,
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

/// Writes a block.
#[inline]
fn write(channel: &mut Channel<Transport>, mut left: &[u8]) -> Result<(), TransferError> {
    while !left.is_empty() {
        let count = channel.write(left).map_err(failure)?;
        left = &left[count..];
    }
    Ok(())
}

/// A stop as callers are told of it; one that wants to wait has waited long enough.
fn failure(stop: Stop) -> TransferError {
    let error = match stop {
        Stop::WantsRead | Stop::WantsWrite => return TransferError::TimedOut,
        Stop::Io(error) => error,
        Stop::Closed => io::ErrorKind::ConnectionAborted.into(),
        Stop::OutOfMemory => io::Error::from_raw_os_error(libc::ENOMEM),
        Stop::CutOff => {
            let text = "the peer closed the connection without a close_notify";
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        }
        Stop::Tls(errors) => match errors.errors().first().and_then(|error| error.reason()) {
            Some(reason) => io::Error::other(reason),
            None => io::ErrorKind::ConnectionAborted.into(),
        },
    };
    TransferError::Io(error)
}
