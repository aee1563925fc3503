//! What calls do in passing: see to parked attempts, and close what has been idle for too long.
//!
//! There is no thread of our own for it; each kind of work is done at most once in its interval.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::lock::{Fork, Lock};

use super::{Call, Candidate, Client, Connection};
use crate::clock::Moment;
use crate::connect::Race;
use crate::journal::log;
use crate::permits::Permit;
use crate::sys;

/// Idle connections are swept at most once in this time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Work that waits for the next call.
pub struct Upkeep {
    next_sweep: AtomicU64,
    /// Attempts that a checkout no longer waited for, and the process that made them.
    parked: Lock<(Race<Candidate>, u32)>,
    any_parked: AtomicBool,
    /// When somebody last looked at them.
    looked_at: AtomicU64,
}

impl Upkeep {
    pub fn new() -> Upkeep {
        Upkeep {
            next_sweep: AtomicU64::new(0),
            parked: Lock::new((Race::new(), sys::forks())),
            any_parked: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
        }
    }

    /// The parked attempts, which from now on are the caller's. A forked child has none: what its parent
    /// left is dropped, which only closes the child's copies.
    pub fn take_parked(&self) -> Race<Candidate> {
        let (parked, forks) = std::mem::replace(&mut *self.parked.lock(), (Race::new(), sys::forks()));
        if forks == sys::forks() { parked } else { Race::new() }
    }

    fn park(&self, race: Race<Candidate>) {
        let inherited = {
            let mut parked = self.parked.lock();
            let is_inherited = parked.1 != sys::forks();
            let inherited =
                is_inherited.then(|| std::mem::replace(&mut *parked, (Race::new(), sys::forks())));
            parked.0.join(race);
            inherited
        };
        drop(inherited);
        self.any_parked.store(true, Ordering::Relaxed);
    }

    /// See [`Lock::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        self.parked.at_fork(phase, |_| {});
    }

    /// Lets one caller through an interval.
    fn is_mine(turn: &AtomicU64, seen: u64, next: u64) -> bool {
        turn.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl<C: Connection> Client<C> {
    /// Does what is due; nothing, as a rule.
    #[inline]
    pub(super) fn look_after(&self, call: &impl Call<C>, now: Moment) {
        let upkeep = &self.upkeep;
        if upkeep.any_parked.load(Ordering::Relaxed) {
            self.look_at_parked(call, now);
        }
        let due = upkeep.next_sweep.load(Ordering::Relaxed);
        if now.nanoseconds() >= due {
            self.sweep(call, now, due);
        }
    }

    #[cold]
    fn sweep(&self, call: &impl Call<C>, now: Moment, due: u64) {
        if !Upkeep::is_mine(&self.upkeep.next_sweep, due, now.after(SWEEP_INTERVAL).nanoseconds()) {
            return;
        }
        self.pool.close_expired(now, call.settings().reuse.idle_time);
        let endpoints = self.table.lock().all();
        endpoints.iter().for_each(|endpoint| endpoint.forget_unused_virtual_hosts());
    }

    /// Leaves attempts to later calls.
    pub(super) fn park(&self, race: Race<Candidate>) {
        if !race.is_empty() {
            self.upkeep.park(race);
        }
    }

    /// Lets parked attempts go on, once a clock tick: what has connected becomes idle, what has failed
    /// gets the blame.
    #[cold]
    fn look_at_parked(&self, call: &impl Call<C>, now: Moment) {
        let seen = self.upkeep.looked_at.load(Ordering::Relaxed);
        if seen == now.nanoseconds() || !Upkeep::is_mine(&self.upkeep.looked_at, seen, now.nanoseconds()) {
            return;
        }
        self.upkeep.any_parked.store(false, Ordering::Relaxed);
        let mut race = self.upkeep.take_parked();
        loop {
            match race.poll() {
                Ok(Some((candidate, Ok(stream)))) => {
                    candidate.succeeded();
                    if let Ok(connection) = call.wrap(stream, &candidate.endpoint) {
                        let _ = self.pool.release(connection, now);
                    }
                }
                Ok(Some((candidate, Err(failure)))) => {
                    // Nobody waits for this attempt, so nobody is told of a local fault.
                    let _ = self.lost(call, &candidate, &failure);
                }
                Ok(None) => break,
                Err(error) => {
                    log!(call, Error, "poll: {error}");
                    break;
                }
            }
        }
        self.park(race);
    }

    /// A permit for one more connection; at the limit the connection that has been idle longest makes room.
    pub(super) fn permit(&self, limit: i32) -> Option<Permit> {
        loop {
            if let Some(permit) = self.permits.acquire(limit) {
                return Some(permit);
            }
            if !self.pool.close_oldest() {
                return None;
            }
        }
    }
}
