//! From hosts to endpoints: a table of all of them, and the ready-made choice that checkouts read.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use super::{Client, Connection, Kept};
use crate::checkout::endpoint::{Endpoint, Forgotten, Recent};
use crate::hosts::{Host, Hosts, Snapshot};
use crate::net::authority::Authority;
use crate::net::resolve::Addresses;
use crate::os::clock::Moment;
use crate::pool::IdleSet;

/// The endpoints that checkouts take turns on, as of one version of one list. It is replaced as a whole;
/// each shard of the pool keeps it, so that reading it takes no lock of its own.
pub struct Rotation {
    hosts: Arc<Hosts>,
    version: u64,
    available: Vec<Arc<Endpoint>>,
    /// From then on a host waits for its probe.
    probe_at: Moment,
}

impl Rotation {
    /// Whether they are those of the list as it is now.
    #[inline]
    fn are_current(&self, hosts: &Arc<Hosts>) -> bool {
        self.version == hosts.version() && Arc::ptr_eq(&self.hosts, hosts)
    }

    /// As [`Rotation::turn`]; nothing if they are old.
    #[inline]
    pub fn turn_if_current(&self, hosts: &Arc<Hosts>, turn: u32, now: Moment) -> Option<&Arc<Endpoint>> {
        if self.are_current(hosts) { self.turn(turn, now) } else { None }
    }

    /// The endpoint whose turn it is; nothing if a host waits for its probe, or none is available.
    #[inline]
    pub fn turn(&self, turn: u32, now: Moment) -> Option<&Arc<Endpoint>> {
        if self.probe_at <= now {
            return None;
        }
        match &self.available[..] {
            [only] => Some(only),
            // No list has more hosts than that, and a short division is a faster one.
            all => all.get(turn.checked_rem(all.len() as u32)? as usize),
        }
    }
}

/// Every endpoint of a client.
pub struct Endpoints {
    /// By the address of the host, which lives as long as its endpoint.
    listed: HashMap<usize, Arc<Endpoint>>,
    /// What `dpl_conn_open_host` was called for, by name and port.
    unlisted: Recent,
}

impl Endpoints {
    pub fn new() -> Endpoints {
        Endpoints { listed: HashMap::new(), unlisted: Recent::default() }
    }

    /// Those of the list.
    fn all_listed(&self) -> Vec<Arc<Endpoint>> {
        self.listed.values().cloned().collect()
    }

    /// Forgets those outside the list that were used by nobody for a time. Gives those of the list as well.
    pub fn forget_unused(&mut self, now: Moment) -> (Vec<Arc<Endpoint>>, Forgotten) {
        (self.all_listed(), self.unlisted.forget_unused(now))
    }

    fn listed(&mut self, host: &Arc<Host>, add_place: impl FnOnce() -> IdleSet) -> Arc<Endpoint> {
        let endpoint = self.listed.entry(key(host)).or_insert_with(|| Endpoint::listed(host, add_place()));
        Arc::clone(endpoint)
    }

    /// Forgets the endpoints of hosts that have left the list, and gives them back.
    fn remove_all_but(&mut self, hosts: &[Arc<Host>]) -> Vec<Arc<Endpoint>> {
        if self.listed.len() == hosts.len() {
            return Vec::new();
        }
        let kept: std::collections::HashSet<usize> = hosts.iter().map(key).collect();
        self.listed.extract_if(|host, _| !kept.contains(host)).map(|(_, endpoint)| endpoint).collect()
    }
}

fn key(host: &Arc<Host>) -> usize {
    Arc::as_ptr(host) as usize
}

impl<C: Connection> Client<C> {
    /// The rotation that are up to date with the list.
    pub(super) fn current_routes(&self, hosts: &Arc<Hosts>) -> Arc<Rotation> {
        let current =
            |kept: &Kept| kept.rotation.as_ref().filter(|rotation| rotation.are_current(hosts)).cloned();
        if let Some(own) = self.pool.change_own_kept(|kept| current(kept)) {
            return own;
        }
        let Some(rotation) = self.pool.find_kept(current) else { return self.rebuild_routes(hosts) };
        self.pool.change_own_kept(|kept| kept.rotation.replace(Arc::clone(&rotation)));
        rotation
    }

    #[cold]
    fn rebuild_routes(&self, hosts: &Arc<Hosts>) -> Arc<Rotation> {
        let mut endpoints = self.endpoints.lock();
        // Read under their lock: a thread that read earlier cannot then undo what is newer.
        let Snapshot { version, all, available, probe_at, .. } = hosts.snapshot();
        for host in &all {
            endpoints.listed(host, || self.pool.add_place());
        }
        let gone = endpoints.remove_all_but(&all);
        let available =
            available.iter().map(|host| endpoints.listed(host, || self.pool.add_place())).collect();
        let rotation = Arc::new(Rotation { hosts: Arc::clone(hosts), version, available, probe_at });
        let old = self.pool.change_kept(|kept| kept.rotation.replace(Arc::clone(&rotation)));
        drop(endpoints);
        drop(old);
        for endpoint in gone {
            endpoint.family().for_each(|member| self.pool.close(member.place()));
        }
        rotation
    }

    /// The endpoint of a host of the list.
    pub(super) fn endpoint_of(&self, host: &Arc<Host>) -> Arc<Endpoint> {
        self.endpoints.lock().listed(host, || self.pool.add_place())
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
        let fresh = Endpoint::unlisted(port.clone(), addresses, self.pool.add_place());
        let (endpoint, forgotten) = self.endpoints.lock().unlisted.insert(&key, fresh, now);
        drop(forgotten);
        endpoint
    }

    /// The host of the list that answers for a virtual host.
    pub(super) fn host_of_virtual(&self, authority: &Authority) -> Option<Arc<Host>> {
        let listed = self.endpoints.lock().all_listed();
        listed.iter().find(|endpoint| endpoint.answers_for(authority))?.host().cloned()
    }
}
