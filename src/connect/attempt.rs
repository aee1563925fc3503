//! One attempt to connect to a host, as a state machine that never waits.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cause, Failure, HEAD_START};
use crate::permits::{Permit, Permits};
use crate::stream::tls::{Failed, Handshake, Step, TlsPlan};
use crate::stream::{Socket, Stream};
use crate::sys::PollFd;

/// What an attempt is to do.
pub struct Plan {
    /// Where to connect, the preferred address first.
    pub addresses: Arc<[SocketAddr]>,
    /// How long it may take, all addresses together.
    pub timeout: Duration,
    /// The bound on open connections.
    pub permits: Arc<Permits>,
    /// How many there may be.
    pub limit: i32,
    /// How to secure the connection, if it is to be.
    pub tls: Option<TlsPlan>,
}

/// A connect that was begun, or could not be.
pub struct Begun {
    address: SocketAddr,
    connect: io::Result<Socket>,
}

impl Begun {
    /// Begins to connect.
    pub fn new(address: SocketAddr, permit: Permit) -> Begun {
        Begun { address, connect: Socket::connect(address, permit) }
    }

    /// The socket, a blocking one, if it is connected by now. An address of this machine is one when connect(2)
    /// returns, although that says EINPROGRESS: asked once more it says so.
    pub fn connected_locally(self) -> Result<Socket, Begun> {
        let Begun { address, connect } = self;
        let connect = connect.and_then(|socket| {
            let has_connected = socket.has_connected()?;
            if has_connected {
                socket.make_blocking()?;
            }
            Ok((socket, has_connected))
        });
        match connect {
            Ok((socket, true)) => Ok(socket),
            other => Err(Begun { address, connect: other.map(|(socket, _)| socket) }),
        }
    }
}

/// An attempt under way. Its addresses are tried in order, each with a head start before the next.
pub struct Attempt {
    plan: Plan,
    /// For the first socket.
    permit: Option<Permit>,
    /// The next address to try.
    next: usize,
    /// When it is its turn, unless the others fail before.
    next_at: Instant,
    deadline: Instant,
    connecting: Vec<Socket>,
    /// Those that have connected, on their way to TLS.
    handshakes: Vec<Handshake>,
    /// Its sockets were needed elsewhere; until the deadline it only stands for a host that is slow.
    has_given_way: bool,
    causes: Vec<(SocketAddr, Cause)>,
}

/// The sockets of an attempt that gave way. Dropped, they are closed.
pub struct Freed {
    _connecting: Vec<Socket>,
    _handshakes: Vec<Handshake>,
}

impl Attempt {
    /// An attempt that begins now; [`Attempt::advance`] sends the first packet.
    pub fn new(plan: Plan, permit: Permit, now: Instant) -> Attempt {
        Attempt::with(plan, Some(permit), now)
    }

    /// An attempt of which the first connect has just been begun.
    pub fn resume(plan: Plan, begun: Begun, now: Instant) -> Attempt {
        let mut attempt = Attempt::with(plan, None, now);
        attempt.add(begun, now);
        attempt
    }

    fn with(plan: Plan, permit: Option<Permit>, now: Instant) -> Attempt {
        Attempt {
            next: 0,
            next_at: now,
            deadline: now + plan.timeout,
            connecting: Vec::new(),
            handshakes: Vec::new(),
            has_given_way: false,
            causes: Vec::new(),
            plan,
            permit,
        }
    }

    /// The descriptors to wait on, in the order in which [`Attempt::advance`] wants them back.
    pub fn watch(&self) -> impl Iterator<Item = PollFd> {
        self.connecting.iter().map(PollFd::writable).chain(self.handshakes.iter().map(Handshake::watch))
    }

    /// When to go on even if no descriptor is ready.
    pub fn wake_at(&self) -> Instant {
        if self.next < self.plan.addresses.len() { self.next_at.min(self.deadline) } else { self.deadline }
    }

    /// Ends its connects to make room for another attempt; nothing if it has none under way.
    pub fn give_way(&mut self) -> Option<Freed> {
        if self.is_idle() {
            return None;
        }
        let handshakes = std::mem::take(&mut self.handshakes);
        let connecting = std::mem::take(&mut self.connecting);
        let peers = connecting.iter().map(Socket::peer).chain(handshakes.iter().map(Handshake::peer));
        self.causes.extend(peers.map(|peer| (peer, Cause::GaveWay)));
        self.has_given_way = true;
        self.next = self.plan.addresses.len();
        Some(Freed { _connecting: connecting, _handshakes: handshakes })
    }

    /// Goes on as far as possible without waiting. `ready` is what [`Attempt::watch`] gave, after a wait.
    /// In the end there is an open stream, its socket a blocking one, or no address has led to one.
    pub fn advance(&mut self, ready: &[PollFd], now: Instant) -> Option<Result<Stream, Failure>> {
        let (connects, handshakes) = ready.split_at(self.connecting.len().min(ready.len()));
        let secured = self.advance_handshakes(handshakes, now);
        if let Some(stream) = secured.or_else(|| self.advance_connects(connects, now)) {
            return Some(Ok(stream));
        }
        if now >= self.deadline {
            self.time_out();
            return Some(Err(self.take_failure()));
        }
        while self.next < self.plan.addresses.len() && self.wants_next_address(now) {
            self.try_next_address(now);
        }
        (self.is_idle() && !self.has_given_way).then(|| Err(self.take_failure()))
    }

    fn take_failure(&mut self) -> Failure {
        Failure { causes: std::mem::take(&mut self.causes) }
    }

    fn is_idle(&self) -> bool {
        self.connecting.is_empty() && self.handshakes.is_empty()
    }

    fn wants_next_address(&self, now: Instant) -> bool {
        self.is_idle() || now >= self.next_at
    }

    /// The first stream that is secure by now; handshakes that failed are dropped.
    fn advance_handshakes(&mut self, ready: &[PollFd], now: Instant) -> Option<Stream> {
        let mut place = 0;
        for fd in ready {
            if !fd.is_ready() {
                place += 1;
                continue;
            }
            match self.handshakes.remove(place).advance() {
                Step::Done(stream) => return Some(Stream::Tls(stream)),
                Step::Pending(handshake) => {
                    self.handshakes.insert(place, *handshake);
                    place += 1;
                }
                Step::Failed(failed) => self.handshake_failed(failed, now),
            }
        }
        None
    }

    /// The first stream that is open by now; sockets that have connected go on to TLS if they are to, those
    /// that failed are dropped.
    fn advance_connects(&mut self, ready: &[PollFd], now: Instant) -> Option<Stream> {
        let mut place = 0;
        for fd in ready {
            if !fd.is_ready() {
                place += 1;
                continue;
            }
            let socket = self.connecting.remove(place);
            // A connect that failed is seen as an error beside the room to write (tcp_poll() of the kernel).
            let outcome = if fd.has_only_room() { Ok(()) } else { socket.connected() };
            match outcome.and_then(|()| socket.make_blocking()) {
                Ok(()) => {
                    if let Some(stream) = self.secure(socket, now) {
                        return Some(stream);
                    }
                }
                Err(error) => self.failed(socket.peer(), Cause::Io(error)),
            }
        }
        None
    }

    /// The socket as a stream, unless a handshake has to come first. That has a head start of its own before
    /// the next address.
    fn secure(&mut self, socket: Socket, now: Instant) -> Option<Stream> {
        let Some(tls) = &self.plan.tls else { return Some(Stream::Plain(socket)) };
        self.next_at = now + HEAD_START;
        match Handshake::begin(tls.clone(), socket) {
            Step::Done(stream) => return Some(Stream::Tls(stream)),
            Step::Pending(handshake) => self.handshakes.push(*handshake),
            Step::Failed(failed) => self.handshake_failed(failed, now),
        }
        None
    }

    /// A handshake failed. If the session that it offered may be the cause, nobody is to blame yet: the same
    /// address is tried once more, without one.
    fn handshake_failed(&mut self, failed: Failed, now: Instant) {
        let Failed { peer, refusal, once_more } = failed;
        let (Some(permit), Some(tls)) = (once_more, &mut self.plan.tls) else {
            return self.failed(peer, Cause::Tls(refusal));
        };
        tls.without_session = Some(refusal.reason);
        self.next_at = now + HEAD_START;
        match Socket::connect(peer, permit) {
            Ok(socket) => self.connecting.push(socket),
            Err(error) => self.failed(peer, Cause::Io(error)),
        }
    }

    fn try_next_address(&mut self, now: Instant) {
        let address = self.plan.addresses[self.next];
        let Some(permit) = self.next_permit() else {
            self.failed(address, Cause::Limit);
            self.next = self.plan.addresses.len();
            return;
        };
        self.add(Begun::new(address, permit), now);
    }

    /// Notes what became of the call that begins the connect to the next address.
    fn add(&mut self, begun: Begun, now: Instant) {
        let Begun { address, connect } = begun;
        self.next += 1;
        self.next_at = now + HEAD_START;
        match connect {
            Ok(socket) => self.connecting.push(socket),
            Err(error) => {
                let cause = Cause::Io(error);
                if cause.local_fault().is_some() {
                    self.next = self.plan.addresses.len();
                }
                self.failed(address, cause);
            }
        }
    }

    /// A permit for one more socket. At the limit the address that had its head start gives way.
    fn next_permit(&mut self) -> Option<Permit> {
        let first = self.permit.take();
        let permit = first.or_else(|| self.plan.permits.acquire(self.plan.limit));
        if permit.is_some() || self.is_idle() {
            return permit;
        }
        let slow = if self.handshakes.is_empty() {
            self.connecting.remove(0).peer()
        } else {
            self.handshakes.remove(0).peer()
        };
        self.failed(slow, Cause::GaveWay);
        self.plan.permits.acquire(self.plan.limit)
    }

    fn time_out(&mut self) {
        for socket in std::mem::take(&mut self.connecting) {
            self.failed(socket.peer(), Cause::TimedOut);
        }
        for handshake in std::mem::take(&mut self.handshakes) {
            let (peer, refusal) = handshake.time_out();
            self.failed(peer, Cause::Tls(refusal));
        }
    }

    fn failed(&mut self, address: SocketAddr, cause: Cause) {
        self.causes.push((address, cause));
    }
}
