//! One attempt to connect to a host, as a state machine that never waits.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cause, Failure, HEAD_START};
use crate::permits::{Permit, Permits};
use crate::stream::tls::{Handshake, Refusal, Step, TlsPlan};
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
    /// The first that connected, on its way to TLS.
    handshake: Option<Box<Handshake>>,
    /// Its sockets were needed elsewhere; until the deadline it only stands for a host that is slow.
    has_given_way: bool,
    causes: Vec<(SocketAddr, Cause)>,
}

/// The sockets of an attempt that gave way. Dropped, they are closed.
pub struct Freed {
    _connecting: Vec<Socket>,
    _handshake: Option<Box<Handshake>>,
}

impl Attempt {
    /// An attempt that begins now; [`Attempt::advance`] sends the first packet.
    pub fn new(plan: Plan, permit: Permit, now: Instant) -> Attempt {
        Attempt {
            next: 0,
            next_at: now,
            deadline: now + plan.timeout,
            connecting: Vec::new(),
            handshake: None,
            has_given_way: false,
            causes: Vec::new(),
            plan,
            permit: Some(permit),
        }
    }

    /// The descriptors to wait on, in the order in which [`Attempt::advance`] wants them back.
    pub fn watch(&self) -> impl Iterator<Item = PollFd> {
        self.connecting.iter().map(PollFd::writable).chain(self.handshake.iter().map(|it| it.watch()))
    }

    /// When to go on even if no descriptor is ready.
    pub fn wake_at(&self) -> Instant {
        if self.next < self.plan.addresses.len() && self.handshake.is_none() {
            self.next_at.min(self.deadline)
        } else {
            self.deadline
        }
    }

    /// Ends its connects to make room for another attempt; nothing if it has none under way.
    pub fn give_way(&mut self) -> Option<Freed> {
        if self.is_idle() {
            return None;
        }
        let handshake = self.handshake.take();
        let connecting = std::mem::take(&mut self.connecting);
        let peers = connecting.iter().map(Socket::peer).chain(handshake.iter().map(|it| it.peer()));
        self.causes.extend(peers.map(|peer| (peer, Cause::GaveWay)));
        self.has_given_way = true;
        self.next = self.plan.addresses.len();
        Some(Freed { _connecting: connecting, _handshake: handshake })
    }

    /// Goes on as far as possible without waiting. `ready` is what [`Attempt::watch`] gave, after a wait.
    /// In the end there is an open stream, its socket a blocking one, or no address has led to one.
    pub fn advance(&mut self, ready: &[PollFd], now: Instant) -> Option<Result<Stream, Failure>> {
        if let Some(stream) = self.take_stream(ready) {
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
        self.connecting.is_empty() && self.handshake.is_none()
    }

    fn wants_next_address(&self, now: Instant) -> bool {
        self.is_idle() || (self.handshake.is_none() && now >= self.next_at)
    }

    /// The stream, if it is open by now.
    fn take_stream(&mut self, ready: &[PollFd]) -> Option<Stream> {
        if let Some(handshake) = self.handshake.take() {
            if ready.first().is_some_and(PollFd::is_ready) {
                return self.take_step(handshake.advance());
            }
            self.handshake = Some(handshake);
            return None;
        }
        let socket = self.take_connected(ready)?;
        // The other addresses are not needed any more, unless TLS fails at this one.
        self.connecting.clear();
        if let Err(error) = socket.make_blocking() {
            self.failed(socket.peer(), Cause::Io(error));
            return None;
        }
        match self.plan.tls.clone() {
            None => Some(Stream::Plain(socket)),
            Some(plan) => self.take_step(Handshake::begin(plan, socket)),
        }
    }

    fn take_step(&mut self, step: Step) -> Option<Stream> {
        match step {
            Step::Done(stream) => return Some(Stream::Tls(stream)),
            Step::Pending(handshake) => self.handshake = Some(handshake),
            Step::Failed(peer, refusal) => self.failed(peer, Cause::Tls(refusal)),
        }
        None
    }

    /// The first socket that has connected; those that failed are dropped.
    fn take_connected(&mut self, ready: &[PollFd]) -> Option<Socket> {
        let mut place = 0;
        for fd in ready {
            if !fd.is_ready() {
                place += 1;
                continue;
            }
            let socket = self.connecting.remove(place);
            // A connect that failed is seen as an error beside the room to write (tcp_poll() of the kernel).
            let outcome = if fd.has_only_room() { Ok(()) } else { socket.connected() };
            match outcome {
                Ok(()) => return Some(socket),
                Err(error) => self.failed(socket.peer(), Cause::Io(error)),
            }
        }
        None
    }

    fn try_next_address(&mut self, now: Instant) {
        let address = self.plan.addresses[self.next];
        let Some(permit) = self.next_permit() else {
            self.failed(address, Cause::Limit);
            self.next = self.plan.addresses.len();
            return;
        };
        self.next += 1;
        self.next_at = now + HEAD_START;
        match Socket::connect(address, permit) {
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
        if permit.is_some() || self.connecting.is_empty() {
            return permit;
        }
        let slow = self.connecting.remove(0);
        self.failed(slow.peer(), Cause::GaveWay);
        drop(slow);
        self.plan.permits.acquire(self.plan.limit)
    }

    fn time_out(&mut self) {
        for socket in std::mem::take(&mut self.connecting) {
            self.failed(socket.peer(), Cause::TimedOut);
        }
        if let Some(handshake) = self.handshake.take() {
            self.failed(handshake.peer(), Cause::Tls(Refusal::timed_out()));
        }
    }

    fn failed(&mut self, address: SocketAddr, cause: Cause) {
        self.causes.push((address, cause));
    }
}
