//! What calls do in passing: see to parked attempts, and close what has been idle for too long.
//!
//! There is no thread of our own for it; each kind of work is done at most once in its interval.
#![forbid(unsafe_code)]

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::os::lock::Lock;

use super::{Call, Candidate, Client, Connection};
use crate::net::connect::HappyEyeballs;
use crate::os::clock::Moment;
use crate::os::sys;
use crate::pool::permits::Permit;

/// Idle connections are swept at most once in this time.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Work that waits for the next call.
pub struct Upkeep {
    next_sweep: AtomicU64,
    /// Attempts that a checkout no longer waited for.
    parked: Lock<HappyEyeballs<Candidate>>,
    /// Those of a parent process.
    inherited: Lock<HappyEyeballs<Candidate>>,
    any_parked: AtomicBool,
    /// When somebody last looked at them.
    looked_at: AtomicU64,
}

impl Upkeep {
    pub fn new() -> Upkeep {
        Upkeep {
            next_sweep: AtomicU64::new(0),
            parked: Lock::default(),
            inherited: Lock::default(),
            any_parked: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
        }
    }

    /// The parked attempts, which from now on are the caller's.
    fn take_parked(&self) -> HappyEyeballs<Candidate> {
        mem::take(&mut *self.parked.lock())
    }

    fn park(&self, race: HappyEyeballs<Candidate>) {
        self.parked.lock().join(race);
        self.any_parked.store(true, Ordering::Relaxed);
    }

    /// Has a parked attempt make room for another connection; false if none has any room to make.
    fn give_way(&self) -> bool {
        let freed = self.parked.lock().give_way();
        freed.is_some()
    }

    /// Puts aside, in a forked child, the attempts of the parent; the next call drops them.
    pub fn forget_parent(&self) {
        self.inherited.lock().join(self.take_parked());
        self.any_parked.store(true, Ordering::Relaxed);
    }
}

impl<C: Connection> Client<C> {
    /// Does what is due; nothing, as a rule.
    #[inline]
    pub(super) fn maintain(&self, call: &impl Call<C>, now: Moment) {
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
        let (listed, forgotten) = self.endpoints.lock().forget_unused(now);
        drop(forgotten);
        listed.iter().for_each(|endpoint| endpoint.forget_unused_virtual_hosts(now));
    }

    /// Leaves attempts to later calls.
    pub(super) fn park(&self, race: HappyEyeballs<Candidate>) {
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
        self.close_inherited();
        let mut race = self.upkeep.take_parked();
        self.resume_suspended(call, &mut race);
        loop {
            match race.poll() {
                Ok(Some((candidate, Ok(stream)))) => {
                    if let Ok(connection) = self.won(call, candidate, stream) {
                        self.keep_idle(connection, now);
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

    /// Lets attempts that gave way at the limit go on, as far as there is room again.
    fn resume_suspended(&self, call: &impl Call<C>, race: &mut HappyEyeballs<Candidate>) {
        while race.has_suspended() {
            let Some(permit) = self.permits.acquire(call.settings().connections) else { return };
            race.resume(permit, Instant::now());
        }
    }

    /// Closes what a forked child has of its parent's sockets.
    fn close_inherited(&self) {
        drop(mem::take(&mut *self.upkeep.inherited.lock()));
        self.pool.close_inherited();
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
