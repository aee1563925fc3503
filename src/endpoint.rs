//! One name that is connected to: its addresses and its idle connections.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Moment;
use crate::hosts::Host;
use crate::lock::{Fork, Lock};
use crate::pool::{Limits, Pool, Poolable};
use crate::resolve::Addresses;
use crate::status::Error;
use crate::stream::tls::Sessions;

/// The longest name that DNS knows, in characters (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

type ByBucket<C> = HashMap<Box<[u8]>, Arc<Endpoint<C>>>;

/// What connections are made to: a host of the list, a virtual host on it, or a host outside the list.
pub struct Endpoint<C> {
    name: CString,
    port: CString,
    /// The host of the list that answers for it.
    host: Option<Arc<Host>>,
    addresses: Arc<Addresses>,
    pool: Pool<C>,
    /// TLS sessions with it.
    sessions: Sessions,
    virtual_hosts: Lock<ByBucket<C>>,
}

impl<C> Endpoint<C> {
    /// The host of the list that answers for it.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.host.as_ref()
    }
}

impl<C: Poolable> Endpoint<C> {
    /// A host of the list, by its own name.
    pub fn listed(host: &Arc<Host>) -> Arc<Endpoint<C>> {
        Endpoint::new(
            host.name().to_owned(),
            host.port().to_owned(),
            Some(Arc::clone(host)),
            Arc::clone(host.addresses()),
        )
    }

    /// A host that is in no list.
    pub fn unlisted(name: CString, port: CString, addresses: Addresses) -> Arc<Endpoint<C>> {
        Endpoint::new(name, port, None, Arc::new(addresses))
    }

    fn new(
        name: CString,
        port: CString,
        host: Option<Arc<Host>>,
        addresses: Arc<Addresses>,
    ) -> Arc<Endpoint<C>> {
        let pool = Pool::new();
        Arc::new(Endpoint {
            name,
            port,
            host,
            addresses,
            pool,
            sessions: Sessions::default(),
            virtual_hosts: Lock::default(),
        })
    }

    /// The virtual host `BUCKET.NAME`.
    pub fn virtual_host(&self, bucket: &[u8]) -> Result<Arc<Endpoint<C>>, Error> {
        if let Some(known) = self.virtual_hosts.lock().get(bucket) {
            return Ok(Arc::clone(known));
        }
        let name = [bucket, b".", self.name.as_bytes()].concat();
        if name.len() > LONGEST_NAME {
            return Err(Error::NameTooLong);
        }
        let name = CString::new(name).map_err(|_| Error::Invalid)?;
        let addresses = Addresses::new(&name.to_string_lossy(), self.addresses.port());
        let endpoint = Endpoint::new(name, self.port.clone(), self.host.clone(), Arc::new(addresses));
        let mut virtual_hosts = self.virtual_hosts.lock();
        Ok(Arc::clone(virtual_hosts.entry(bucket.into()).or_insert(endpoint)))
    }

    /// What is connected to: `BUCKET.NAME` for a virtual host.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// The port as the profile wrote it.
    pub fn port(&self) -> &CStr {
        &self.port
    }

    /// Where to connect.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether a connection to this address leads where the name leads now.
    #[inline]
    pub fn is_at(&self, peer: Option<SocketAddr>) -> bool {
        !self.addresses.have_changed() || peer.is_some_and(|peer| self.addresses.known().contains(&peer))
    }

    /// Its idle connections, those of its virtual hosts not among them.
    #[inline]
    pub fn pool(&self) -> &Pool<C> {
        &self.pool
    }

    /// TLS sessions that a new connection to it can resume.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether it has this name and port; letters of either case are the same (RFC 4343).
    pub fn is_called(&self, name: &CStr, port: &CStr) -> bool {
        *self.port == *port && self.name.as_bytes().eq_ignore_ascii_case(name.to_bytes())
    }

    /// Whether this is a host by a name that is not its own.
    pub fn is_virtual(&self) -> bool {
        self.host.as_ref().is_some_and(|host| !Arc::ptr_eq(host.addresses(), &self.addresses))
    }

    /// See [`Lock::at_fork`]. The addresses of a host of the list are the list's to visit.
    pub fn at_fork(&self, phase: Fork) {
        self.virtual_hosts.at_fork(phase, |by_bucket| {
            by_bucket.values().for_each(|endpoint| endpoint.at_fork(phase));
            self.pool.at_fork(phase);
        });
        self.sessions.at_fork(phase);
        if self.host.is_none() || self.is_virtual() {
            self.addresses.at_fork(phase);
        }
    }

    /// Its virtual hosts.
    fn virtual_hosts(&self) -> Vec<Arc<Endpoint<C>>> {
        self.virtual_hosts.lock().values().cloned().collect()
    }

    /// This endpoint and its virtual hosts.
    pub fn family(self: &Arc<Self>) -> impl Iterator<Item = Arc<Endpoint<C>>> {
        std::iter::once(Arc::clone(self)).chain(self.virtual_hosts())
    }

    /// Closes what has been idle for too long, and forgets virtual hosts that nothing is left of.
    pub fn sweep(&self, now: Moment, limits: Limits) {
        self.pool.close_expired(now, limits.idle_time);
        for endpoint in self.virtual_hosts() {
            endpoint.pool.close_expired(now, limits.idle_time);
        }
        // A virtual host is handed out under the lock only: unshared and empty, nobody has it.
        self.virtual_hosts
            .lock()
            .retain(|_, endpoint| Arc::strong_count(endpoint) > 1 || !endpoint.pool.is_empty());
    }
}
