//! The list of hosts of a context, and the circuit breaker of each host.
//!
//! The circuit of a host is *closed* while the host works, *open* while it is blacklisted, and *half-open* once
//! the blacklisting has expired: then a single attempt, the probe, decides whether the host is available
//! again. A *suspect* is a host of a closed circuit on which an attempt has been under way for longer than its
//! head start; checkouts choose it last.
//!
//! | state ([`CircuitState`]) | in statistics | who uses the host |
//! | --- | --- | --- |
//! | `Closed` | available | all checkouts, in turn |
//! | `Suspect` | suspect | checkouts that have no closed host left to try |
//! | `Open` | out | checkouts that have no other host, as [the last resort](Hosts::begin_last_resort) |
//! | `HalfOpen`, not probing | due | the next checkout, which begins the probe |
//! | `HalfOpen`, probing | probing | the checkout that probes it |
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | any state | [`Hosts::blacklist`]: an attempt or a write failed, or the program says so | `Open` |
//! | any state | [`Hosts::unblacklist`]: the program says so | `Closed` |
//! | `Closed` | [`AttemptGuard::mark_slow`]: an attempt has used up its head start | `Suspect` |
//! | `Suspect` | a connect succeeds, or the last slow attempt ends without a result | `Closed` |
//! | `Open` | [`Hosts::expire`]: the blacklisting has expired | `HalfOpen`, not probing |
//! | `Open`, expired | [`Hosts::begin_probe`]: a checkout begins the probe | `HalfOpen`, probing |
//! | `HalfOpen`, not probing | [`Hosts::begin_probe`]: a checkout begins the probe | `HalfOpen`, probing |
//! | `HalfOpen` | a connect succeeds, the probe's or an earlier one's | `Closed` |
//! | `HalfOpen`, probing | the probe ends without a result | `HalfOpen`, not probing |
//! | `Open` | an early probe succeeds | `Closed` |
//! | `Suspect` | fork, in the child | `Closed` |
//! | `HalfOpen`, probing | fork, in the child | `HalfOpen`, not probing |
//!
//! A probe that fails blacklists the host as any failed attempt does. A checkout that has no host left calls
//! [`Hosts::begin_last_resort`]: it uses a host whose circuit a reply has opened, or begins an early probe of one
//! that failed. Neither changes the state, unless the early probe succeeds. Any other connect that succeeds while the
//! circuit is open has no effect: the host was blacklisted after that connect had begun. No probe begins while
//! another attempt on the host is under way, which is then as good as a probe. The reuse of an idle connection is
//! no event: it does not show whether the host accepts connections.
#![forbid(unsafe_code)]

mod attempt_guard;
mod back_off;
mod circuit_breaker;
mod host;
mod matching;
mod record;
mod report;
mod resolved;

use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::os::clock::Moment;
use crate::os::lock::{Condvar, Lock};
use crate::os::sync::atomic::{AtomicU64, Ordering};

pub use attempt_guard::AttemptGuard;
use attempt_guard::AttemptKind;
use circuit_breaker::CircuitBreaker;
pub use circuit_breaker::{CircuitState, HostStatus, STATE_NAMES};
pub use host::{Host, Observer};
pub use matching::host_with_all;
pub use record::{HostMetrics, Record};
pub use report::StateText;
pub use resolved::{Resolved, Unresolved};

/// Hosts in list order. The lock is held for short walks only.
pub struct Hosts {
    breakers: Lock<Vec<CircuitBreaker>>,
    /// The number of changes so far, which tells whether a [`Snapshot`] is out of date.
    version: AtomicU64,
    /// Notified when [`Hosts::update`] has changed a circuit breaker, as for the result of a probe. Hosts that come or
    /// go and probes that begin notify nobody: callers that wait look again every 50 ms.
    change: Condvar,
}

/// The hosts of one version of a list.
pub struct Snapshot {
    /// The version.
    pub version: u64,
    /// All hosts, in list order.
    pub all: Vec<Arc<Host>>,
    /// The hosts that checkouts take in turn, in list order: those whose circuit is closed or, if there is neither
    /// such a host nor a suspect, those that are out for a reply.
    pub available: Vec<Arc<Host>>,
    /// The time at which the next probe is due, which need not be an early one if a circuit is closed.
    pub probe_at: Moment,
}

impl Hosts {
    /// An empty list.
    pub fn new() -> Arc<Hosts> {
        Arc::new(Hosts {
            breakers: Lock::new(Vec::new()),
            version: AtomicU64::new(0),
            change: Condvar::default(),
        })
    }

    /// The version of the list. A [`Snapshot`] of another version is out of date.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Inserts a host at a place of the list.
    pub fn insert(&self, place: usize, host: Arc<Host>, observer: Box<dyn Observer>) {
        let mut breakers = self.breakers.lock();
        let place = place.min(breakers.len());
        breakers.insert(place, CircuitBreaker::new(host, observer));
        self.changed();
    }

    /// Removes the host of this handle.
    pub fn remove(&self, handle: usize) -> Option<Arc<Host>> {
        let mut breakers = self.breakers.lock();
        let place = breakers.iter().position(|breaker| breaker.host.handle() == handle)?;
        let removed = breakers.remove(place);
        self.changed();
        Some(removed.host)
    }

    /// The number of hosts.
    pub fn count(&self) -> usize {
        self.breakers.lock().len()
    }

    /// All hosts, in list order.
    pub fn all(&self) -> Vec<Arc<Host>> {
        self.breakers.lock().iter().map(|breaker| Arc::clone(&breaker.host)).collect()
    }

    /// The states of all hosts, in list order.
    pub fn statuses(&self) -> Vec<HostStatus> {
        let breakers = self.breakers.lock();
        let statuses = breakers.iter().map(|breaker| {
            let CircuitBreaker { host, state, fault, .. } = breaker;
            HostStatus { host: Arc::clone(host), state: *state, fault: *fault }
        });
        statuses.collect()
    }

    /// The hosts that are not blacklisted at this time. C counts them as available.
    pub fn not_blacklisted(&self, now: Moment) -> Vec<Arc<Host>> {
        self.expire(now);
        let breakers = self.breakers.lock();
        let usable = breakers.iter().filter(|breaker| !matches!(breaker.state, CircuitState::Open { .. }));
        usable.map(|breaker| Arc::clone(&breaker.host)).collect()
    }

    /// Shows the present addresses of every host to its observer.
    pub fn show_addresses(&self) {
        for breaker in self.breakers.lock().iter() {
            breaker.observer.show_addresses(&breaker.host.addresses().known());
        }
    }

    /// Half-opens the circuits whose blacklisting has expired.
    pub fn expire(&self, now: Moment) {
        let mut breakers = self.breakers.lock();
        let expired = breakers.iter_mut().filter_map(|breaker| breaker.expire(now).then_some(())).count();
        if expired > 0 {
            self.changed();
        }
    }

    /// The hosts as they are at this time.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let breakers = self.breakers.lock();
        let mut snapshot = Snapshot {
            version: self.version(),
            all: breakers.iter().map(|breaker| Arc::clone(&breaker.host)).collect(),
            available: Vec::new(),
            probe_at: Moment::NEVER,
        };
        let is_last_resort = !breakers
            .iter()
            .any(|breaker| matches!(breaker.state, CircuitState::Closed | CircuitState::Suspect));
        for breaker in breakers.iter() {
            if breaker.state == CircuitState::Closed || (is_last_resort && breaker.is_out_for_reply(now)) {
                snapshot.available.push(Arc::clone(&breaker.host));
            }
            let early = breaker.early_probe_at().filter(|_| is_last_resort);
            let probes = [breaker.probe_at(), early].into_iter().flatten();
            snapshot.probe_at = probes.fold(snapshot.probe_at, Moment::min);
        }
        snapshot
    }

    /// Begins the probe of the first host whose probe is due and for which `is_wanted` is true.
    pub fn begin_probe(
        self: &Arc<Self>,
        now: Moment,
        is_wanted: impl Fn(&Arc<Host>) -> bool,
    ) -> Option<AttemptGuard> {
        let mut breakers = self.breakers.lock();
        let is_due = |breaker: &CircuitBreaker| breaker.probe_at().is_some_and(|probe_at| probe_at <= now);
        let breaker = breakers.iter_mut().find(|breaker| is_due(breaker) && is_wanted(&breaker.host))?;
        // Also shows the host as available.
        breaker.expire(now);
        breaker.state = CircuitState::HalfOpen { is_probing: true };
        self.changed();
        Some(AttemptGuard::begin(self, breaker, AttemptKind::Probe))
    }

    /// Begins an attempt on the host of this turn among the available ones for which `is_wanted` is true, or else
    /// among such suspects.
    pub fn begin_attempt(
        self: &Arc<Self>,
        turn: u32,
        is_wanted: impl Fn(&Arc<Host>) -> bool,
    ) -> Option<AttemptGuard> {
        let mut breakers = self.breakers.lock();
        [CircuitState::Closed, CircuitState::Suspect].into_iter().find_map(|state| {
            let is_left = |breaker: &CircuitBreaker| breaker.state == state && is_wanted(&breaker.host);
            self.begin_in_turn(&mut breakers, turn, is_left)
        })
    }

    /// Begins an attempt for a checkout that has no other host left: an early probe of a host that failed, if one is due
    /// and `may_probe` is true, or else an attempt on the host of this turn among those that are out for
    /// a reply.
    pub fn begin_last_resort(
        self: &Arc<Self>,
        turn: u32,
        now: Moment,
        may_probe: bool,
        is_wanted: impl Fn(&Arc<Host>) -> bool,
    ) -> Option<AttemptGuard> {
        let mut breakers = self.breakers.lock();
        let is_due =
            |breaker: &CircuitBreaker| may_probe && breaker.early_probe_at().is_some_and(|at| at <= now);
        if let Some(breaker) = breakers.iter_mut().find(|it| is_due(it) && is_wanted(&it.host)) {
            self.changed();
            return Some(AttemptGuard::begin(self, breaker, AttemptKind::EarlyProbe));
        }
        let is_left = |breaker: &CircuitBreaker| breaker.is_out_for_reply(now) && is_wanted(&breaker.host);
        self.begin_in_turn(&mut breakers, turn, is_left)
    }

    fn begin_in_turn(
        self: &Arc<Self>,
        breakers: &mut [CircuitBreaker],
        turn: u32,
        is_left: impl Fn(&CircuitBreaker) -> bool,
    ) -> Option<AttemptGuard> {
        let count = breakers.iter().filter(|breaker| is_left(breaker)).count();
        let place = (turn as usize).checked_rem(count)?;
        let breaker = breakers.iter_mut().filter(|breaker| is_left(breaker)).nth(place)?;
        Some(AttemptGuard::begin(self, breaker, AttemptKind::Ordinary))
    }

    /// True if a checkout could try a host for which `is_wanted` is true now, or could wait for the probe of one.
    pub fn may_be_tried(&self, now: Moment, is_wanted: impl Fn(&Arc<Host>) -> bool) -> bool {
        let may_be_tried = |breaker: &CircuitBreaker| breaker.may_be_tried(now) || breaker.is_probing();
        self.breakers.lock().iter().any(|breaker| may_be_tried(breaker) && is_wanted(&breaker.host))
    }

    /// Returns the number of hosts for which `is_wanted` is true and that a checkout could try now.
    pub fn count_untried(&self, now: Moment, is_wanted: impl Fn(&Arc<Host>) -> bool) -> usize {
        let breakers = self.breakers.lock();
        breakers.iter().filter(|breaker| breaker.may_be_tried(now) && is_wanted(&breaker.host)).count()
    }

    /// True if a host for which `is_wanted` is true is being probed.
    pub fn is_probing(&self, is_wanted: impl Fn(&Arc<Host>) -> bool) -> bool {
        is_any_probed(&self.breakers.lock(), is_wanted)
    }

    /// Waits until `Hosts::update` changes a circuit breaker, at most for the timeout, if a host for which
    /// `is_wanted` is true is being probed. False if none is.
    pub fn wait_for_probe(&self, is_wanted: impl Fn(&Arc<Host>) -> bool, timeout: Duration) -> bool {
        let breakers = self.breakers.lock();
        let is_probing = is_any_probed(&breakers, is_wanted);
        if is_probing {
            drop(self.change.wait_timeout(breakers, timeout));
        }
        is_probing
    }

    /// Blacklists a host for `wait`; `None` is for good. Returns whether that changes its blacklisting; `None` if it is
    /// not in the list.
    pub fn blacklist(
        &self,
        host: &Arc<Host>,
        now: Moment,
        wait: Option<Duration>,
        fault: Fault,
    ) -> Option<bool> {
        self.open(host, now, now, wait, fault, false)
    }

    fn open(
        &self,
        host: &Arc<Host>,
        since: Moment,
        now: Moment,
        wait: Option<Duration>,
        fault: Fault,
        is_probe: bool,
    ) -> Option<bool> {
        let mut has_changed = None;
        self.update(host, |breaker| *has_changed.insert(breaker.open(since, now, wait, fault, is_probe)));
        has_changed
    }

    /// Makes a host available again. False if it is not in the list.
    pub fn unblacklist(&self, host: &Arc<Host>) -> bool {
        self.update(host, |breaker| {
            breaker.close();
            true
        })
    }

    /// Notes that a connect to a host succeeded which had no guard.
    pub fn connect_succeeded(&self, host: &Arc<Host>) {
        self.update(host, CircuitBreaker::connect_succeeded);
    }

    /// Forgets the attempts of the parent process, in a forked child, where they never end.
    pub fn forget_parent(&self) {
        for breaker in self.breakers.lock().iter_mut() {
            breaker.forget_attempts();
            breaker.host.record().forget_parent();
        }
        self.changed();
    }

    /// Changes the circuit breaker of a host. `change` returns whether checkouts would choose differently; so does
    /// this function.
    fn update(&self, host: &Arc<Host>, change: impl FnOnce(&mut CircuitBreaker) -> bool) -> bool {
        let mut breakers = self.breakers.lock();
        let found = breakers.iter_mut().find(|breaker| Arc::ptr_eq(&breaker.host, host));
        let changed = found.is_some_and(change);
        if changed {
            self.changed();
            // Unlocked first: a notification is a system call if a thread waits.
            drop(breakers);
            self.change.notify_all();
        }
        changed
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

fn is_any_probed(breakers: &[CircuitBreaker], is_wanted: impl Fn(&Arc<Host>) -> bool) -> bool {
    breakers.iter().any(|breaker| breaker.is_probing() && is_wanted(&breaker.host))
}

#[cfg(all(test, model = "shuttle"))]
mod models;
#[cfg(all(test, not(model)))]
mod tests;
