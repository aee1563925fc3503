//! The circuit breaker of one host. The head of [`super`] has its states and transitions.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use super::attempt_guard::AttemptKind;
use super::back_off::BackOff;
use super::{Host, Observer};
use crate::fault::Fault;
use crate::os::clock::Moment;

/// The state of a host's circuit breaker, which says who may use the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// The host is available to all.
    Closed,
    /// Available as a last choice: an attempt has been under way for longer than its head start.
    Suspect,
    /// The host is blacklisted.
    Open {
        /// The time at which its probe is due; [`Moment::NEVER`] is for good.
        until: Moment,
    },
    /// The blacklisting has expired, and one attempt is to find out whether the host is back.
    HalfOpen {
        /// True if that attempt, the probe, is under way. If not, the next checkout begins it.
        is_probing: bool,
    },
}

/// The names of the states in statistics, by [`CircuitState::number`].
pub const STATE_NAMES: [&CStr; 5] = [c"available", c"suspect", c"out", c"due", c"probing"];

impl CircuitState {
    /// The number of the state in statistics.
    pub const fn number(self) -> usize {
        match self {
            CircuitState::Closed => 0,
            CircuitState::Suspect => 1,
            CircuitState::Open { .. } => 2,
            CircuitState::HalfOpen { is_probing: false } => 3,
            CircuitState::HalfOpen { is_probing: true } => 4,
        }
    }
}

/// The state of one host, for statistics.
pub struct HostStatus {
    /// The host.
    pub host: Arc<Host>,
    /// The state of its circuit breaker.
    pub state: CircuitState,
    /// The fault it was last blacklisted for; `None` once it is available again.
    pub fault: Option<Fault>,
}

/// A host of a list with its circuit breaker.
///
/// Methods that change the state return true if checkouts would choose differently afterwards, so that the list
/// gets a new version.
pub(super) struct CircuitBreaker {
    pub host: Arc<Host>,
    pub state: CircuitState,
    /// The number of attempts under way.
    attempts: u32,
    /// The number of attempts that have begun so far.
    begun: u64,
    /// The slow attempts under way, by their numbers. Not empty if and only if the state is
    /// [`CircuitState::Suspect`].
    slow: Vec<u64>,
    /// The fault it was last blacklisted for; `None` once it is available again.
    pub fault: Option<Fault>,
    /// The time until which the program has ordered the host out, or [`NO_ORDER`]. Until then it is no last resort. A
    /// failure may blacklist it for longer.
    ordered_until: Moment,
    /// The back-off of early probes, from a failure until the host is available again.
    back_off: Option<BackOff>,
    /// The number of the early probe under way.
    early_probe: Option<u64>,
    pub observer: Box<dyn Observer>,
}

/// Without an order: a time that is over.
const NO_ORDER: Moment = Moment::from_nanoseconds(0);

impl CircuitBreaker {
    pub fn new(host: Arc<Host>, observer: Box<dyn Observer>) -> CircuitBreaker {
        CircuitBreaker {
            host,
            state: CircuitState::Closed,
            attempts: 0,
            begun: 0,
            slow: Vec::new(),
            fault: None,
            ordered_until: NO_ORDER,
            back_off: None,
            early_probe: None,
            observer,
        }
    }

    /// Counts an attempt that begins. Returns its number.
    pub fn begin_attempt(&mut self, kind: AttemptKind) -> u64 {
        self.attempts += 1;
        self.begun += 1;
        if kind == AttemptKind::EarlyProbe {
            self.early_probe = Some(self.begun);
        }
        self.begun
    }

    /// Notes that an attempt has used up its head start.
    pub fn attempt_is_slow(&mut self, attempt: u64) -> bool {
        let changed = self.state == CircuitState::Closed;
        if changed {
            self.state = CircuitState::Suspect;
        }
        if self.state == CircuitState::Suspect {
            self.slow.push(attempt);
        }
        changed
    }

    /// Notes that a connect, TLS included, succeeded. An open circuit stays open: the host was blacklisted after
    /// that connect had begun.
    pub fn connect_succeeded(&mut self) -> bool {
        let changed = matches!(self.state, CircuitState::Suspect | CircuitState::HalfOpen { .. });
        if changed {
            self.close();
        }
        changed
    }

    /// Notes that an attempt ended and its connect succeeded.
    pub fn attempt_succeeded(&mut self, attempt: u64) -> bool {
        self.attempts -= 1;
        if self.early_probe == Some(attempt) {
            self.close();
            return true;
        }
        self.connect_succeeded() | self.may_be_probed()
    }

    /// Notes that an attempt ended without a success. If the host was at fault, it was blacklisted before.
    pub fn attempt_ended(&mut self, attempt: u64, is_probe: bool) -> bool {
        self.attempts -= 1;
        self.slow.retain(|slow| *slow != attempt);
        self.early_probe = self.early_probe.filter(|probe| *probe != attempt);
        if self.state == CircuitState::Suspect && self.slow.is_empty() {
            self.state = CircuitState::Closed;
            return true;
        }
        if is_probe && self.state == (CircuitState::HalfOpen { is_probing: true }) {
            self.state = CircuitState::HalfOpen { is_probing: false };
        }
        self.may_be_probed()
    }

    /// Forgets the attempts of the parent process in a forked child, where they never end.
    pub fn forget_attempts(&mut self) {
        self.attempts = 0;
        self.slow.clear();
        self.early_probe = None;
        match self.state {
            CircuitState::HalfOpen { .. } => self.state = CircuitState::HalfOpen { is_probing: false },
            CircuitState::Suspect => self.state = CircuitState::Closed,
            CircuitState::Closed | CircuitState::Open { .. } => {}
        }
    }

    /// Opens the circuit: the host is blacklisted for `wait`, `None` is for good. `is_probe` says that a probe has
    /// failed. The time begins at `since`, which is `now` unless the failure is noticed late. Returns whether the
    /// blacklisting has changed.
    ///
    /// A failed early probe does not prolong the blacklisting. A failure does not shorten what the program ordered, and
    /// one that is noticed late shortens no blacklisting.
    pub fn open(
        &mut self,
        since: Moment,
        now: Moment,
        wait: Option<Duration>,
        fault: Fault,
        is_probe: bool,
    ) -> bool {
        let until = wait.map_or(Moment::NEVER, |wait| since.after(wait));
        let is_order = fault == Fault::Ordered;
        match self.state {
            CircuitState::Open { .. } if !is_order && self.ordered_until >= until => return false,
            CircuitState::Open { until: earlier } if since < now && earlier >= until => return false,
            _ if is_order => self.ordered_until = until,
            CircuitState::Open { .. } => {}
            _ => self.ordered_until = NO_ORDER,
        }
        if fault.is_failure() && !fault.is_of_reply() {
            match &mut self.back_off {
                None => self.back_off = Some(BackOff::new(since)),
                Some(back_off) if is_probe => back_off.double(since, wait),
                Some(_) => {}
            }
        }
        self.fault = Some(fault);
        // After an order the success of a probe has no effect. Other failures say nothing about the probe.
        let was_early_probe = (is_probe || is_order) && self.early_probe.take().is_some();
        if was_early_probe && is_probe && self.is_open_after(since) {
            return false;
        }
        self.slow.clear();
        self.state = CircuitState::Open { until };
        self.observer.show_blacklisted(wait.map(|wait| wait.saturating_sub(now.since(since))));
        true
    }

    fn is_open_after(&self, now: Moment) -> bool {
        matches!(self.state, CircuitState::Open { until } if until > now)
    }

    /// Closes the circuit: the host is available.
    pub fn close(&mut self) {
        self.slow.clear();
        self.state = CircuitState::Closed;
        (self.fault, self.back_off, self.early_probe) = (None, None, None);
        self.ordered_until = NO_ORDER;
        self.observer.show_available();
    }

    /// Half-opens a circuit whose blacklisting has expired.
    pub fn expire(&mut self, now: Moment) -> bool {
        let has_expired = matches!(self.state, CircuitState::Open { until } if until <= now);
        if has_expired {
            self.state = CircuitState::HalfOpen { is_probing: false };
            self.ordered_until = NO_ORDER;
            self.observer.show_available();
        }
        has_expired
    }

    /// The time from which a probe may begin; `None` if none may. An attempt from before the blacklisting serves
    /// as the probe while it is under way.
    pub fn probe_at(&self) -> Option<Moment> {
        match self.state {
            _ if self.attempts > 0 => None,
            CircuitState::HalfOpen { is_probing: false } => Some(Moment::default()),
            CircuitState::Open { until } => Some(until),
            CircuitState::Closed | CircuitState::Suspect | CircuitState::HalfOpen { is_probing: true } => {
                None
            }
        }
    }

    fn may_be_probed(&self) -> bool {
        self.probe_at().is_some()
    }

    /// True if the host is blacklisted, and answers as far as is known: it is out for a reply, and no connect has
    /// failed since. Nor is it out by order of the program at this time.
    pub fn is_out_for_reply(&self, now: Moment) -> bool {
        let is_open = matches!(self.state, CircuitState::Open { .. }) && self.ordered_until <= now;
        is_open && self.back_off.is_none() && self.fault.is_some_and(Fault::is_of_reply)
    }

    /// The time from which an early probe may begin; `None` if none may: the host has not failed, is out for good or
    /// by order of the program, or an attempt is under way.
    pub fn early_probe_at(&self) -> Option<Moment> {
        let CircuitState::Open { until } = self.state else { return None };
        let may_be_probed = until != Moment::NEVER && self.ordered_until < until && self.attempts == 0;
        let next = self.back_off.as_ref().filter(|_| may_be_probed)?.next(until)?;
        Some(next.max(self.ordered_until))
    }

    /// True if a checkout could try the host now: in turn, with a probe, or as the last resort.
    pub fn may_be_tried(&self, now: Moment) -> bool {
        let is_due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        let is_in_turn = matches!(self.state, CircuitState::Closed | CircuitState::Suspect);
        is_in_turn || is_due(self.probe_at()) || is_due(self.early_probe_at()) || self.is_out_for_reply(now)
    }

    /// True if an attempt is under way whose success makes the host available.
    pub fn is_probing(&self) -> bool {
        let is_half_open = matches!(self.state, CircuitState::HalfOpen { .. });
        self.early_probe.is_some() || (is_half_open && self.attempts > 0)
    }
}
