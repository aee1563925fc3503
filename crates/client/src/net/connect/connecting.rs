//! The state machine of a connect to one host.
#![forbid(unsafe_code)]

mod suspension;

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use suspension::ClosedSockets;

use super::awaited::Awaited;
use super::{CONNECTION_ATTEMPT_DELAY, ConnectError, ConnectErrorKind, ConnectPlan, head_start};
use crate::fault::Fault;
use crate::net::resolve::{Current, LookupError};
use crate::net::stream::{Socket, Stream};
use crate::net::tls::{Failed, Handshake, Step};
use crate::os::sys::PollFd;
use crate::pool::permits::Permit;
use crate::status;

/// A connect to one host under way: sockets to some of its addresses, and the addresses still to try.
///
/// While the name is being looked up, it connects to the addresses that are known already. What the look-up finds is
/// tried after them, unless it comes later than a tenth of the timeout after the last of them has failed. Without a known
/// address it waits for the look-up first.
///
/// Without a permit it is suspended: it has no sockets, and [`Connecting::resume`] lets it go on. An address
/// whose socket was closed to free a permit is tried again after the others.
pub struct Connecting {
    plan: ConnectPlan,
    /// The permit for the next socket, if there is one already.
    permit: Option<Permit>,
    /// The addresses still to try, the next one first.
    untried: VecDeque<SocketAddr>,
    /// The address that was put first because the connect was suspended during its head start.
    brought_forward: Option<SocketAddr>,
    /// The time to try the next address, unless all before it fail earlier.
    next_at: Instant,
    /// The longest head start of an address. It doubles each time that a socket was closed to free its permit:
    /// otherwise no connect over a slow network would ever end.
    attempt_delay: Duration,
    /// The end of the time that the call which began it had.
    call_ends_at: Instant,
    deadline: Instant,
    /// The sockets whose TCP connect is under way.
    connects: Vec<Socket>,
    /// The sockets whose TLS handshake is under way.
    handshakes: Vec<Handshake>,
    /// The look-up that may bring other addresses.
    awaited: Option<Awaited>,
    is_suspended: bool,
    /// True if a lack of permits took time from it. If so, a missed deadline says little about the host.
    was_held_up: bool,
    /// True if nobody went on with it until its deadline. If so, a missed deadline says nothing about the host.
    was_left_alone: bool,
    /// The time until which somebody has waited for it, or looked after it.
    watched_until: Instant,
    /// True while it finds out what has happened since then, if that is more than a head start. A refusal or a reset of
    /// that time is old, and says nothing about the host.
    is_late: bool,
    error: ConnectError,
}

impl Connecting {
    /// A connect whose time begins now; [`Connecting::advance`] sends the first packet. Without a permit it
    /// is suspended.
    pub fn new(plan: ConnectPlan, current: Current, permit: Option<Permit>, now: Instant) -> Connecting {
        let Current { addresses, look_up } = current;
        let is_suspended = permit.is_none();
        Connecting {
            permit,
            untried: addresses.iter().copied().collect(),
            brought_forward: None,
            next_at: now,
            attempt_delay: CONNECTION_ATTEMPT_DELAY,
            call_ends_at: now + plan.time_left,
            deadline: now + plan.timeout,
            connects: Vec::new(),
            handshakes: Vec::new(),
            awaited: look_up.map(Awaited::new),
            is_suspended,
            was_held_up: is_suspended,
            was_left_alone: false,
            watched_until: now,
            is_late: false,
            error: ConnectError::default(),
            plan,
        }
    }

    /// The descriptors to wait on, in the order that [`Connecting::advance`] takes them in.
    pub fn watch(&self) -> impl Iterator<Item = PollFd> {
        let sockets =
            self.connects.iter().map(PollFd::writable).chain(self.handshakes.iter().map(Handshake::watch));
        sockets.chain(self.awaited.iter().filter_map(Awaited::watched))
    }

    /// The time to call [`Connecting::advance`] even if no descriptor is ready.
    pub fn wake_at(&self) -> Instant {
        let must_ask = self.awaited.as_ref().is_some_and(|awaited| awaited.watched().is_none());
        if self.is_suspended || self.untried.is_empty() && !must_ask {
            self.ends_at()
        } else {
            self.next_at.min(self.ends_at())
        }
    }

    fn ends_at(&self) -> Instant {
        let grace_ends = self.awaited.as_ref().and_then(Awaited::grace_ends);
        grace_ends.map_or(self.deadline, |end| end.min(self.deadline))
    }

    /// True if it waits for a permit.
    pub fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// True if a lack of permits took time from it.
    pub fn was_held_up(&self) -> bool {
        self.was_held_up
    }

    /// True if it has a permit: for its sockets, or for one that it will open.
    pub fn has_permit(&self) -> bool {
        !self.has_no_socket() || self.permit.is_some()
    }

    /// Gives it one head start past its deadline, if it can go on and only lacked somebody who did so. If that was for
    /// longer than a head start, failures of the time before do not count any more. To be called before
    /// [`Connecting::advance`] with the same arguments, for a connect that nobody waits for.
    pub fn excuse_delay(&mut self, ready: &[PollFd], now: Instant) {
        let before = mem::replace(&mut self.watched_until, now);
        self.is_late = now.saturating_duration_since(before) > CONNECTION_ATTEMPT_DELAY;
        for (_, kind) in self.error.causes.iter_mut().filter(|(_, kind)| self.is_late && kind.may_be_over()) {
            *kind = mem::replace(kind, ConnectErrorKind::TimedOut).left_alone();
        }
        let has_answer = ready.iter().any(PollFd::is_ready) || self.has_look_up_ended();
        let can_go_on = has_answer || !self.untried.is_empty() && !self.is_suspended;
        if now >= self.deadline && can_go_on && !self.was_left_alone {
            self.was_left_alone = true;
            self.deadline = now + CONNECTION_ATTEMPT_DELAY;
        }
    }

    /// Notes that somebody has waited for it until now.
    pub fn was_watched(&mut self, now: Instant) {
        self.watched_until = now;
    }

    /// Goes on as far as possible without waiting. `ready` is the result of a wait on
    /// [`Connecting::watch`], and `limit` the number of permits that there may be now.
    ///
    /// Returns an open stream over a blocking socket, an error once no address is left, or `None` while it
    /// is under way.
    pub fn advance(
        &mut self,
        ready: &[PollFd],
        now: Instant,
        limit: i32,
    ) -> Option<Result<Stream, ConnectError>> {
        let (connects, rest) = ready.split_at(self.connects.len().min(ready.len()));
        let (handshakes, event) = rest.split_at(self.handshakes.len().min(rest.len()));
        let secured = self.advance_handshakes(handshakes, now);
        if let Some(stream) = secured.or_else(|| self.advance_connects(connects, now)) {
            return Some(Ok(stream));
        }
        // What begins now is not old.
        self.is_late = false;
        self.take_look_up();
        if let Some(awaited) = self.awaited.as_mut().filter(|_| event.iter().any(PollFd::is_ready)) {
            awaited.lose_event();
        }
        if now >= self.ends_at() {
            self.error.age = now.saturating_duration_since(self.deadline);
            self.time_out();
            return Some(Err(mem::take(&mut self.error)));
        }
        while !self.is_suspended && !self.untried.is_empty() && self.wants_next_address(now) {
            self.try_next_address(now, limit);
        }
        if self.untried.is_empty() && self.wants_next_address(now) {
            self.watch_look_up(now);
        }
        if !self.has_no_socket() || !self.untried.is_empty() {
            return None;
        }
        let Some(awaited) = &mut self.awaited else { return Some(Err(mem::take(&mut self.error))) };
        if !self.error.causes.is_empty() {
            awaited.begin_grace(self.plan.timeout, now);
        }
        None
    }

    /// Takes the answer of the look-up, if it has ended: addresses that are new are tried, and those that the name no
    /// longer has are not.
    fn take_look_up(&mut self) {
        if !self.has_look_up_ended() {
            return;
        }
        self.awaited = None;
        match self.plan.addresses.answer() {
            Ok(addresses) => {
                self.untried.retain(|address| addresses.contains(address));
                let new = addresses.iter().filter(|address| !self.has_tried(address)).copied();
                let new: Vec<_> = new.filter(|address| !self.untried.contains(address)).collect();
                self.untried.extend(new);
            }
            // No address is known.
            Err(error) => self.error.look_up = Some(error),
        }
    }

    fn has_look_up_ended(&self) -> bool {
        self.awaited.as_ref().is_some_and(|awaited| awaited.look_up().is_over())
    }

    fn has_tried(&self, address: &SocketAddr) -> bool {
        let connects = self.connects.iter().map(Socket::peer);
        let under_way = connects.chain(self.handshakes.iter().map(Handshake::peer));
        let failed = self.error.causes.iter().map(|(address, _)| *address);
        under_way.chain(failed).any(|tried| tried == *address)
    }

    /// Watches the look-up: from now on it is all that is left to wait for, besides the sockets that there are.
    fn watch_look_up(&mut self, now: Instant) {
        let Err(error) = self.awaited.as_mut().map_or(Ok(()), Awaited::watch) else { return };
        if !self.has_no_socket() {
            self.next_at = now + self.attempt_delay;
            return;
        }
        let fault = status::local_fault(&error).unwrap_or(status::Error::System);
        self.error.look_up = Some(LookupError::Local(fault));
        self.awaited = None;
    }

    fn has_tried_none(&self) -> bool {
        self.has_no_socket() && self.untried.is_empty() && self.error.causes.is_empty()
    }

    fn has_no_socket(&self) -> bool {
        self.connects.is_empty() && self.handshakes.is_empty()
    }

    fn wants_next_address(&self, now: Instant) -> bool {
        self.has_no_socket() || now >= self.next_at
    }

    /// Returns the first stream whose handshake is complete. Handshakes that failed are dropped.
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

    /// Returns the first stream that is open. With TLS, sockets that have connected begin their handshake.
    /// Sockets that failed are dropped.
    fn advance_connects(&mut self, ready: &[PollFd], now: Instant) -> Option<Stream> {
        let mut place = 0;
        for fd in ready {
            if !fd.is_ready() {
                place += 1;
                continue;
            }
            let socket = self.connects.remove(place);
            match socket.end_connect(fd) {
                Ok(()) => {
                    if let Some(stream) = self.secure(socket, now) {
                        return Some(stream);
                    }
                }
                Err(error) => self.failed(socket.peer(), ConnectErrorKind::Io(error)),
            }
        }
        None
    }

    /// Returns the socket as a stream, or begins its handshake. A handshake has a head start of its own
    /// before the next address.
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

    /// Notes a failed handshake. If the session that it offered may be the cause, the address is not at
    /// fault yet: it is tried once more, without a session.
    fn handshake_failed(&mut self, failed: Failed, now: Instant) {
        let Failed { peer, error, retry_permit } = failed;
        let (Some(permit), Some(tls)) = (retry_permit, &mut self.plan.tls) else {
            // A server does not wait for ever for a client that says nothing.
            let is_due_to_delay = self.was_left_alone && error.fault == Fault::Reset;
            let kind = ConnectErrorKind::Tls(error);
            return self.failed(peer, if is_due_to_delay { kind.left_alone() } else { kind });
        };
        tls.without_session = Some(error.reason);
        self.next_at = now + self.head_start(now);
        match Socket::connect(peer, permit) {
            Ok(socket) => self.connects.push(socket),
            Err(error) => self.failed(peer, ConnectErrorKind::Call(error)),
        }
    }

    fn try_next_address(&mut self, now: Instant, limit: i32) {
        let Some(permit) = self.next_permit(limit) else {
            (self.is_suspended, self.was_held_up) = (true, true);
            return;
        };
        let Some(address) = self.untried.pop_front() else { return };
        self.next_at = now + self.head_start(now);
        match Socket::connect(address, permit) {
            Ok(socket) => self.connects.push(socket),
            Err(error) => {
                let kind = ConnectErrorKind::Call(error);
                if kind.local_fault().is_some() {
                    self.untried.clear();
                    self.awaited = None;
                }
                self.failed(address, kind);
            }
        }
    }

    /// Returns the head start before the next address. If each had its permit in time, all of them are tried before the
    /// call that began the connect ends or, once that is over, before the deadline.
    fn head_start(&self, now: Instant) -> Duration {
        if self.was_held_up {
            return self.attempt_delay;
        }
        let end = if now < self.call_ends_at { self.call_ends_at } else { self.deadline };
        head_start(end.saturating_duration_since(now), self.untried.len())
    }

    /// Ends the connects under way at the deadline. If a lack of permits took time, or nobody went on with them, they
    /// count as given up, not as timed out.
    fn time_out(&mut self) {
        if let Some(awaited) = self.awaited.take().filter(|_| self.has_tried_none()) {
            self.error.look_up = Some(awaited.look_up().too_late());
        }
        let (was_held_up, was_left_alone) = (self.was_held_up, self.was_left_alone);
        let kind = |own: ConnectErrorKind| match own {
            _ if was_held_up => ConnectErrorKind::GivenUp,
            own if was_left_alone => own.left_alone(),
            own => own,
        };
        for socket in mem::take(&mut self.connects) {
            self.failed(socket.peer(), kind(ConnectErrorKind::TimedOut));
        }
        for handshake in mem::take(&mut self.handshakes) {
            let (peer, error) = handshake.time_out();
            self.failed(peer, kind(ConnectErrorKind::Tls(error)));
        }
        if was_held_up {
            for address in mem::take(&mut self.untried) {
                self.failed(address, ConnectErrorKind::GivenUp);
            }
        }
    }

    fn failed(&mut self, address: SocketAddr, kind: ConnectErrorKind) {
        let is_over = self.is_late && kind.may_be_over();
        self.error.causes.push((address, if is_over { kind.left_alone() } else { kind }));
    }
}
