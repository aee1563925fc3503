//! Giving the permits of a connect up for another one, or for another address, and going on later.
#![forbid(unsafe_code)]

use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Connecting;
use crate::net::stream::Socket;
use crate::net::tls::Handshake;
use crate::pool::permits::Permit;

/// The sockets of a connect that was suspended, and its permit. Drop it without holding a lock: that closes the sockets
/// and wakes a call that waits for a permit.
#[must_use]
pub struct ClosedSockets {
    _permit: Option<Permit>,
    _connects: Vec<Socket>,
    _handshakes: Vec<Handshake>,
}

impl Connecting {
    /// Gives up its sockets, so that their permits serve another connect, or the permit that it keeps while the name is
    /// looked up. `None` if it has neither.
    pub fn suspend(&mut self) -> Option<ClosedSockets> {
        let permit = self.permit.take();
        if self.has_no_socket() && permit.is_none() {
            return None;
        }
        let connects = mem::take(&mut self.connects);
        let handshakes = mem::take(&mut self.handshakes);
        let mut peers: Vec<_> =
            handshakes.iter().map(Handshake::peer).chain(connects.iter().map(Socket::peer)).collect();
        // An address that has not had its head start comes first later on, once: put last, it might never have it.
        let newest = peers.last().copied().filter(|_| Instant::now() < self.next_at);
        self.brought_forward = newest.filter(|newest| self.brought_forward != Some(*newest));
        if let Some(newest) = self.brought_forward {
            peers.pop();
            self.untried.push_front(newest);
        }
        self.untried.extend(peers);
        self.note_hold_up();
        self.is_suspended = true;
        Some(ClosedSockets { _permit: permit, _connects: connects, _handshakes: handshakes })
    }

    /// Goes on with the addresses still to try. Returns the head start that it needs before another connect
    /// takes its permit.
    pub fn resume(&mut self, permit: Permit, now: Instant) -> Duration {
        self.permit = Some(permit);
        self.is_suspended = false;
        self.next_at = now;
        self.attempt_delay
    }

    /// Returns a permit for one more socket; `None` if it has no socket and there is none. At the limit, the address that
    /// has had its head start is put last and its permit is used.
    pub(super) fn next_permit(&mut self, limit: i32) -> Option<Permit> {
        loop {
            let permit = self.permit.take().or_else(|| self.plan.permits.acquire(limit));
            if permit.is_some() || self.has_no_socket() {
                return permit;
            }
            // Handed over, since a call that waits would take one that is given back.
            let (slow, permit) = self.close_oldest();
            self.permit = permit;
            self.untried.push_back(slow);
            self.note_hold_up();
        }
    }

    /// Closes the oldest handshake or, if there is none, the oldest connect. Returns its address and its permit.
    fn close_oldest(&mut self) -> (SocketAddr, Option<Permit>) {
        if self.handshakes.is_empty() {
            let socket = self.connects.remove(0);
            (socket.peer(), socket.into_permit())
        } else {
            let handshake = self.handshakes.remove(0);
            (handshake.peer(), handshake.into_permit())
        }
    }

    pub(super) fn note_hold_up(&mut self) {
        self.attempt_delay = (2 * self.attempt_delay).min(self.plan.timeout);
        self.was_held_up = true;
    }
}
