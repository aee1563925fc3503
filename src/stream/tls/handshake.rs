//! The handshake: whom we want to talk to, and why it failed.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use openssl::error::ErrorStack;
use openssl::ssl::{
    ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslRef, SslSession, SslStream, SslVerifyMode,
};
use openssl::x509::verify::X509CheckFlags;

use super::transport::Transport;
use super::{Security, TlsStream};
use crate::fault::Fault;
use crate::status::Error;
use crate::stream::Socket;
use crate::sys::{self, PollFd};
use crate::tls_ffi::{self, with_its_locks, with_own_errors};

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
    /// It failed.
    Failed(SocketAddr, Refusal),
}

/// Why a handshake failed.
#[derive(Debug)]
pub struct Refusal {
    /// The kind of fault.
    pub fault: Fault,
    /// In words.
    pub reason: String,
}

impl Refusal {
    /// The deadline came first.
    pub fn timed_out() -> Refusal {
        Refusal { fault: Fault::TimedOut, reason: "TLS handshake timed out".to_owned() }
    }

    /// What to tell the caller if this side is at fault, and not the peer.
    pub fn local_fault(&self) -> Option<Error> {
        (self.fault == Fault::Local).then_some(Error::System)
    }

    /// It could not even begin.
    fn of_setup(errors: &ErrorStack) -> Refusal {
        Refusal { fault: Fault::Local, ..Refusal::of_openssl(errors) }
    }

    fn of_openssl(errors: &ErrorStack) -> Refusal {
        let reason = errors.errors().first().and_then(|error| error.reason());
        Refusal { fault: Fault::Tls, reason: format!("TLS handshake: {}", reason.unwrap_or("failed")) }
    }
}

impl Handshake {
    /// Sends the first flight.
    pub fn begin(plan: TlsPlan, socket: Socket) -> Step {
        let peer = socket.peer();
        let transport = Transport::new(socket);
        with_its_locks(|| {
            with_own_errors(|| match prepare(&plan) {
                Ok(ssl) => Handshake::step(plan, peer, ssl.connect(transport)),
                Err(error) => Step::Failed(peer, Refusal::of_setup(&error)),
            })
        })
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(self) -> Step {
        let peer = self.peer();
        with_its_locks(|| with_own_errors(|| Handshake::step(self.plan, peer, self.stream.handshake())))
    }

    fn step(
        plan: TlsPlan,
        peer: SocketAddr,
        outcome: Result<SslStream<Transport>, HandshakeError<Transport>>,
    ) -> Step {
        match outcome {
            Ok(stream) => Step::Done(Box::new(TlsStream::new(stream, plan.security.read_timeout))),
            Err(HandshakeError::WouldBlock(stream)) => Step::Pending(Box::new(Handshake { stream, plan })),
            Err(HandshakeError::Failure(stream)) => Step::Failed(peer, refusal(&stream, &plan)),
            Err(HandshakeError::SetupFailure(error)) => Step::Failed(peer, Refusal::of_setup(&error)),
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

/// Why a handshake failed.
fn refusal(stream: &MidHandshakeSslStream<Transport>, plan: &TlsPlan) -> Refusal {
    let (ssl, error) = (stream.ssl(), stream.error());
    let verdict = ssl.verify_result();
    if ssl.verify_mode().contains(SslVerifyMode::PEER) && verdict.as_raw() != X509_V_OK {
        let text = verdict.error_string();
        let reason = match verdict.as_raw() {
            X509_V_ERR_HOSTNAME_MISMATCH | X509_V_ERR_IP_ADDRESS_MISMATCH => format!(
                "certificate refused: {text}: wanted {}, it is for {} \
                 (DPLX_TLS_VERIFY_HOST=off in the environment switches this check off)",
                plan.name,
                certified_names(ssl)
            ),
            _ => format!("certificate refused: {text}"),
        };
        return Refusal { fault: Fault::Certificate, reason };
    }
    match (error.io_error(), error.ssl_error()) {
        (Some(error), _) => {
            Refusal { fault: Fault::of(error), reason: format!("TLS handshake: {}", sys::error_text(error)) }
        }
        (None, Some(errors)) => Refusal::of_openssl(errors),
        (None, None) => Refusal {
            fault: Fault::Reset,
            reason: "TLS handshake: the peer closed the connection".to_owned(),
        },
    }
}

/// `X509_V_*`, X509_STORE_CTX_get_error(3).
const X509_V_OK: i32 = 0;
const X509_V_ERR_HOSTNAME_MISMATCH: i32 = 62;
const X509_V_ERR_IP_ADDRESS_MISMATCH: i32 = 64;

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
