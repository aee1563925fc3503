//! The rotation: a snapshot of the endpoints of available hosts, which checkouts take in turn (round robin).
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Client, ClientConnection, PerShard};
use crate::checkout::endpoint::{Endpoint, Forgotten, Recent};
use crate::hosts::{Host, Hosts, Snapshot};
use crate::net::authority::Authority;
use crate::net::resolve::Addresses;
use crate::os::clock::Moment;
use crate::pool::IdleSet;

/// The endpoints that checkouts take in turn, as of one version of one list. It is replaced as a whole; each
/// shard of the pool keeps a reference, so that reading it takes no lock of its own.
pub struct Rotation {
    hosts: Arc<Hosts>,
    version: u64,
    available: Vec<Arc<Endpoint>>,
    /// The time at which the next probe is due.
    probe_at: Moment,
}

impl Rotation {
    /// True if it is of this list as it is now.
    #[inline]
    fn is_current(&self, hosts: &Arc<Hosts>) -> bool {
        self.version == hosts.version() && Arc::ptr_eq(&self.hosts, hosts)
    }

    /// The list.
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.hosts
    }

    /// [`Rotation::turn`], or `None` if the rotation is out of date.
    #[inline]
    pub fn turn_if_current(&self, hosts: &Arc<Hosts>, turn: u32, now: Moment) -> Option<&Arc<Endpoint>> {
        if self.is_current(hosts) { self.turn(turn, now) } else { None }
    }

    /// The endpoint of this turn. `None` if a probe is due or no host is available.
    #[inline]
    pub fn turn(&self, turn: u32, now: Moment) -> Option<&Arc<Endpoint>> {
        if self.probe_at <= now {
            return None;
        }
        match &self.available[..] {
            [only] => Some(only),
            // In 32 bits, since a shorter division is faster; no list has more hosts than that.
            all => all.get(turn.checked_rem(all.len() as u32)? as usize),
        }
    }
}

/// All endpoints of a client.
pub struct Endpoints {
    /// By the address in memory of the host, which lives as long as its endpoint.
    listed: BTreeMap<usize, Arc<Endpoint>>,
    /// Those outside the list, which `dpl_conn_open_host` was called for, by name and port.
    unlisted: Recent,
}

impl Endpoints {
    pub fn new() -> Endpoints {
        Endpoints { listed: BTreeMap::new(), unlisted: Recent::default() }
    }

    /// All of them, without virtual hosts.
    pub fn all(&self) -> Vec<Arc<Endpoint>> {
        self.listed.values().chain(self.unlisted.all()).cloned().collect()
    }

    fn all_listed(&self) -> Vec<Arc<Endpoint>> {
        self.listed.values().cloned().collect()
    }

    /// Forgets endpoints outside the list that were not used for some time. Returns them, after the endpoints
    /// of the list.
    pub fn forget_unused(&mut self, now: Moment) -> (Vec<Arc<Endpoint>>, Forgotten) {
        (self.all_listed(), self.unlisted.forget_unused(now))
    }

    fn listed(&mut self, host: &Arc<Host>, add_idle_set: impl FnOnce() -> IdleSet) -> Arc<Endpoint> {
        let endpoint = self.listed.entry(key(host)).or_insert_with(|| Endpoint::listed(host, add_idle_set()));
        Arc::clone(endpoint)
    }

    /// Removes and returns the endpoints of hosts that have left the list.
    fn remove_all_but(&mut self, hosts: &[Arc<Host>]) -> Vec<Arc<Endpoint>> {
        if self.listed.len() == hosts.len() {
            return Vec::new();
        }
        let kept: BTreeSet<usize> = hosts.iter().map(key).collect();
        let mut removed = Vec::new();
        self.listed.retain(|host, endpoint| {
            let stays = kept.contains(host);
            if !stays {
                removed.push(Arc::clone(endpoint));
            }
            stays
        });
        removed
    }
}

fn key(host: &Arc<Host>) -> usize {
    Arc::as_ptr(host) as usize
}

impl<C: ClientConnection> Client<C> {
    /// Returns the rotation that is up to date with the list: the own shard's, another shard's, or a new one.
    pub(super) fn current_rotation(&self, hosts: &Arc<Hosts>) -> Arc<Rotation> {
        let current =
            |shard: &PerShard| shard.rotation.as_ref().filter(|rotation| rotation.is_current(hosts)).cloned();
        if let Some(own) = self.pool.change_own_shard(|shard| current(shard)) {
            return own;
        }
        let Some(rotation) = self.pool.find_per_shard(current) else { return self.rebuild_rotation(hosts) };
        self.pool.change_own_shard(|shard| shard.rotation.replace(Arc::clone(&rotation)));
        rotation
    }

    #[cold]
    fn rebuild_rotation(&self, hosts: &Arc<Hosts>) -> Arc<Rotation> {
        let mut endpoints = self.endpoints.lock();
        // The snapshot is taken under the lock, so that an older one cannot replace a newer one.
        let Snapshot { version, all, available, probe_at, .. } = hosts.snapshot(Moment::now());
        for host in &all {
            endpoints.listed(host, || self.pool.add_idle_set());
        }
        let gone = endpoints.remove_all_but(&all);
        let available =
            available.iter().map(|host| endpoints.listed(host, || self.pool.add_idle_set())).collect();
        let rotation = Arc::new(Rotation { hosts: Arc::clone(hosts), version, available, probe_at });
        let old = self.pool.change_every_shard(|shard| shard.rotation.replace(Arc::clone(&rotation)));
        drop(endpoints);
        drop(old);
        for endpoint in gone {
            endpoint.family().for_each(|member| self.pool.close(member.idle_set()));
        }
        rotation
    }

    /// The endpoint of a host of the list.
    pub(super) fn endpoint_of(&self, host: &Arc<Host>) -> Arc<Endpoint> {
        self.endpoints.lock().listed(host, || self.pool.add_idle_set())
    }

    /// The endpoint of this name, in the list or not.
    pub(super) fn endpoint_named(
        &self,
        hosts: &Arc<Hosts>,
        authority: &Authority,
        now: Moment,
    ) -> Arc<Endpoint> {
        if let Some(host) = hosts.named(authority) {
            return self.endpoint_of(&host);
        }
        let Authority { host, port, number } = authority;
        let key = [&host.key(), number.to_be_bytes().as_slice()].concat();
        if let Some(known) = self.endpoints.lock().unlisted.get(&key, now) {
            return known;
        }
        let addresses = Addresses::new(host.clone(), *number);
        let fresh = Endpoint::unlisted(port.clone(), addresses, self.pool.add_idle_set());
        let (endpoint, forgotten) = self.endpoints.lock().unlisted.insert(&key, fresh, now);
        drop(forgotten);
        endpoint
    }

    /// The host of the list that serves a virtual host.
    pub(super) fn host_of_virtual(&self, authority: &Authority) -> Option<Arc<Host>> {
        let listed = self.endpoints.lock().all_listed();
        listed.iter().find(|endpoint| endpoint.answers_for(authority))?.host().cloned()
    }
}
