//! How one host of a list stands, and how that changes.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use super::{Host, Observer};
use crate::fault::Fault;
use crate::os::clock::Moment;

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

/// How a host stands.
pub struct HostStatus {
    /// The host.
    pub host: Arc<Host>,
    /// Whether it may be used.
    pub state: State,
    /// What it was blacklisted for, unless it is available again.
    pub fault: Option<Fault>,
}

/// A host in its list. Each change says whether it made a difference to those who choose a host.
pub(super) struct Entry {
    pub host: Arc<Host>,
    pub state: State,
    /// Trials under way.
    trials: u32,
    /// How many trials have begun so far.
    begun: u64,
    /// The trials that take suspiciously long, by their numbers. There are some if and only if the host is
    /// [`State::Suspect`].
    slow: Vec<u64>,
    /// What it was blacklisted for last, until it is available again.
    pub fault: Option<Fault>,
    pub observer: Box<dyn Observer>,
}

impl Entry {
    pub fn new(host: Arc<Host>, observer: Box<dyn Observer>) -> Entry {
        Entry { host, state: State::Available, trials: 0, begun: 0, slow: Vec::new(), fault: None, observer }
    }

    /// Begins a trial; its number.
    pub fn begin_trial(&mut self) -> u64 {
        self.trials += 1;
        self.begun += 1;
        self.begun
    }

    /// A trial takes suspiciously long.
    pub fn suspect(&mut self, trial: u64) -> bool {
        let changed = self.state == State::Available;
        if changed {
            self.state = State::Suspect;
        }
        if self.state == State::Suspect {
            self.slow.push(trial);
        }
        changed
    }

    /// A connect came through, TLS included: whoever doubted the host, or waited for a probe, need not any more. A
    /// blacklisting that still lasts is kept: it was decreed after the connect had begun.
    pub fn succeeded(&mut self) -> bool {
        let changed = matches!(self.state, State::Suspect | State::Due | State::Probing);
        if changed {
            self.become_available();
        }
        changed
    }

    /// A trial ended, and its connect came through.
    pub fn attempt_succeeded(&mut self) -> bool {
        self.trials -= 1;
        self.succeeded() | self.may_be_probed()
    }

    /// A trial ended and said nothing about the host.
    pub fn attempt_ended(&mut self, trial: u64, is_probe: bool) -> bool {
        self.trials -= 1;
        self.slow.retain(|slow| *slow != trial);
        if self.state == State::Suspect && self.slow.is_empty() {
            self.state = State::Available;
            return true;
        }
        if is_probe && self.state == State::Probing {
            self.state = State::Due;
        }
        self.may_be_probed()
    }

    /// Forgets the trials: they are another process's, and never end here.
    pub fn forget_trials(&mut self) {
        self.trials = 0;
        self.slow.clear();
        match self.state {
            State::Probing => self.state = State::Due,
            State::Suspect => self.state = State::Available,
            _ => {}
        }
    }

    /// Nobody is to use the host for `wait`; `None` is for good.
    pub fn blacklist(&mut self, now: Moment, wait: Option<Duration>, fault: Fault) {
        self.slow.clear();
        self.fault = Some(fault);
        self.state = State::Out { until: wait.map_or(Moment::NEVER, |wait| now.after(wait)) };
        self.observer.show_out(wait);
    }

    pub fn become_available(&mut self) {
        self.slow.clear();
        self.state = State::Available;
        self.fault = None;
        self.observer.show_available();
    }

    /// When a probe may begin, if one may at all. A trial from before the blacklisting serves as the probe.
    pub fn probe_at(&self) -> Option<Moment> {
        match self.state {
            _ if self.trials > 0 => None,
            State::Due => Some(Moment::default()),
            State::Out { until } => Some(until),
            State::Available | State::Suspect | State::Probing => None,
        }
    }

    fn may_be_probed(&self) -> bool {
        self.probe_at().is_some()
    }

    /// Lifts a blacklisting whose time is up.
    pub fn refresh(&mut self, now: Moment) -> bool {
        let expired = matches!(self.state, State::Out { until } if until <= now);
        if expired {
            self.state = State::Due;
            self.observer.show_available();
        }
        expired
    }
}
