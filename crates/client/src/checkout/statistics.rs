//! Statistics of the connections and hosts of a context.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::stats_file::{self, When};
use super::{Client, ClientConnection, Table};
use crate::fault::Fault;
use crate::hosts::{self, CircuitState, Host, HostStatus, Hosts, StateText};
use crate::log::{self, Log};
use crate::os::clock::{self, Moment};
use crate::os::fork;
use crate::os::sys;
use crate::pool::Known;
use crate::pool::metrics::Counts;

/// Statistics of the connections of a context.
pub struct PoolStatistics {
    /// Connections that wait for reuse.
    pub idle: u64,
    /// Connections in use.
    pub in_use: u64,
    /// Attempts under way.
    pub connecting: u64,
    /// Calls that wait at the limit.
    pub waiting: u64,
    /// Times that an idle connection was reused.
    pub reused: u64,
    /// Counts of what happened to all connections so far.
    pub counts: Counts,
}

/// Statistics of one host.
pub struct HostStatistics {
    /// The host.
    pub host: Arc<Host>,
    /// The state of its circuit breaker.
    pub state: CircuitState,
    /// The fault it was last blacklisted for; `None` once it is available again.
    pub fault: Option<Fault>,
    /// Idle connections to it.
    pub idle: u64,
    /// The limits of its server that are known: the narrowest, if virtual hosts on it have others.
    pub known: Known,
    /// Counts of the attempts on it.
    pub metrics: hosts::HostMetrics,
}

impl HostStatistics {
    /// Its state as text.
    pub fn state_text(&self) -> StateText {
        StateText { state: self.state, fault: self.fault, now: Moment::now() }
    }

    /// The end of its blacklisting as seconds since 1970: 0 if it is not blacklisted, -1 if it is for good.
    pub fn blacklisted_until(&self) -> i64 {
        match self.state {
            CircuitState::Open { until: Moment::NEVER } => -1,
            CircuitState::Open { until } => {
                let left = clock::whole_seconds(until.since(Moment::now()));
                sys::wall_clock_seconds().saturating_add_unsigned(left)
            }
            _ => 0,
        }
    }
}

/// True if there is anything to publish when the process ends.
pub fn are_wanted_at_exit() -> bool {
    Table::is_wanted() || stats_file::is_in_use()
}

impl<C: ClientConnection> Client<C> {
    /// Statistics of the connections. Other threads go on meanwhile, so the numbers need not add up exactly.
    pub fn statistics(&self) -> PoolStatistics {
        let counts = self.metrics.counts();
        let (open, idle) = (counts.open(), self.pool.idle());
        PoolStatistics {
            idle,
            reused: self.pool.reused(),
            in_use: open.saturating_sub(idle),
            connecting: self.permits.open().saturating_sub(open),
            waiting: self.permits.waiters().length() as u64,
            counts,
        }
    }

    /// Statistics of the connections, and of the hosts of a list.
    pub fn table(&self, hosts: Option<&Arc<Hosts>>) -> Table {
        let hosts = hosts.map_or_else(Vec::new, |hosts| self.host_statistics(hosts));
        Table { pool: self.statistics(), hosts }
    }

    /// Publishes the last statistics of a context that is about to be freed, as the environment wants it: as a table, in
    /// a file.
    pub fn publish_last_statistics(&self, log: &impl Log, hosts: Option<&Arc<Hosts>>) {
        self.publish(log, hosts, When::Freed);
    }

    /// Publishes the last statistics of a context that was not freed before its process ends.
    pub fn publish_at_exit(&self) {
        self.publish(&log::Unread, self.hosts_in_use().as_ref(), When::AtExit);
    }

    /// Publishes the last statistics once, although one thread may free the context while another ends the process. That
    /// nothing was done with it is not worth it at the exit, nor where a parent has made it.
    fn publish(&self, log: &impl Log, hosts: Option<&Arc<Hosts>>, when: When) {
        let PoolStatistics { reused, counts, .. } = self.statistics();
        let is_used = reused + counts.created + counts.failed > 0;
        let is_inherited = self.generation != fork::generation();
        let is_of_interest = is_used || (when == When::Freed && !is_inherited);
        if !is_of_interest || self.is_published.swap(true, Ordering::Relaxed) {
            return;
        }
        if Table::is_wanted() {
            self.table(hosts).print();
        }
        self.end_stats_file(log, hosts, when);
    }

    /// The list of hosts of the last checkout.
    pub(super) fn hosts_in_use(&self) -> Option<Arc<Hosts>> {
        self.pool.find_per_shard(|shard| shard.rotation.as_ref().map(|it| Arc::clone(it.hosts())))
    }

    /// Statistics of the hosts of a list, in list order.
    pub fn host_statistics(&self, hosts: &Hosts) -> Vec<HostStatistics> {
        hosts.expire(Moment::now());
        let statistics = hosts.statuses().into_iter().map(|HostStatus { host, state, fault }| {
            let endpoint = self.endpoint_of(&host);
            let idle = endpoint.family().map(|member| self.pool.idle_in(member.idle_set())).sum();
            let known = endpoint.family().map(|member| member.idle_set().known());
            let known = known.fold(Known::default(), Known::least);
            HostStatistics { metrics: host.record().metrics(), host, state, fault, idle, known }
        });
        statistics.collect()
    }
}
