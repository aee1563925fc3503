//! One attempt to connect to a host, as a state machine that never waits.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CONNECTION_ATTEMPT_DELAY, Cause, Failure};
use crate::net::stream::{Socket, Stream};
use crate::net::tls::{Failed, Handshake, Step, TlsPlan};
use crate::os::sys::PollFd;
use crate::pool::permits::{Permit, Permits};

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
///
/// Without a permit it is suspended: it has no sockets, and goes on when it is handed a permit. An address whose
/// connect had to give way is tried again after the others.
pub struct Attempt {
    plan: Plan,
    /// For the next socket.
    permit: Option<Permit>,
    /// The addresses that are left, the next one first.
    left: VecDeque<SocketAddr>,
    /// When it is the next one's turn, unless the others fail before.
    next_at: Instant,
    /// How long a connect has before the next one begins: twice as long after each that had to give way, or a slow
    /// network would never see the end of one.
    attempt_delay: Duration,
    deadline: Instant,
    connecting: Vec<Socket>,
    /// Those that have connected, on their way to TLS.
    handshakes: Vec<Handshake>,
    is_suspended: bool,
    /// Whether a lack of permits took time from it, so that its deadline says little about the host.
    was_held_up: bool,
    causes: Vec<(SocketAddr, Cause)>,
}

/// The sockets of an attempt that gave way. Dropped, they are closed.
pub struct Freed {
    _connecting: Vec<Socket>,
    _handshakes: Vec<Handshake>,
}

impl Attempt {
    /// An attempt that begins now; [`Attempt::advance`] sends the first packet. Without a permit it is suspended.
    pub fn new(plan: Plan, permit: Option<Permit>, now: Instant) -> Attempt {
        let is_suspended = permit.is_none();
        Attempt {
            permit,
            left: plan.addresses.iter().copied().collect(),
            next_at: now,
            attempt_delay: CONNECTION_ATTEMPT_DELAY,
            deadline: now + plan.timeout,
            connecting: Vec::new(),
            handshakes: Vec::new(),
            is_suspended,
            was_held_up: is_suspended,
            causes: Vec::new(),
            plan,
        }
    }

    /// The descriptors to wait on, in the order in which [`Attempt::advance`] wants them back.
    pub fn watch(&self) -> impl Iterator<Item = PollFd> {
        self.connecting.iter().map(PollFd::writable).chain(self.handshakes.iter().map(Handshake::watch))
    }

    /// When to go on even if no descriptor is ready.
    pub fn wake_at(&self) -> Instant {
        if self.is_suspended || self.left.is_empty() {
            self.deadline
        } else {
            self.next_at.min(self.deadline)
        }
    }

    /// Whether it waits for a permit.
    pub fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// Ends its connects to make room for another attempt; `None` if it has none under way.
    pub fn give_way(&mut self) -> Option<Freed> {
        if self.is_idle() {
            return None;
        }
        let connecting = mem::take(&mut self.connecting);
        let handshakes = mem::take(&mut self.handshakes);
        let peers = connecting.iter().map(Socket::peer).chain(handshakes.iter().map(Handshake::peer));
        self.left.extend(peers);
        self.gave_way();
        self.is_suspended = true;
        Some(Freed { _connecting: connecting, _handshakes: handshakes })
    }

    /// Lets it go on with the addresses that are left. Returns the head start that it is to have.
    pub fn resume(&mut self, permit: Permit, now: Instant) -> Duration {
        self.permit = Some(permit);
        self.is_suspended = false;
        self.next_at = now;
        self.attempt_delay
    }

    fn gave_way(&mut self) {
        self.attempt_delay = (2 * self.attempt_delay).min(self.plan.timeout);
        self.was_held_up = true;
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
        while !self.is_suspended && !self.left.is_empty() && self.wants_next_address(now) {
            self.try_next_address(now);
        }
        (self.is_idle() && self.left.is_empty()).then(|| Err(self.take_failure()))
    }

    fn take_failure(&mut self) -> Failure {
        Failure { causes: mem::take(&mut self.causes) }
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
            match socket.end_connect(fd) {
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
        self.next_at = now + self.attempt_delay;
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
        let Failed { peer, error, retry_permit } = failed;
        let (Some(permit), Some(tls)) = (retry_permit, &mut self.plan.tls) else {
            return self.failed(peer, Cause::Tls(error));
        };
        tls.without_session = Some(error.reason);
        self.next_at = now + self.attempt_delay;
        match Socket::connect(peer, permit) {
            Ok(socket) => self.connecting.push(socket),
            Err(error) => self.failed(peer, Cause::Call(error)),
        }
    }

    fn try_next_address(&mut self, now: Instant) {
        let Some(permit) = self.next_permit() else {
            (self.is_suspended, self.was_held_up) = (true, true);
            return;
        };
        let Some(address) = self.left.pop_front() else { return };
        self.next_at = now + self.attempt_delay;
        match Socket::connect(address, permit) {
            Ok(socket) => self.connecting.push(socket),
            Err(error) => {
                let cause = Cause::Call(error);
                if cause.local_fault().is_some() {
                    self.left.clear();
                }
                self.failed(address, cause);
            }
        }
    }

    /// A permit for one more socket. At the limit the address that had its head start gives way.
    fn next_permit(&mut self) -> Option<Permit> {
        let acquire = |plan: &Plan| plan.permits.acquire(plan.limit);
        let permit = self.permit.take().or_else(|| acquire(&self.plan));
        if permit.is_some() || self.is_idle() {
            return permit;
        }
        let slow = if self.handshakes.is_empty() {
            self.connecting.remove(0).peer()
        } else {
            self.handshakes.remove(0).peer()
        };
        self.left.push_back(slow);
        self.gave_way();
        acquire(&self.plan)
    }

    /// The deadline has come: ends what is under way. What was held up counts as given up, not as timed out.
    fn time_out(&mut self) {
        let was_held_up = self.was_held_up;
        let cause = |own: Cause| if was_held_up { Cause::GivenUp } else { own };
        for socket in mem::take(&mut self.connecting) {
            self.failed(socket.peer(), cause(Cause::TimedOut));
        }
        for handshake in mem::take(&mut self.handshakes) {
            let (peer, refusal) = handshake.time_out();
            self.failed(peer, cause(Cause::Tls(refusal)));
        }
        if was_held_up {
            let left = mem::take(&mut self.left);
            self.causes.extend(left.into_iter().map(|address| (address, Cause::GivenUp)));
        }
    }

    fn failed(&mut self, address: SocketAddr, cause: Cause) {
        self.causes.push((address, cause));
    }
}
