//! From hosts to endpoints: a table of all of them, and the ready-made choice that checkouts read.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use arc_swap::Guard;

use super::{Client, Connection};
use crate::authority::Authority;
use crate::clock::Moment;
use crate::endpoint::Endpoint;
use crate::hosts::{Host, Hosts, Snapshot};
use crate::lock::Fork;
use crate::resolve::Addresses;

/// The endpoints that checkouts take turns on, as of one version of one list. It is replaced as a whole
/// and read without a lock.
pub struct Routes<C> {
    hosts: Option<Arc<Hosts>>,
    version: u64,
    available: Vec<Arc<Endpoint<C>>>,
    /// From then on a host waits for its probe.
    pub probe_at: Moment,
}

impl<C> Routes<C> {
    /// No host at all.
    pub fn none() -> Routes<C> {
        Routes { hosts: None, version: 0, available: Vec::new(), probe_at: Moment::NEVER }
    }

    /// The endpoint whose turn it is.
    #[inline]
    pub fn turn(&self, turn: u32) -> Option<&Arc<Endpoint<C>>> {
        match self.available.len() {
            0 => None,
            1 => self.available.first(),
            count => self.available.get(turn as usize % count),
        }
    }

    #[inline]
    fn is_current(&self, hosts: &Arc<Hosts>) -> bool {
        self.hosts.as_ref().is_some_and(|own| Arc::ptr_eq(own, hosts)) && self.version == hosts.version()
    }
}

/// Every endpoint of a client.
pub struct Table<C> {
    /// By the address of the host, which lives as long as its endpoint.
    listed: HashMap<usize, Arc<Endpoint<C>>>,
    /// Few: what `dpl_conn_open_host` was called for.
    unlisted: Vec<Arc<Endpoint<C>>>,
}

impl<C: Connection> Table<C> {
    pub fn new() -> Table<C> {
        Table { listed: HashMap::new(), unlisted: Vec::new() }
    }

    /// All endpoints but their virtual hosts.
    pub fn all(&self) -> Vec<Arc<Endpoint<C>>> {
        self.listed.values().chain(&self.unlisted).cloned().collect()
    }

    /// See [`crate::lock::Lock::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        self.listed.values().chain(&self.unlisted).for_each(|endpoint| endpoint.at_fork(phase));
    }

    /// Forgets all endpoints and gives them back.
    pub fn close(&mut self) -> Vec<Arc<Endpoint<C>>> {
        self.listed.drain().map(|(_, endpoint)| endpoint).chain(self.unlisted.drain(..)).collect()
    }

    fn listed(&mut self, host: &Arc<Host>) -> Arc<Endpoint<C>> {
        let endpoint = self.listed.entry(key(host)).or_insert_with(|| Endpoint::listed(host));
        Arc::clone(endpoint)
    }

    /// Forgets the endpoints of hosts that have left the list, and gives them back.
    fn remove_all_but(&mut self, hosts: &[Arc<Host>]) -> Vec<Arc<Endpoint<C>>> {
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
    /// The choice that is up to date with the list.
    #[inline]
    pub(super) fn current_routes(&self, hosts: &Arc<Hosts>) -> Guard<Arc<Routes<C>>> {
        let routes = self.routes.load();
        if routes.is_current(hosts) { routes } else { self.rebuild_routes(hosts) }
    }

    #[cold]
    fn rebuild_routes(&self, hosts: &Arc<Hosts>) -> Guard<Arc<Routes<C>>> {
        let mut table = self.table.lock();
        // Read under the table's lock: a thread that read earlier cannot then undo what is newer.
        let Snapshot { version, all, available, probe_at, .. } = hosts.snapshot();
        for host in &all {
            table.listed(host);
        }
        let gone = table.remove_all_but(&all);
        let available = available.iter().map(|host| table.listed(host)).collect();
        let hosts = Some(Arc::clone(hosts));
        let routes = Arc::new(Routes { hosts, version, available, probe_at });
        let old = self.routes.swap(Arc::clone(&routes));
        drop(table);
        drop(old);
        for endpoint in gone {
            endpoint.family().for_each(|member| member.pool().close());
        }
        Guard::from_inner(routes)
    }

    /// The endpoint of a host of the list.
    pub(super) fn endpoint_of(&self, host: &Arc<Host>) -> Arc<Endpoint<C>> {
        self.table.lock().listed(host)
    }

    /// The endpoint of this name, in the list or not.
    pub(super) fn endpoint_named(&self, hosts: &Arc<Hosts>, authority: &Authority) -> Arc<Endpoint<C>> {
        let Authority { name, port, number } = authority;
        if let Some(host) = hosts.named(name, port) {
            return self.endpoint_of(&host);
        }
        let mut table = self.table.lock();
        if let Some(known) = table.unlisted.iter().find(|known| known.is_called(name, port)) {
            return Arc::clone(known);
        }
        let addresses = Addresses::new(&name.to_string_lossy(), *number);
        let endpoint = Endpoint::unlisted(name.clone(), port.clone(), addresses);
        table.unlisted.push(Arc::clone(&endpoint));
        endpoint
    }

    /// The host of the list that answers for a virtual host.
    pub(super) fn host_of_virtual(&self, name: &CStr, port: &CStr) -> Option<Arc<Host>> {
        let listed = self.table.lock().all();
        let mut members = listed.iter().flat_map(Endpoint::family);
        members.find(|member| member.is_called(name, port))?.host().cloned()
    }
}
