//! TLS over a socket, by the process's own OpenSSL.
//!
//! OpenSSL reads and writes through our [`Transport`], so that no operation raises SIGPIPE or waits
//! longer than it may, whoever calls it: C reads replies by `SSL_read(conn->ssl)` itself.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use openssl::error::ErrorStack;
use openssl::ssl::{
    self, ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslRef, SslSession, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::verify::X509CheckFlags;
use parking_lot::Mutex;

use super::{Socket, WriteError, wait_writable};
use crate::sys::{self, PollFd};
use crate::tls_ffi::{self, with_own_errors};

/// The most plaintext of one record (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// Sessions kept for one name: as many new connections at once can resume.
const SESSIONS: usize = 16;

/// What every TLS connection of a context has in common.
#[derive(Clone)]
pub struct Security {
    /// Certificates, ciphers and verification.
    pub context: SslContext,
    /// How long a read may wait, when C calls for one; `None` is for ever.
    pub read_timeout: Option<Duration>,
}

/// What one handshake is to do.
#[derive(Clone)]
pub struct TlsPlan {
    /// The context's part.
    pub security: Security,
    /// The name that is connected to, or a literal address.
    pub name: String,
    /// A session to resume.
    pub session: Option<SslSession>,
}

/// The name is checked where the chain is, unless the environment says `DPLX_TLS_VERIFY_HOST=off`.
static VERIFY_NAMES: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("DPLX_TLS_VERIFY_HOST").is_none_or(|value| value != "off"));

/// A socket as OpenSSL sees it.
struct Transport {
    socket: Socket,
    /// How long a read or write waits: nothing while one of our functions runs, which waits itself.
    patience: Patience,
    /// Whether the last read ended because it waited long enough.
    timed_out: bool,
    /// Counts the bytes sent, to tell progress.
    sent: u64,
}

#[derive(Clone, Copy)]
enum Patience {
    None,
    UpTo(Option<Duration>),
}

impl Transport {
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

/// A handshake that waits for the peer.
pub struct Handshake {
    stream: MidHandshakeSslStream<Transport>,
    plan: TlsPlan,
}

/// How far a handshake is.
pub enum Step {
    /// It goes on when the descriptor of [`Handshake::watch`] is ready.
    Pending(Box<Handshake>),
    /// The connection is secure.
    Done(Box<TlsStream>),
    /// It failed, for this reason.
    Failed(SocketAddr, String),
}

impl Handshake {
    /// Sends the first flight.
    pub fn begin(plan: TlsPlan, socket: Socket) -> Step {
        let peer = socket.peer();
        let transport = Transport { socket, patience: Patience::None, timed_out: false, sent: 0 };
        with_own_errors(|| match prepare(&plan) {
            Ok(ssl) => Handshake::step(plan, peer, ssl.connect(transport)),
            Err(error) => Step::Failed(peer, first_reason(&error)),
        })
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(self) -> Step {
        let peer = self.peer();
        with_own_errors(|| Handshake::step(self.plan, peer, self.stream.handshake()))
    }

    fn step(
        plan: TlsPlan,
        peer: SocketAddr,
        outcome: Result<SslStream<Transport>, HandshakeError<Transport>>,
    ) -> Step {
        match outcome {
            Ok(stream) => Step::Done(Box::new(TlsStream::new(stream, plan.security.read_timeout))),
            Err(HandshakeError::WouldBlock(stream)) => Step::Pending(Box::new(Handshake { stream, plan })),
            Err(HandshakeError::Failure(stream)) => Step::Failed(peer, failure(&stream, &plan)),
            Err(HandshakeError::SetupFailure(error)) => Step::Failed(peer, first_reason(&error)),
        }
    }

    /// What it waits for.
    pub fn watch(&self) -> PollFd {
        let socket = &self.stream.get_ref().socket;
        match self.stream.error().code() {
            ErrorCode::WANT_WRITE => PollFd::writable(socket),
            _ => PollFd::readable(socket),
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.stream.get_ref().socket.peer()
    }
}

/// An SSL that knows whom it wants to talk to.
fn prepare(plan: &TlsPlan) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(&plan.security.context)?;
    let address = plan.name.parse::<IpAddr>();
    // A literal address is no server name (RFC 6066, section 3).
    if address.is_err() {
        ssl.set_hostname(&plan.name)?;
    }
    if *VERIFY_NAMES && ssl.verify_mode().contains(SslVerifyMode::PEER) {
        let parameters = ssl.param_mut();
        parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match address {
            Ok(address) => parameters.set_ip(address)?,
            Err(_) => parameters.set_host(&plan.name)?,
        }
    }
    if let Some(session) = &plan.session {
        // Refused, there is a full handshake.
        tls_ffi::resume(&mut ssl, session);
    }
    Ok(ssl)
}

/// Why a handshake failed, in words.
fn failure(stream: &MidHandshakeSslStream<Transport>, plan: &TlsPlan) -> String {
    let (ssl, error) = (stream.ssl(), stream.error());
    let verdict = ssl.verify_result();
    if ssl.verify_mode().contains(SslVerifyMode::PEER) && verdict.as_raw() != X509_V_OK {
        let text = verdict.error_string();
        return match verdict.as_raw() {
            X509_V_ERR_HOSTNAME_MISMATCH | X509_V_ERR_IP_ADDRESS_MISMATCH => format!(
                "certificate refused: {text}: wanted {}, it is for {} \
                 (DPLX_TLS_VERIFY_HOST=off in the environment switches this check off)",
                plan.name,
                certified_names(ssl)
            ),
            _ => format!("certificate refused: {text}"),
        };
    }
    match (error.io_error(), error.ssl_error()) {
        (Some(error), _) => format!("TLS handshake: {}", sys::error_text(error)),
        (None, Some(errors)) => first_reason(errors),
        (None, None) => "TLS handshake: the peer closed the connection".to_owned(),
    }
}

/// `X509_V_*`, X509_STORE_CTX_get_error(3).
const X509_V_OK: i32 = 0;
const X509_V_ERR_HOSTNAME_MISMATCH: i32 = 62;
const X509_V_ERR_IP_ADDRESS_MISMATCH: i32 = 64;

fn first_reason(errors: &ErrorStack) -> String {
    let reason = errors.errors().first().and_then(|error| error.reason());
    format!("TLS handshake: {}", reason.unwrap_or("failed"))
}

/// The names that a certificate which was refused is made out to.
fn certified_names(ssl: &SslRef) -> String {
    let leaf = ssl.verified_chain().and_then(|chain| chain.get(0));
    let names = leaf.and_then(|leaf| leaf.subject_alt_names());
    let texts: Vec<_> = names
        .iter()
        .flatten()
        .filter_map(|name| match (name.dnsname(), name.ipaddress()) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Some(octets)) => ip_text(octets),
            (None, None) => None,
        })
        .collect();
    if texts.is_empty() { "no name".to_owned() } else { texts.join(", ") }
}

fn ip_text(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let any = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    any.ok().map(|address| address.to_string())
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

    /// The SSL.
    pub fn ssl(&self) -> &SslRef {
        self.inner.ssl()
    }

    /// Whether it can be used again. What the peer sends unasked is taken in if it belongs to TLS itself
    /// (session tickets and key updates, RFC 8446, section 4.6); data, an alert or the end disqualify it.
    #[inline]
    pub fn is_good(&mut self) -> bool {
        if tls_ffi::has_pending(self.ssl()) {
            return false;
        }
        sys::is_silent(self.socket()) || self.absorbs_what_came()
    }

    #[cold]
    fn absorbs_what_came(&mut self) -> bool {
        self.without_waiting(|stream| match stream.ssl_peek(&mut [0]) {
            Ok(_) => false,
            Err(error) => error.code() == ErrorCode::WANT_READ,
        })
    }

    /// Writes all pieces: small ones share a record, large ones go out from where they lie.
    pub fn write_all(&mut self, pieces: &[IoSlice<'_>], timeout: Option<Duration>) -> Result<(), WriteError> {
        self.without_waiting(|stream| {
            let mut record = ArrayVec::<u8, RECORD>::new();
            for piece in pieces {
                let mut left: &[u8] = piece;
                if record.is_empty() {
                    let (whole, rest) = left.split_at(left.len() - left.len() % RECORD);
                    write(stream, whole, timeout)?;
                    left = rest;
                }
                while !left.is_empty() {
                    let (some, rest) = left.split_at(left.len().min(record.remaining_capacity()));
                    record.extend(some.iter().copied());
                    left = rest;
                    if record.is_full() {
                        write(stream, &record, timeout)?;
                        record.clear();
                    }
                }
            }
            write(stream, &record, timeout)
        })
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
                let _ = stream.shutdown();
            });
        }
    }
}

impl AsRawFd for TlsStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

/// Writes a block. The timeout starts again whenever bytes reach the socket: OpenSSL tells of whole blocks
/// only.
fn write(
    stream: &mut SslStream<Transport>,
    mut left: &[u8],
    timeout: Option<Duration>,
) -> Result<(), WriteError> {
    let mut deadline = None;
    let mut sent = stream.get_ref().sent;
    while !left.is_empty() {
        let error = match stream.ssl_write(left) {
            Ok(count) => {
                left = &left[count..];
                continue;
            }
            Err(error) => error,
        };
        if std::mem::replace(&mut sent, stream.get_ref().sent) != sent {
            deadline = None;
        }
        let deadline = *deadline.get_or_insert_with(|| sys::deadline(timeout));
        match error.code() {
            ErrorCode::WANT_WRITE => wait_writable(&stream.get_ref().socket, deadline)?,
            ErrorCode::WANT_READ => wait_readable(&stream.get_ref().socket, deadline)?,
            _ => return Err(WriteError::Io(into_io(error))),
        }
    }
    Ok(())
}

fn wait_readable(socket: &Socket, deadline: Option<Instant>) -> Result<(), WriteError> {
    match sys::wait(&mut [PollFd::readable(socket)], deadline) {
        Ok(true) => Ok(()),
        Ok(false) => Err(WriteError::TimedOut),
        Err(error) => Err(WriteError::Io(error)),
    }
}

fn into_io(error: ssl::Error) -> io::Error {
    error.into_io_error().unwrap_or_else(io::Error::other)
}

/// Sessions of one name that new connections can resume.
#[derive(Default)]
pub struct Sessions {
    newest_last: Mutex<VecDeque<SslSession>>,
}

impl Sessions {
    /// Keeps a session, in place of the oldest if there are many.
    pub fn put(&self, session: SslSession) {
        let mut sessions = self.newest_last.lock();
        let surplus = (sessions.len() >= SESSIONS).then(|| sessions.pop_front());
        sessions.push_back(session);
        drop(sessions);
        drop(surplus);
    }

    /// A session to resume. A ticket of TLS 1.3 serves once (RFC 8446, appendix C.4), others again.
    pub fn take(&self) -> Option<SslSession> {
        let mut sessions = self.newest_last.lock();
        let newest = sessions.pop_back()?;
        if newest.protocol_version() != SslVersion::TLS1_3 {
            sessions.push_back(newest.clone());
        }
        Some(newest)
    }
}
