//! Maintenance in passing: calls go on with parked attempts, and close connections that were idle for too
//! long.
//!
//! There is no thread for it; each kind of work is done at most once in its interval, by whichever call comes
//! first.
#![forbid(unsafe_code)]

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::happy_eyeballs::HappyEyeballs;
use super::{Call, Client, ClientConnection};
use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::os::sys;
use crate::pool::permits::Permit;

/// The shortest time between two sweeps of the idle connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The work that waits for the next call.
pub struct Maintenance {
    next_sweep: AtomicU64,
    /// Attempts that no checkout waits for any more.
    parked: Lock<HappyEyeballs>,
    /// Parked attempts of the parent process, in a forked child.
    inherited: Lock<HappyEyeballs>,
    /// True if there is an attempt in `parked` or anything inherited.
    any_parked: AtomicBool,
    /// The clock tick at which parked attempts were last advanced.
    last_advance: AtomicU64,
}

impl Maintenance {
    pub fn new() -> Maintenance {
        Maintenance {
            next_sweep: AtomicU64::new(0),
            parked: Lock::default(),
            inherited: Lock::default(),
            any_parked: AtomicBool::new(false),
            last_advance: AtomicU64::new(0),
        }
    }

    /// Takes all parked attempts out.
    fn take_parked(&self) -> HappyEyeballs {
        mem::take(&mut *self.parked.lock())
    }

    fn park(&self, attempts: HappyEyeballs) {
        self.parked.lock().append(attempts);
        self.any_parked.store(true, Ordering::Relaxed);
    }

    /// Suspends a parked attempt, which frees permits. False if none has a socket.
    fn suspend_parked(&self) -> bool {
        let sockets = self.parked.lock().suspend_oldest();
        sockets.is_some()
    }

    /// Sets the parent's attempts aside in a forked child; the next call closes the child's copies.
    pub fn forget_parent(&self) {
        self.inherited.lock().append(self.take_parked());
        self.any_parked.store(true, Ordering::Relaxed);
    }
}

impl<C: ClientConnection> Client<C> {
    /// Does the work that is due. Usually there is none.
    #[inline]
    pub(super) fn maintain(&self, call: &impl Call<C>, now: Moment) {
        let maintenance = &self.maintenance;
        let due = maintenance.next_sweep.load(Ordering::Relaxed);
        if maintenance.any_parked.load(Ordering::Relaxed) || now.nanoseconds() >= due {
            sys::without_cancellation(|| self.do_due_work(call, now, due));
        }
    }

    #[cold]
    fn do_due_work(&self, call: &impl Call<C>, now: Moment, due: u64) {
        if self.maintenance.any_parked.load(Ordering::Relaxed) {
            self.advance_parked(call, now);
        }
        if now.nanoseconds() >= due {
            self.sweep(call, now, due);
        }
    }

    /// Closes connections that were idle for too long, and forgets unused endpoints.
    fn sweep(&self, call: &impl Call<C>, now: Moment, due: u64) {
        if !claim(&self.maintenance.next_sweep, due, now.after(SWEEP_INTERVAL).nanoseconds()) {
            return;
        }
        self.pool.close_expired(now, call.limits().idle_time);
        let (listed, forgotten) = self.endpoints.lock().forget_unused(now);
        drop(forgotten);
        listed.iter().for_each(|endpoint| endpoint.forget_unused_virtual_hosts(now));
    }

    /// Leaves attempts to later calls.
    pub(super) fn park(&self, attempts: HappyEyeballs) {
        if !attempts.is_empty() {
            self.maintenance.park(attempts);
        }
    }

    /// Advances parked attempts, once a clock tick. A connection becomes idle; a failure blacklists the host
    /// if it is at fault.
    fn advance_parked(&self, call: &impl Call<C>, now: Moment) {
        let seen = self.maintenance.last_advance.load(Ordering::Relaxed);
        if seen == now.nanoseconds() || !claim(&self.maintenance.last_advance, seen, now.nanoseconds()) {
            return;
        }
        self.maintenance.any_parked.store(false, Ordering::Relaxed);
        self.close_inherited();
        let mut attempts = self.maintenance.take_parked();
        self.resume_parked(call, &mut attempts);
        loop {
            match attempts.poll() {
                Ok(Some((attempt, Ok(stream)))) => {
                    if let Ok(connection) = self.attempt_succeeded(call, attempt, stream) {
                        self.keep_idle(connection, now);
                    }
                }
                Ok(Some((attempt, Err(error)))) => self.attempt_failed(call, &attempt, &error),
                Ok(None) => break,
                Err(error) => {
                    log!(call, Error, "poll: {error}");
                    break;
                }
            }
        }
        self.park(attempts);
    }

    /// Resumes suspended attempts while there are permits for them.
    fn resume_parked(&self, call: &impl Call<C>, attempts: &mut HappyEyeballs) {
        while attempts.has_suspended() {
            let Some(permit) = self.permits.acquire(call.settings().connections) else { return };
            attempts.resume_oldest(permit, Instant::now());
        }
    }

    /// Closes a forked child's copies of its parent's sockets.
    fn close_inherited(&self) {
        drop(mem::take(&mut *self.maintenance.inherited.lock()));
        self.pool.close_inherited();
    }

    /// Returns a permit for one more connection. At the limit the connection that has been idle longest is
    /// closed for it, or else a parked attempt is suspended.
    pub(super) fn permit(&self, limit: i32) -> Option<Permit> {
        loop {
            if let Some(permit) = self.permits.acquire(limit) {
                return Some(permit);
            }
            if !self.pool.close_oldest() && !self.maintenance.suspend_parked() {
                return None;
            }
        }
    }
}

/// Moves a mark from `seen` to `next`. True for one caller only, which does the work of this interval.
fn claim(mark: &AtomicU64, seen: u64, next: u64) -> bool {
    mark.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
