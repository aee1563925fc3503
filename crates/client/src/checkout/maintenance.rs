//! Maintenance in passing: calls go on with parked attempts, and close connections that were idle for too
//! long.
//!
//! There is no thread for it; each kind of work is done at most once in its interval, by whichever call comes
//! first.
#![forbid(unsafe_code)]

use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::happy_eyeballs::HappyEyeballs;
use super::stats_file::When;
use super::{Call, Client, ClientConnection};
use crate::checkout::endpoint::Endpoint;
use crate::hosts::Hosts;
use crate::log::Log;
use crate::net::resolve;
use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::os::sync::atomic::{AtomicU8, Ordering};
use crate::os::sys;
use crate::pool::metrics::CloseReason;
use crate::pool::permits::Permit;

/// The shortest time between two sweeps of the idle connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// There is an attempt in `parked`, or anything inherited.
const PARKED: u8 = 1;
/// Calls wait at the limit, or have waited.
const WAITING: u8 = 2;

/// The work that waits for the next call.
pub struct Maintenance {
    next_sweep: AtomicU64,
    /// Attempts that no checkout waits for any more.
    parked: Lock<HappyEyeballs>,
    /// Parked attempts of the parent process, in a forked child.
    inherited: Lock<HappyEyeballs>,
    /// The kinds of work that each call looks for: [`PARKED`], [`WAITING`].
    work: AtomicU8,
    /// The clock tick at which parked attempts were last advanced.
    last_advance: AtomicU64,
    /// The number of [`resolve::changes`] at the last sweep.
    swept_changes: AtomicU64,
}

impl Maintenance {
    pub fn new() -> Maintenance {
        Maintenance {
            next_sweep: AtomicU64::new(0),
            parked: Lock::default(),
            inherited: Lock::default(),
            work: AtomicU8::new(0),
            last_advance: AtomicU64::new(0),
            swept_changes: AtomicU64::new(0),
        }
    }

    fn add_work(&self, kind: u8) {
        self.work.fetch_or(kind, Ordering::SeqCst);
    }

    /// Returns whether there is work of any kind.
    #[inline]
    pub fn has_work(&self) -> bool {
        self.work.load(Ordering::Relaxed) != 0
    }

    fn remove_work(&self, kind: u8) {
        self.work.fetch_and(!kind, Ordering::SeqCst);
    }

    /// Has each call from now on serve those that wait at the limit.
    pub fn note_waiting(&self) {
        self.add_work(WAITING);
    }

    /// Returns the number of parked attempts that would give up a permit.
    pub fn parked_with_permit(&self) -> usize {
        self.parked.lock().count_with_permit()
    }

    /// Takes all parked attempts out.
    fn take_parked(&self) -> HappyEyeballs {
        mem::take(&mut *self.parked.lock())
    }

    /// Parks attempts. It keeps one attempt for each endpoint, the oldest, because that one ends first. Returns the
    /// others.
    fn park(&self, attempts: HappyEyeballs) -> HappyEyeballs {
        let surplus = self.parked.lock().append_new(attempts);
        self.add_work(PARKED);
        surplus
    }

    /// Suspends a parked attempt, which frees permits. False if none has a socket.
    fn suspend_parked(&self) -> bool {
        let sockets = self.parked.lock().suspend_oldest();
        sockets.is_some()
    }

    /// Sets the parent's attempts aside in a forked child; the next call closes the child's copies.
    pub fn forget_parent(&self) {
        self.inherited.lock().append(self.take_parked());
        self.work.store(PARKED, Ordering::SeqCst);
    }
}

impl<C: ClientConnection> Client<C> {
    /// Does the work that is due. Usually there is none. Returns the time at which a checkout looks whose turn it is:
    /// `now`, or [`Moment::NEVER`] if calls wait at the limit. Then no host has a turn, and the checkout does not take
    /// what is meant for them.
    #[inline]
    pub(super) fn maintain(&self, call: &impl Call<C>, now: Moment) -> Moment {
        let maintenance = &self.maintenance;
        let due = maintenance.next_sweep.load(Ordering::Relaxed);
        if maintenance.has_work() || now.nanoseconds() >= due {
            return sys::without_cancellation(|| self.do_due_work(call, now, due));
        }
        now
    }

    #[cold]
    fn do_due_work(&self, call: &impl Call<C>, now: Moment, due: u64) -> Moment {
        let work = self.maintenance.work.load(Ordering::Relaxed);
        if work & PARKED != 0 {
            self.advance_parked(call, now);
        }
        if work & WAITING != 0 {
            self.serve_waiters();
        }
        if now.nanoseconds() >= due {
            self.sweep(call, now, due);
        }
        if self.permits.waiters().length() > 0 { Moment::NEVER } else { now }
    }

    /// Wakes the first call that waits: a connection may have become idle.
    fn serve_waiters(&self) {
        let waiters = self.permits.waiters();
        if waiters.length() == 0 {
            self.maintenance.remove_work(WAITING);
            // A call may have begun to wait in between.
            if waiters.length() > 0 {
                self.maintenance.add_work(WAITING);
            }
        }
        waiters.wake_first();
    }

    /// Closes connections that were idle for too long or lead to addresses that their name has left, and forgets unused
    /// endpoints.
    fn sweep(&self, call: &impl Call<C>, now: Moment, due: u64) {
        if !claim(&self.maintenance.next_sweep, due, now.after(SWEEP_INTERVAL).nanoseconds()) {
            return;
        }
        self.pool.close_expired(now, call.limits());
        self.update_stats_file(call, now);
        let (listed, forgotten) = self.endpoints.lock().forget_unused(now);
        drop(forgotten);
        listed.iter().for_each(|endpoint| endpoint.forget_unused_virtual_hosts(now));
        let changes = resolve::changes();
        if self.maintenance.swept_changes.swap(changes, Ordering::Relaxed) != changes {
            let all = self.endpoints.lock().all();
            all.iter().flat_map(Endpoint::family).for_each(|endpoint| self.close_left(&endpoint));
        }
    }

    /// Closes the idle connections of an endpoint whose addresses its name no longer has.
    pub(super) fn close_left(&self, endpoint: &Endpoint) {
        if endpoint.addresses().have_changed() {
            let known = endpoint.addresses().known();
            let has_left = |idle: &C| idle.peer().is_none_or(|peer| !known.contains(&peer));
            self.pool.close_matching(endpoint.idle_set(), has_left);
        }
    }

    /// Leaves the statistics to the file of the process, if that is wanted and due.
    fn update_stats_file(&self, call: &impl Call<C>, now: Moment) {
        let Some(file) = &self.stats_file else { return };
        // Before the first checkout there are no hosts.
        let Some(hosts) = self.hosts_in_use() else { return };
        if file.is_due(now) {
            file.update(self.table(Some(&hosts)), When::InPassing, call);
        }
    }

    /// Leaves its last statistics to the file of the process, if that is wanted.
    pub(super) fn end_stats_file(&self, log: &impl Log, hosts: Option<&Arc<Hosts>>, when: When) {
        let Some(file) = &self.stats_file else { return };
        let mut table = self.table(hosts);
        // They are closed with the context.
        table.pool.counts.closed[CloseReason::Left as usize] += table.pool.idle;
        sys::without_cancellation(|| file.update(table, when, log));
    }

    /// Leaves attempts to later calls.
    pub(super) fn park(&self, attempts: HappyEyeballs) {
        if !attempts.is_empty() {
            drop(self.maintenance.park(attempts));
            // They give way to a call that waits.
            self.permits.waiters().wake_first();
        }
    }

    /// Advances parked attempts, once a clock tick. A connection becomes idle; a failure blacklists the host
    /// if it is at fault.
    fn advance_parked(&self, call: &impl Call<C>, now: Moment) {
        let seen = self.maintenance.last_advance.load(Ordering::Relaxed);
        if seen == now.nanoseconds() || !claim(&self.maintenance.last_advance, seen, now.nanoseconds()) {
            return;
        }
        self.maintenance.remove_work(PARKED);
        self.close_inherited();
        let mut attempts = self.maintenance.take_parked();
        self.resume_parked(call, &mut attempts);
        loop {
            match attempts.poll(call.settings().connections) {
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

    /// Resumes suspended attempts while there are permits for them that no call waits for.
    fn resume_parked(&self, call: &impl Call<C>, attempts: &mut HappyEyeballs) {
        while attempts.has_suspended() && self.permits.waiters().length() == 0 {
            let Some(permit) = self.permits.acquire(call.settings().connections) else { return };
            attempts.resume_oldest(permit, Instant::now());
        }
    }

    /// Closes a forked child's copies of its parent's sockets.
    fn close_inherited(&self) {
        // A statement of its own, which ends the lock before the sockets are closed.
        let inherited = mem::take(&mut *self.maintenance.inherited.lock());
        drop(inherited);
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
