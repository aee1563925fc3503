//! The set of the idle connections to one endpoint: whether it takes connections back, and for how long they are of use.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::limits;
use super::server_limits::{Announced, Ending, ServerLimits};
use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::os::sync::atomic::AtomicU32;

/// The numbers of idle sets. Numbers of dropped sets are used again.
#[derive(Default)]
pub struct Numbers(Lock<FreeNumbers>);

#[derive(Default)]
struct FreeNumbers {
    free: Vec<usize>,
    next: usize,
}

/// The idle connections to one endpoint. Every connection refers to its set, so its number stays in use.
pub struct IdleSet {
    /// The number of its stack in each shard.
    pub number: usize,
    /// A connection is taken back if it was reused less often than this. 0 while none is.
    takes: AtomicU32,
    /// The time for which an idle connection can be used, in nanoseconds.
    idle_time: AtomicI64,
    state: Lock<State>,
    numbers: Arc<Numbers>,
}

/// The state that `takes` and `idle_time` are made from.
struct State {
    phase: Phase,
    server: ServerLimits,
    /// The limits that were reported last.
    reported: Known,
}

/// The known limits of a server: the time for which an idle connection can be used, and the number of times that a
/// connection can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The time; `None` if no limit is known.
    pub idle: Option<Duration>,
    /// The number; `None` if no limit is known.
    pub uses: Option<u32>,
}

impl Known {
    /// Returns the narrower limits of both.
    pub fn least(self, other: Known) -> Known {
        let least = |one: Option<_>, other| one.into_iter().chain(other).min();
        Known { idle: least(self.idle, other.idle), uses: self.uses.into_iter().chain(other.uses).min() }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.idle {
            Some(idle) => write!(f, "idle connections are used within {:.3} s", idle.as_secs_f64())?,
            None => write!(f, "no idle timeout is known")?,
        }
        match self.uses {
            Some(uses) => write!(f, ", a connection is used {uses} times at most"),
            None => write!(f, ", no limit on requests is known"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The set takes connections back.
    Open,
    /// The set takes no connection back until a new one succeeds.
    Suspended,
    /// The set takes no connection back any more.
    Closed,
}

impl IdleSet {
    /// An empty set.
    pub fn new(numbers: &Arc<Numbers>) -> IdleSet {
        let number = {
            let mut numbers = numbers.0.lock();
            let fresh = numbers.next;
            numbers.free.pop().unwrap_or_else(|| {
                numbers.next = fresh + 1;
                fresh
            })
        };
        let state = State { phase: Phase::Open, server: ServerLimits::UNKNOWN, reported: Known::default() };
        IdleSet {
            number,
            takes: AtomicU32::new(u32::MAX),
            idle_time: AtomicI64::new(i64::MAX),
            state: Lock::new(state),
            numbers: Arc::clone(numbers),
        }
    }

    /// True if it takes back a connection that was reused this often.
    #[inline(always)]
    pub fn takes(&self, reuses: u32) -> bool {
        reuses < self.takes.load(Ordering::Relaxed)
    }

    /// The time for which an idle connection can be used, as far as the server's limits are known, in nanoseconds.
    #[inline(always)]
    pub fn idle_nanoseconds(&self) -> i64 {
        self.idle_time.load(Ordering::Relaxed)
    }

    /// Takes connections back again, because a new one succeeded. No effect once closed.
    pub fn resume(&self) {
        self.change(|state| state.advance(Phase::Suspended, Phase::Open));
    }

    /// Takes no connection back until [`IdleSet::resume`]. No effect once closed.
    pub fn suspend(&self) {
        self.change(|state| state.advance(Phase::Open, Phase::Suspended));
    }

    /// Takes no connection back any more.
    pub fn close(&self) {
        self.change(|state| state.phase = Phase::Closed);
    }

    /// True if it takes no connection back until a new one succeeds.
    pub fn is_suspended(&self) -> bool {
        self.state.lock().phase == Phase::Suspended
    }

    /// True if it takes connections back, if only those that were not used too often.
    pub fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    /// Notes that a connection has served so many requests.
    pub fn note_served(&self, uses: u32, now: Moment) {
        self.state.lock().server.note_served(uses, now);
    }

    /// Learns from a connection that the server has ended. `is_void` says that other connections contradict it.
    pub fn observe(&self, ending: Ending, is_void: bool) {
        self.change(|state| state.server.observe(ending, is_void));
    }

    /// Learns what the server announces. `round_trip` returns the round-trip time; it is called without a lock.
    pub fn announce(&self, announced: Announced, round_trip: impl FnOnce() -> Duration, now: Moment) {
        let is_news = self.state.lock().server.is_news(announced, now);
        if is_news {
            let round_trip = round_trip();
            self.change(|state| state.server.announce(announced, round_trip, now));
        }
    }

    /// Returns the limits of the server that are known.
    pub fn known(&self) -> Known {
        self.state.lock().known()
    }

    /// Forgets limits that were learned too long ago. Returns the known ones if they have changed since the last call.
    pub fn review(&self, now: Moment) -> Option<Known> {
        self.change(|state| {
            state.server.forget(now);
            let known = state.known();
            let has_changed = known != state.reported;
            state.reported = known;
            has_changed.then_some(known)
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let outcome = change(&mut state);
        let Known { idle, uses } = state.known();
        self.idle_time.store(idle.map_or(i64::MAX, limits::signed), Ordering::Relaxed);
        let takes = match state.phase {
            Phase::Open => uses.map_or(u32::MAX, |uses| uses.saturating_sub(1)),
            _ => 0,
        };
        self.takes.store(takes, Ordering::Relaxed);
        outcome
    }
}

impl State {
    fn advance(&mut self, from: Phase, to: Phase) {
        if self.phase == from {
            self.phase = to;
        }
    }

    fn known(&self) -> Known {
        Known { idle: self.server.idle(), uses: self.server.uses() }
    }
}

impl Drop for IdleSet {
    fn drop(&mut self) {
        self.numbers.0.lock().free.push(self.number);
    }
}
