//! The list of hosts of a profile: which of them may be used now, and what became of the others.
//!
//! A host is out after it failed and comes back through one probe: when its time is up a single attempt
//! is made, and only its success makes the host available to everybody ("half-open", as circuit
//! breakers call it).
#![forbid(unsafe_code)]

mod matching;
mod record;
mod resolved;

use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::fork;
use crate::lock::Lock;

use crate::clock::Moment;
use crate::fault::Fault;
use crate::resolve::Addresses;

pub use matching::at_all_of;
pub use record::{Record, Tally};
pub use resolved::{Resolved, Unresolved};

/// Shows to C what becomes of a host. Called under the list's lock, so it must not wait.
pub trait Mirror: Send {
    /// The host is out for so long; `None` is for good.
    fn show_out(&self, wait: Option<Duration>);
    /// The host may be used.
    fn show_available(&self);
    /// It has these addresses. Called by [`Hosts::show_addresses`] only.
    fn show_addresses(&self, addresses: &[SocketAddr]);
}

/// A host as the profile names it.
pub struct Host {
    port: CString,
    addresses: Arc<Addresses>,
    handle: usize,
    record: Record,
}

impl Host {
    /// A host; `handle` is what the owner of the list calls it.
    pub fn new(port: CString, addresses: Arc<Addresses>, handle: usize) -> Arc<Host> {
        Arc::new(Host { port, addresses, handle, record: Record::default() })
    }

    /// The name, or the literal address without brackets, as the profile wrote it.
    pub fn name(&self) -> &CStr {
        self.addresses.name().written()
    }

    /// The port as the profile wrote it.
    pub fn port(&self) -> &CStr {
        &self.port
    }

    /// Its addresses.
    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// What the owner of the list calls this host.
    pub fn handle(&self) -> usize {
        self.handle
    }

    /// What became of the attempts on it.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// Whether a host may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// By everybody.
    Available,
    /// An attempt has been under way for suspiciously long; others only if nothing better is left.
    Suspect,
    /// By nobody until then.
    Out {
        /// When its probe is due.
        until: Moment,
    },
    /// Its time is up: the next checkout probes it.
    Due,
    /// One attempt is under way, everybody else keeps to the rest.
    Probing,
}

/// What the states are called, by [`State::number`].
pub const STATE_NAMES: [&CStr; 5] = [c"available", c"suspect", c"out", c"due", c"probing"];

impl State {
    /// Its place among the states.
    pub const fn number(self) -> usize {
        match self {
            State::Available => 0,
            State::Suspect => 1,
            State::Out { .. } => 2,
            State::Due => 3,
            State::Probing => 4,
        }
    }
}

struct Entry {
    host: Arc<Host>,
    state: State,
    /// Attempts under way.
    trials: u32,
    /// What it was blacklisted for last, until it is available again.
    fault: Option<Fault>,
    mirror: Box<dyn Mirror>,
}

/// How a host stands.
pub struct Standing {
    /// The host.
    pub host: Arc<Host>,
    /// Whether it may be used.
    pub state: State,
    /// What it was blacklisted for, unless it is available again.
    pub fault: Option<Fault>,
}

impl Entry {
    fn become_available(&mut self) {
        self.state = State::Available;
        self.fault = None;
        self.mirror.show_available();
    }

    /// An attempt succeeded; whether that makes a difference.
    fn succeeded(&mut self) -> bool {
        let changed = matches!(self.state, State::Suspect | State::Due | State::Probing);
        if changed {
            self.become_available();
        }
        changed
    }

    /// Whether a probe may begin. An attempt from before the blacklisting serves as one.
    fn is_due(&self, now: Moment) -> bool {
        self.trials == 0
            && match self.state {
                State::Due => true,
                State::Out { until } => until <= now,
                State::Available | State::Suspect | State::Probing => false,
            }
    }

    /// Lifts a blacklisting whose time is up.
    fn refresh(&mut self, now: Moment) -> bool {
        let expired = matches!(self.state, State::Out { until } if until <= now);
        if expired {
            self.state = State::Due;
            self.mirror.show_available();
        }
        expired
    }
}

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
    pub fn insert(&self, place: usize, host: Arc<Host>, mirror: Box<dyn Mirror>) {
        let mut entries = self.entries.lock();
        let place = place.min(entries.len());
        let state = State::Available;
        entries.insert(place, Entry { host, state, trials: 0, fault: None, mirror });
        self.changed();
    }

    /// Takes the host out that its owner calls `handle`.
    pub fn remove(&self, handle: usize) -> Option<Arc<Host>> {
        let mut entries = self.entries.lock();
        let place = entries.iter().position(|entry| entry.host.handle == handle)?;
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
    pub fn standings(&self) -> Vec<Standing> {
        let entries = self.entries.lock();
        let standings = entries.iter().map(|entry| {
            let Entry { host, state, fault, .. } = entry;
            Standing { host: Arc::clone(host), state: *state, fault: *fault }
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
            entry.mirror.show_addresses(&entry.host.addresses.known());
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
            match entry.state {
                State::Available => snapshot.available.push(Arc::clone(&entry.host)),
                State::Out { until } => snapshot.probe_at = snapshot.probe_at.min(until),
                State::Due => snapshot.probe_at = Moment::default(),
                State::Suspect | State::Probing => {}
            }
        }
        snapshot
    }

    /// The probe of a host that is wanted and whose time is up. Nobody else gets that host until the probe
    /// has ended.
    pub fn begin_probe(
        self: &Arc<Self>,
        now: Moment,
        is_wanted: impl Fn(&Arc<Host>) -> bool,
    ) -> Option<Trial> {
        let mut entries = self.entries.lock();
        let entry = entries.iter_mut().find(|entry| entry.is_due(now) && is_wanted(&entry.host))?;
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
    ) -> Option<Trial> {
        let mut entries = self.entries.lock();
        [State::Available, State::Suspect].into_iter().find_map(|state| {
            let is_left = |entry: &Entry| entry.state == state && is_wanted(&entry.host);
            let count = entries.iter().filter(|entry| is_left(entry)).count();
            let place = (turn as usize).checked_rem(count)?;
            let entry = entries.iter_mut().filter(|entry| is_left(entry)).nth(place)?;
            Some(self.begin(entry))
        })
    }

    fn begin(self: &Arc<Self>, entry: &mut Entry) -> Trial {
        entry.trials += 1;
        let is_probe = entry.state == State::Probing;
        let forks = fork::generation();
        Trial {
            hosts: Arc::clone(self),
            host: Arc::clone(&entry.host),
            is_probe,
            has_succeeded: false,
            forks,
        }
    }

    /// Keeps everybody away from a host for `wait`; `None` is for good. False if it is not in the list.
    pub fn blacklist(&self, host: &Arc<Host>, now: Moment, wait: Option<Duration>, fault: Fault) -> bool {
        self.update(host, |entry| {
            entry.fault = Some(fault);
            entry.state = State::Out { until: wait.map_or(Moment::NEVER, |wait| now.after(wait)) };
            entry.mirror.show_out(wait);
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

    /// An attempt on this host takes suspiciously long.
    pub fn suspect(&self, host: &Arc<Host>) {
        self.update(host, |entry| {
            let changed = entry.state == State::Available;
            if changed {
                entry.state = State::Suspect;
            }
            changed
        });
    }

    /// The attempt that made this host suspect ended, and said nothing about the host.
    pub fn absolve(&self, host: &Arc<Host>) {
        self.update(host, |entry| {
            let changed = entry.state == State::Suspect;
            if changed {
                entry.state = State::Available;
            }
            changed
        });
    }

    /// An attempt on this host succeeded: whoever doubted it, or waited for a probe, need not any more.
    /// A blacklisting that still lasts is kept: it was decreed after the attempt had begun.
    pub fn succeeded(&self, host: &Arc<Host>) {
        self.update(host, Entry::succeeded);
    }

    /// Forgets, in a forked child, the attempts of the parent, which will never end here.
    pub fn forget_parent(&self) {
        for entry in self.entries.lock().iter_mut() {
            entry.trials = 0;
            match entry.state {
                State::Probing => entry.state = State::Due,
                State::Suspect => entry.state = State::Available,
                _ => {}
            }
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

/// An attempt under way. A probe, which alone decides whether its host comes back, leaves it to the next
/// checkout if it is dropped without a verdict.
pub struct Trial {
    hosts: Arc<Hosts>,
    host: Arc<Host>,
    is_probe: bool,
    has_succeeded: bool,
    /// The process it belongs to.
    forks: u32,
}

impl Trial {
    /// The list that the host was chosen from.
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// It succeeded; at its end that is noted as by [`Hosts::succeeded`].
    pub fn succeeded(&mut self) {
        self.has_succeeded = true;
    }

    /// The host to try.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.forks != fork::generation() {
            return;
        }
        self.hosts.update(&self.host, |entry| {
            entry.trials -= 1;
            if self.has_succeeded {
                return entry.succeeded();
            }
            let undecided = self.is_probe && entry.state == State::Probing;
            if undecided {
                entry.state = State::Due;
            }
            undecided
        });
    }
}

#[cfg(test)]
mod tests;
