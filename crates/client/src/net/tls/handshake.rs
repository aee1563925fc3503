//! The handshake, as a state machine that never waits.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslSession};

use super::peer::{self, PeerName};
use super::refusal::Refusal;
use super::sessions::{Basis, Sessions};
use super::transport::Transport;
use super::{Keeping, Security, TlsStream};
use crate::net::socket::Socket;
use crate::os::libssl::{self, Channel, Stop, with_its_locks, with_own_errors};
use crate::os::sys::PollFd;
use crate::pool::permits::Permit;

/// The plan of a handshake.
#[derive(Clone)]
pub struct TlsPlan {
    /// The context's part.
    pub security: Security,
    /// The name that the peer has to have.
    pub peer: PeerName,
    /// Where a session to resume is taken from, and a new one goes.
    pub sessions: Arc<Sessions>,
    /// The reason to offer no session: one that was offered made the handshake before fail.
    pub without_session: Option<String>,
}

/// A handshake that waits for the peer.
pub struct Handshake {
    channel: Channel<Transport>,
    plan: TlsPlan,
    basis: Basis,
    /// The session that it offers.
    offered: Option<SslSession>,
    wants_write: bool,
}

/// The state of a handshake.
pub enum Step {
    /// It goes on when the descriptor of [`Handshake::watch`] is ready.
    Pending(Box<Handshake>),
    /// The connection is secure.
    Done(Box<TlsStream>),
    /// It failed.
    Failed(Failed),
}

/// A handshake that failed.
pub struct Failed {
    /// Who was at the other end.
    pub peer: SocketAddr,
    /// The reason.
    pub refusal: Refusal,
    /// For another one without a session, if the session that was offered may be the cause.
    pub once_more: Option<Permit>,
}

impl Handshake {
    /// Sends the first flight.
    pub fn begin(plan: TlsPlan, socket: Socket) -> Step {
        let peer = socket.peer();
        with_its_locks(|| {
            with_own_errors(|| match Handshake::prepare(plan, socket) {
                Ok(handshake) => handshake.step(),
                Err(error) => {
                    Step::Failed(Failed { peer, refusal: Refusal::of_setup(&error), once_more: None })
                }
            })
        })
    }

    /// One that knows whom it wants to talk to.
    fn prepare(plan: TlsPlan, socket: Socket) -> Result<Handshake, ErrorStack> {
        let basis = Basis::of(&plan.security.context);
        let mut ssl = Ssl::new(&plan.security.context)?;
        peer::expect(&mut ssl, &plan.peer)?;
        libssl::offer_post_handshake_authentication(&mut ssl);
        let session = if plan.without_session.is_none() { plan.sessions.take(&basis) } else { None };
        // Refused, there is a full handshake.
        let offered = session.filter(|session| libssl::resume(&mut ssl, session));
        let channel = Channel::new(ssl, Transport::new(socket))?;
        Ok(Handshake { channel, plan, basis, offered, wants_write: false })
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(self) -> Step {
        with_its_locks(|| with_own_errors(|| self.step()))
    }

    fn step(mut self) -> Step {
        match self.channel.shake_hands() {
            Ok(()) => Step::Done(Box::new(self.succeeded())),
            Err(stop @ (Stop::WantsRead | Stop::WantsWrite)) => {
                self.wants_write = matches!(stop, Stop::WantsWrite);
                Step::Pending(Box::new(self))
            }
            Err(stop) => Step::Failed(self.failed(&stop)),
        }
    }

    fn succeeded(self) -> TlsStream {
        let Handshake { channel, plan, basis, offered, .. } = self;
        if let Some(reason) = plan.without_session {
            plan.sessions.refused(&reason);
        }
        let keeping = Keeping { basis, offered };
        TlsStream::new(channel, plan.security.read_timeout, plan.sessions, keeping)
    }

    fn failed(self, stop: &Stop) -> Failed {
        let peer = self.peer();
        let refusal = Refusal::of(stop, &self.channel, &self.plan.peer);
        let mut once_more = None;
        if self.offered.is_some() {
            self.plan.sessions.clear();
            if refusal.may_be_of_a_session() {
                once_more = Some(self.channel.into_transport().socket.into_permit());
            }
        }
        Failed { peer, refusal, once_more }
    }

    /// The deadline came before its end: should the session be the cause, it is not offered again.
    pub fn time_out(self) -> (SocketAddr, Refusal) {
        if self.offered.is_some() {
            self.plan.sessions.clear();
        }
        (self.peer(), Refusal::timed_out())
    }

    /// The descriptor and the event that it waits for.
    pub fn watch(&self) -> PollFd {
        let socket = &self.channel.transport().socket;
        if self.wants_write { PollFd::writable(socket) } else { PollFd::readable(socket) }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.channel.transport().socket.peer()
    }
}
