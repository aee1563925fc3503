//! The list of hosts of a profile: which of them may be used now, and what became of the others.
//!
//! A host is out after it failed and comes back through one probe: when its time is up a single attempt
//! is made, and only its success makes the host available to everybody ("half-open", as circuit
//! breakers call it).
#![forbid(unsafe_code)]

mod attempt_guard;
mod entry;
mod host;
mod matching;
mod record;
mod resolved;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::fault::Fault;
use crate::os::clock::Moment;
use crate::os::lock::Lock;

pub use attempt_guard::AttemptGuard;
use entry::Entry;
pub use entry::{HostStatus, STATE_NAMES, State};
pub use host::{Host, Observer};
pub use matching::at_all_of;
pub use record::{HostMetrics, Record};
pub use resolved::{Resolved, Unresolved};

/// Hosts in list order. Its lock is held for short walks only.
pub struct Hosts {
    entries: Lock<Vec<Entry>>,
    /// Counts the changes, so that whoever keeps a [`Snapshot`] knows when it is old.
    version: AtomicU64,
}

/// Which hosts may be used, as of one version of the list.
pub struct Snapshot {
    /// The version it was taken at.
    pub version: u64,
    /// The whole list.
    pub all: Vec<Arc<Host>>,
    /// Hosts for everybody, in list order.
    pub available: Vec<Arc<Host>>,
    /// From then on a host waits for its probe.
    pub probe_at: Moment,
}

impl Hosts {
    /// An empty list.
    pub fn new() -> Arc<Hosts> {
        Arc::new(Hosts { entries: Lock::new(Vec::new()), version: AtomicU64::new(0) })
    }

    /// The version of the list: another number, another [`Snapshot`].
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Puts a host at a place of the list.
    pub fn insert(&self, place: usize, host: Arc<Host>, observer: Box<dyn Observer>) {
        let mut entries = self.entries.lock();
        let place = place.min(entries.len());
        entries.insert(place, Entry::new(host, observer));
        self.changed();
    }

    /// Takes the host out that its owner calls `handle`.
    pub fn remove(&self, handle: usize) -> Option<Arc<Host>> {
        let mut entries = self.entries.lock();
        let place = entries.iter().position(|entry| entry.host.handle() == handle)?;
        let removed = entries.remove(place);
        self.changed();
        Some(removed.host)
    }

    /// How many hosts there are.
    pub fn count(&self) -> usize {
        self.entries.lock().len()
    }

    /// All hosts, in list order.
    pub fn all(&self) -> Vec<Arc<Host>> {
        self.entries.lock().iter().map(|entry| Arc::clone(&entry.host)).collect()
    }

    /// How all hosts stand, in list order.
    pub fn standings(&self) -> Vec<HostStatus> {
        let entries = self.entries.lock();
        let standings = entries.iter().map(|entry| {
            let Entry { host, state, fault, .. } = entry;
            HostStatus { host: Arc::clone(host), state: *state, fault: *fault }
        });
        standings.collect()
    }

    /// The hosts that C counts as available: all but those whose blacklisting still lasts.
    pub fn not_out(&self, now: Moment) -> Vec<Arc<Host>> {
        self.refresh(now);
        let entries = self.entries.lock();
        let usable = entries.iter().filter(|entry| !matches!(entry.state, State::Out { .. }));
        usable.map(|entry| Arc::clone(&entry.host)).collect()
    }

    /// Has every host show its addresses as they are now.
    pub fn show_addresses(&self) {
        for entry in self.entries.lock().iter() {
            entry.observer.show_addresses(&entry.host.addresses().known());
        }
    }

    /// Lifts the blacklistings whose time is up.
    pub fn refresh(&self, now: Moment) {
        let mut entries = self.entries.lock();
        let lifted = entries.iter_mut().filter_map(|entry| entry.refresh(now).then_some(())).count();
        if lifted > 0 {
            self.changed();
        }
    }

    /// What a checkout chooses from.
    pub fn snapshot(&self) -> Snapshot {
        let entries = self.entries.lock();
        let mut snapshot = Snapshot {
            version: self.version(),
            all: entries.iter().map(|entry| Arc::clone(&entry.host)).collect(),
            available: Vec::new(),
            probe_at: Moment::NEVER,
        };
        for entry in entries.iter() {
            if entry.state == State::Available {
                snapshot.available.push(Arc::clone(&entry.host));
            }
            snapshot.probe_at = snapshot.probe_at.min(entry.probe_at().unwrap_or(Moment::NEVER));
        }
        snapshot
    }

    /// The probe of a host that is wanted and whose time is up. Nobody else gets that host until the probe
    /// has ended.
    pub fn begin_probe(
        self: &Arc<Self>,
        now: Moment,
        is_wanted: impl Fn(&Arc<Host>) -> bool,
    ) -> Option<AttemptGuard> {
        let mut entries = self.entries.lock();
        let is_due = |entry: &Entry| entry.probe_at().is_some_and(|probe_at| probe_at <= now);
        let entry = entries.iter_mut().find(|entry| is_due(entry) && is_wanted(&entry.host))?;
        entry.refresh(now);
        entry.state = State::Probing;
        self.changed();
        Some(self.begin(entry))
    }

    /// An attempt on the host whose `turn` it is among the available ones that are wanted; failing those,
    /// among the suspects.
    pub fn begin_attempt(
        self: &Arc<Self>,
        turn: u32,
        is_wanted: impl Fn(&Arc<Host>) -> bool,
    ) -> Option<AttemptGuard> {
        let mut entries = self.entries.lock();
        [State::Available, State::Suspect].into_iter().find_map(|state| {
            let is_left = |entry: &Entry| entry.state == state && is_wanted(&entry.host);
            let count = entries.iter().filter(|entry| is_left(entry)).count();
            let place = (turn as usize).checked_rem(count)?;
            let entry = entries.iter_mut().filter(|entry| is_left(entry)).nth(place)?;
            Some(self.begin(entry))
        })
    }

    fn begin(self: &Arc<Self>, entry: &mut Entry) -> AttemptGuard {
        let number = entry.begin_trial();
        AttemptGuard::new(self, &entry.host, number, entry.state == State::Probing)
    }

    /// Keeps everybody away from a host for `wait`; `None` is for good. False if it is not in the list.
    pub fn blacklist(&self, host: &Arc<Host>, now: Moment, wait: Option<Duration>, fault: Fault) -> bool {
        self.update(host, |entry| {
            entry.blacklist(now, wait, fault);
            true
        })
    }

    /// Makes a host available again. False if it is not in the list.
    pub fn unblacklist(&self, host: &Arc<Host>) -> bool {
        self.update(host, |entry| {
            entry.become_available();
            true
        })
    }

    /// A connect to this host came through, which was no trial.
    pub fn succeeded(&self, host: &Arc<Host>) {
        self.update(host, Entry::succeeded);
    }

    /// Forgets, in a forked child, the attempts of the parent, which will never end here.
    pub fn forget_parent(&self) {
        for entry in self.entries.lock().iter_mut() {
            entry.forget_trials();
            entry.host.record().forget_parent();
        }
        self.changed();
    }

    /// Changes a host's entry; the closure says whether it did.
    fn update(&self, host: &Arc<Host>, change: impl FnOnce(&mut Entry) -> bool) -> bool {
        let mut entries = self.entries.lock();
        let found = entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.host, host));
        let changed = found.is_some_and(change);
        if changed {
            self.changed();
        }
        changed
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
