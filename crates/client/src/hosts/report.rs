//! The state of hosts as text, for people.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use super::{CircuitState, Host, HostStatus, Hosts, STATE_NAMES};
use crate::fault::{self, Fault};
use crate::os::clock::Moment;

/// The state of a host, the time that is left of it, and the fault: `out for 7 s (refused)`.
pub struct StateText {
    /// The state.
    pub state: CircuitState,
    /// The fault that the host was blacklisted for.
    pub fault: Option<Fault>,
    /// The present time.
    pub now: Moment,
}

impl fmt::Display for StateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STATE_NAMES[self.state.number()].to_string_lossy())?;
        match self.state {
            CircuitState::Open { until: Moment::NEVER } => f.write_str(" for good")?,
            CircuitState::Open { until } => {
                write!(f, " for {:.0} s", until.since(self.now).as_secs_f64().ceil())?;
            }
            _ => {}
        }
        match self.fault {
            Some(fault) => write!(f, " ({})", fault::NAMES[fault as usize].to_string_lossy()),
            None => Ok(()),
        }
    }
}

impl Hosts {
    /// Returns the reason why none of the hosts for which `is_wanted` is true can be used, with the state of each.
    /// `None` if there is no such host in a list that has others.
    pub fn why_none_is_left(&self, now: Moment, is_wanted: impl Fn(&Arc<Host>) -> bool) -> Option<String> {
        let statuses = self.statuses();
        if statuses.is_empty() {
            return Some("the list of hosts is empty".to_owned());
        }
        let wanted = statuses.into_iter().filter(|status| is_wanted(&status.host));
        let states: Vec<String> = wanted
            .map(|HostStatus { host, state, fault }| format!("{host} is {}", StateText { state, fault, now }))
            .collect();
        (!states.is_empty()).then(|| format!("no host is left: {}", states.join(", ")))
    }
}
