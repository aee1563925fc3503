//! The TLS handshake: a state machine that never waits.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslSession};

use super::error::HandshakeError;
use super::peer::{self, PeerName};
use super::sessions::{Scope, Sessions};
use super::transport::Transport;
use super::{NewSession, Security, TlsStream};
use crate::net::socket::Socket;
use crate::os::libssl::{self, Channel, SslError, in_tls_step, with_own_errors};
use crate::os::sys::PollFd;
use crate::pool::permits::Permit;

/// The parameters of a handshake.
#[derive(Clone)]
pub struct TlsPlan {
    /// The settings of the context.
    pub security: Security,
    /// The name that the peer must have.
    pub peer: PeerName,
    /// The sessions to resume; new ones are added.
    pub sessions: Arc<Sessions>,
    /// The error of a handshake that has failed with a session offered. This one then offers none.
    pub without_session: Option<String>,
}

/// A handshake that waits for the peer.
pub struct Handshake {
    channel: Channel<Transport>,
    plan: TlsPlan,
    scope: Scope,
    /// The session that it offers to resume.
    offered: Option<SslSession>,
    wants_write: bool,
}

/// The state of a handshake after a step.
pub enum Step {
    /// The handshake can go on when the descriptor of [`Handshake::watch`] is ready.
    Pending(Box<Handshake>),
    /// The connection is secure.
    Done(Box<TlsStream>),
    /// The handshake has failed.
    Failed(Failed),
}

/// A handshake that failed.
pub struct Failed {
    /// The address of the peer.
    pub peer: SocketAddr,
    /// The reason.
    pub error: HandshakeError,
    /// The permit for another attempt without a session, if the session that was offered may be the reason.
    pub retry_permit: Option<Permit>,
}

impl Handshake {
    /// Sends the first flight.
    pub fn begin(plan: TlsPlan, socket: Socket) -> Step {
        let peer = socket.peer();
        in_tls_step(|| {
            with_own_errors(|| match Handshake::prepare(plan, socket) {
                Ok(handshake) => handshake.step(),
                Err(error) => {
                    Step::Failed(Failed { peer, error: HandshakeError::of_setup(&error), retry_permit: None })
                }
            })
        })
    }

    /// Makes a handshake that knows the name of the peer and the session to offer.
    fn prepare(plan: TlsPlan, socket: Socket) -> Result<Handshake, ErrorStack> {
        let scope = Scope::of(&plan.security.context);
        let mut ssl = Ssl::new(&plan.security.context)?;
        peer::set_peer(&mut ssl, &plan.peer)?;
        libssl::offer_post_handshake_authentication(&mut ssl);
        let session = if plan.without_session.is_none() { plan.sessions.take(&scope) } else { None };
        // A session that cannot be offered leads to a full handshake.
        let offered = session.filter(|session| libssl::resume(&mut ssl, session));
        let channel = Channel::new(ssl, Transport::new(socket))?;
        Ok(Handshake { channel, plan, scope, offered, wants_write: false })
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(self) -> Step {
        in_tls_step(|| with_own_errors(|| self.step()))
    }

    fn step(mut self) -> Step {
        match self.channel.handshake() {
            Ok(()) => Step::Done(Box::new(self.succeeded())),
            Err(error @ (SslError::WantsRead | SslError::WantsWrite)) => {
                self.wants_write = matches!(error, SslError::WantsWrite);
                Step::Pending(Box::new(self))
            }
            Err(error) => Step::Failed(self.failed(&error)),
        }
    }

    fn succeeded(self) -> TlsStream {
        let Handshake { channel, plan, scope, offered, .. } = self;
        if let Some(reason) = plan.without_session {
            plan.sessions.refused(&reason);
        }
        let new_session = NewSession { scope, offered };
        TlsStream::new(channel, plan.security.read_timeout, plan.sessions, new_session)
    }

    fn failed(self, error: &SslError) -> Failed {
        let peer = self.peer();
        let error = HandshakeError::of(error, &self.channel, &self.plan.peer);
        let mut retry_permit = None;
        if self.offered.is_some() {
            self.plan.sessions.clear();
            if error.may_be_due_to_session() {
                retry_permit = self.into_permit();
            }
        }
        Failed { peer, error, retry_permit }
    }

    /// Ends the handshake at its deadline. The session that it offered may be the reason, and is not offered again.
    pub fn time_out(self) -> (SocketAddr, HandshakeError) {
        if self.offered.is_some() {
            self.plan.sessions.clear();
        }
        (self.peer(), HandshakeError::timed_out())
    }

    /// Closes the socket and returns its permit, for another socket.
    pub fn into_permit(self) -> Option<Permit> {
        self.channel.into_transport().socket.into_permit()
    }

    /// Returns the descriptor and the event that it waits for.
    pub fn watch(&self) -> PollFd {
        let socket = &self.channel.transport().socket;
        if self.wants_write { PollFd::writable(socket) } else { PollFd::readable(socket) }
    }

    /// Returns the address of the peer.
    pub fn peer(&self) -> SocketAddr {
        self.channel.transport().socket.peer()
    }
}
