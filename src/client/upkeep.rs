//! What calls do in passing: see to parked attempts, and close what has been idle for too long.
//!
//! There is no thread of our own for it; each kind of work is done at most once in its interval.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::lock::{Fork, Lock};

use super::dial::Runner;
use super::{Call, Client, Connection};
use crate::clock::Moment;
use crate::connect::Race;
use crate::journal::log;
use crate::permits::Permit;
use crate::sys;

/// Idle connections are swept at most once in this time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Work that waits for the next call.
pub struct Upkeep<C: Connection> {
    next_sweep: AtomicU64,
    parked: Lock<Parked<C>>,
    any_parked: AtomicBool,
    /// When somebody last looked at them.
    looked_at: AtomicU64,
}

/// Attempts that a checkout no longer waited for.
struct Parked<C: Connection> {
    race: Race<Runner<C>>,
    /// The process that made them, by its forks.
    forks: u32,
}

impl<C: Connection> Parked<C> {
    /// All of them, and whether they are this process's. A forked child has none: what its parent left is to
    /// be dropped, which only closes the child's copies.
    fn take(&mut self) -> (Race<Runner<C>>, bool) {
        let is_own = self.forks == sys::forks();
        self.forks = sys::forks();
        (std::mem::take(&mut self.race), is_own)
    }
}

impl<C: Connection> Upkeep<C> {
    pub fn new() -> Upkeep<C> {
        Upkeep {
            next_sweep: AtomicU64::new(0),
            parked: Lock::new(Parked { race: Race::new(), forks: sys::forks() }),
            any_parked: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
        }
    }

    /// The parked attempts, which from now on are the caller's.
    fn take_parked(&self) -> Race<Runner<C>> {
        let (race, is_own) = self.parked.lock().take();
        if is_own { race } else { Race::new() }
    }

    fn park(&self, race: Race<Runner<C>>) {
        let inherited = {
            let mut parked = self.parked.lock();
            let inherited = if parked.forks == sys::forks() { Race::new() } else { parked.take().0 };
            parked.race.join(race);
            inherited
        };
        drop(inherited);
        self.any_parked.store(true, Ordering::Relaxed);
    }

    /// Has a parked attempt make room for another connection; false if none has any room to make.
    fn give_way(&self) -> bool {
        let freed = {
            let mut parked = self.parked.lock();
            parked.race.give_way().map(|(slow, freed)| {
                parked.race.join(slow);
                freed
            })
        };
        freed.is_some()
    }

    /// See [`Lock::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        self.parked.at_fork(phase, |_| {});
    }
}

impl<C: Connection> Client<C> {
    /// Does what is due; nothing, as a rule.
    #[inline]
    pub(super) fn look_after(&self, call: &impl Call<C>, now: Moment) {
        let upkeep = &self.upkeep;
        let due = upkeep.next_sweep.load(Ordering::Relaxed);
        if upkeep.any_parked.load(Ordering::Relaxed) || now.nanoseconds() >= due {
            sys::without_cancellation(|| self.do_what_is_due(call, now, due));
        }
    }

    #[cold]
    fn do_what_is_due(&self, call: &impl Call<C>, now: Moment, due: u64) {
        if self.upkeep.any_parked.load(Ordering::Relaxed) {
            self.look_at_parked(call, now);
        }
        if now.nanoseconds() >= due {
            self.sweep(call, now, due);
        }
    }

    fn sweep(&self, call: &impl Call<C>, now: Moment, due: u64) {
        if !is_mine(&self.upkeep.next_sweep, due, now.after(SWEEP_INTERVAL).nanoseconds()) {
            return;
        }
        self.pool.close_expired(now, call.limits().idle_time);
        let endpoints = self.endpoints.lock().all();
        endpoints.iter().for_each(|endpoint| endpoint.forget_unused_virtual_hosts());
    }

    /// Leaves attempts to later calls.
    pub(super) fn park(&self, race: Race<Runner<C>>) {
        if !race.is_empty() {
            self.upkeep.park(race);
        }
    }

    /// Lets parked attempts go on, once a clock tick: what has connected becomes idle, what has failed
    /// gets the blame.
    fn look_at_parked(&self, call: &impl Call<C>, now: Moment) {
        let seen = self.upkeep.looked_at.load(Ordering::Relaxed);
        if seen == now.nanoseconds() || !is_mine(&self.upkeep.looked_at, seen, now.nanoseconds()) {
            return;
        }
        self.upkeep.any_parked.store(false, Ordering::Relaxed);
        let mut race = self.upkeep.take_parked();
        loop {
            match race.poll() {
                Ok(Some((runner, Ok(stream)))) => {
                    runner.candidate.came_through(&stream);
                    self.keep_idle(self.won(call, runner, stream), now);
                }
                Ok(Some((runner, Err(failure)))) => {
                    // Nobody waits for this attempt, so nobody is told of a local fault.
                    let _ = self.lost(call, &runner.candidate, &failure);
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

    /// A permit for one more connection; at the limit the connection that has been idle longest makes room,
    /// or else an attempt that nobody waits for.
    pub(super) fn permit(&self, limit: i32) -> Option<Permit> {
        loop {
            if let Some(permit) = self.permits.acquire(limit) {
                return Some(permit);
            }
            if !self.pool.close_oldest() && !self.upkeep.give_way() {
                return None;
            }
        }
    }
}

/// Lets one caller through an interval.
fn is_mine(turn: &AtomicU64, seen: u64, next: u64) -> bool {
    turn.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
