//! How the connections and hosts of a context stand.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{Client, Connection};
use crate::fault::Fault;
use crate::hosts::{self, Host, HostStatus, Hosts, State};
use crate::os::clock::Moment;
use crate::pool::metrics::Counts;

/// How the connections of a context stand.
pub struct PoolStatistics {
    /// Open and not in use.
    pub idle: u64,
    /// Handed out.
    pub in_use: u64,
    /// Attempts under way.
    pub connecting: u64,
    /// Times that an idle one was handed out.
    pub reused: u64,
    /// What became of all there were.
    pub counts: Counts,
}

/// How one host stands.
pub struct HostStatistics {
    /// The host.
    pub host: Arc<Host>,
    /// Whether it may be used.
    pub state: State,
    /// What it was blacklisted for, unless it is available again.
    pub fault: Option<Fault>,
    /// Idle connections to it.
    pub idle: u64,
    /// What became of the attempts on it.
    pub metrics: hosts::HostMetrics,
}

impl<C: Connection> Client<C> {
    /// How the connections stand. Other threads go on meanwhile, so the numbers may be off by what they do.
    pub fn statistics(&self) -> PoolStatistics {
        let counts = self.metrics.counts();
        let (open, idle) = (counts.open(), self.pool.idle());
        PoolStatistics {
            idle,
            reused: self.pool.reused(),
            in_use: open.saturating_sub(idle),
            connecting: self.permits.open().saturating_sub(open),
            counts,
        }
    }

    /// How the hosts of a list stand, in its order.
    pub fn host_statistics(&self, hosts: &Hosts) -> Vec<HostStatistics> {
        hosts.refresh(Moment::now());
        let standings = hosts.standings().into_iter().map(|HostStatus { host, state, fault }| {
            let endpoint = self.endpoint_of(&host);
            let idle = endpoint.family().map(|member| self.pool.idle_at(member.place())).sum();
            HostStatistics { metrics: host.record().metrics(), host, state, fault, idle }
        });
        standings.collect()
    }
}
