//! Statistics of a context, for Rust programs.

use std::ffi::CStr;
use std::fmt;
use std::time::Duration;

use crate::checkout::{self, PoolStatistics, Table};
use crate::fault;
use crate::hosts::STATE_NAMES;
use crate::pool::metrics;

/// Names of events with their numbers. Events that did not happen are left out.
pub type Counts = Vec<(&'static str, u64)>;

/// Statistics of the connections and hosts of a context. They are displayed as a table.
#[non_exhaustive]
pub struct Statistics {
    /// Idle connections.
    pub idle: u64,
    /// Connections in use.
    pub in_use: u64,
    /// Attempts to connect that are under way.
    pub connecting: u64,
    /// Connections that were opened.
    pub created: u64,
    /// Checkouts that got an idle connection.
    pub reused: u64,
    /// Checkouts that found no idle connection to the host whose turn it was.
    pub waits: u64,
    /// Those of the `waits` that failed.
    pub failed: u64,
    /// Total time of the `waits`.
    pub waited: Duration,
    /// Longest of the `waits`.
    pub longest_wait: Duration,
    /// Calls that wait at the limit now.
    pub waiting: u64,
    /// Checkouts that began to wait at the limit.
    pub limit_waits: u64,
    /// Those of the `limit_waits` whose time was over before there was a connection.
    pub limit_timeouts: u64,
    /// Connections that were closed, by reason, such as "stale".
    pub closed: Counts,
    /// The hosts.
    pub hosts: Vec<HostStatistics>,
    table: Table,
}

/// Statistics of one host of a context.
#[non_exhaustive]
pub struct HostStatistics {
    /// Name and port as in the profile.
    pub host: String,
    /// State, such as "available" or "out".
    pub state: &'static str,
    /// Fault it was last blacklisted for, such as "refused"; `None` if it is available.
    pub fault: Option<&'static str>,
    /// Idle connections to it.
    pub idle: u64,
    /// Time for which an idle connection to it is used, because its server closes it soon afterwards; `None` if no such
    /// limit is known.
    pub idle_limit: Option<Duration>,
    /// Number of requests for which a connection to it is used, because its server closes it then; `None` if no such
    /// limit is known.
    pub use_limit: Option<u32>,
    /// Attempts to connect to it.
    pub attempts: u64,
    /// TLS handshakes with a certificate.
    pub full_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: u64,
    /// Attempts and writes that failed, by fault.
    pub failures: Counts,
}

impl Statistics {
    pub(super) fn new(table: Table) -> Statistics {
        let PoolStatistics { idle, in_use, connecting, waiting, reused, counts } = &table.pool;
        Statistics {
            idle: *idle,
            in_use: *in_use,
            connecting: *connecting,
            created: counts.created,
            reused: *reused,
            waits: counts.waits,
            failed: counts.failed,
            waited: counts.waited,
            longest_wait: counts.longest_wait,
            waiting: *waiting,
            limit_waits: counts.limit_waits,
            limit_timeouts: counts.limit_timeouts,
            closed: named(&counts.closed, &metrics::NAMES),
            hosts: table.hosts.iter().map(HostStatistics::new).collect(),
            table,
        }
    }
}

impl HostStatistics {
    fn new(statistics: &checkout::HostStatistics) -> HostStatistics {
        let checkout::HostStatistics { host, state, fault, idle, known, metrics } = statistics;
        let text = |name: &CStr| name.to_string_lossy().into_owned();
        HostStatistics {
            host: format!("{}:{}", text(host.name()), text(host.port())),
            state: constant(STATE_NAMES[state.number()]),
            fault: fault.map(|fault| constant(fault::NAMES[fault as usize])),
            idle: *idle,
            idle_limit: known.idle,
            use_limit: known.uses,
            attempts: metrics.attempts,
            full_handshakes: metrics.full_handshakes,
            resumed_handshakes: metrics.resumed_handshakes,
            failures: named(&metrics.failures, &fault::NAMES),
        }
    }
}

fn named(counts: &[u64], names: &[&'static CStr]) -> Counts {
    let named = names.iter().zip(counts).map(|(name, count)| (constant(name), *count));
    named.filter(|(_, count)| *count > 0).collect()
}

fn constant(name: &'static CStr) -> &'static str {
    name.to_str().unwrap_or_default()
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}
