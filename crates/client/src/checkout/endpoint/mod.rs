//! An endpoint: one name and port to connect to.
#![forbid(unsafe_code)]

mod recent;

use std::ffi::{CStr, CString};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::hosts::{Host, Record};
use crate::net::authority::Authority;
use crate::net::host_name::HostName;
use crate::net::resolve::Addresses;
use crate::net::tls::Sessions;
use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::pool::IdleSet;
use crate::status::Error;

pub use recent::{Forgotten, Recent};

/// A name and port to connect to, with its addresses, idle connections and TLS sessions: a host of the list, a
/// virtual host on one, or a host outside the list.
pub struct Endpoint {
    port: CString,
    /// The host of the list that serves it; `None` outside the list.
    host: Option<Arc<Host>>,
    addresses: Arc<Addresses>,
    idle_set: IdleSet,
    /// TLS sessions to resume.
    sessions: Arc<Sessions>,
    /// The virtual hosts on it, by bucket.
    virtual_hosts: Lock<Recent>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name().to_string_lossy(), self.port().to_string_lossy())
    }
}

impl Endpoint {
    /// A host of the list, by its own name.
    pub fn listed(host: &Arc<Host>, idle_set: IdleSet) -> Arc<Endpoint> {
        let addresses = Arc::clone(host.addresses());
        Endpoint::new(host.port().to_owned(), Some(Arc::clone(host)), addresses, idle_set)
    }

    /// A host outside the list.
    pub fn unlisted(port: CString, addresses: Arc<Addresses>, idle_set: IdleSet) -> Arc<Endpoint> {
        Endpoint::new(port, None, addresses, idle_set)
    }

    fn new(
        port: CString,
        host: Option<Arc<Host>>,
        addresses: Arc<Addresses>,
        idle_set: IdleSet,
    ) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            port,
            host,
            addresses,
            idle_set,
            sessions: Arc::default(),
            virtual_hosts: Lock::default(),
        })
    }

    /// The virtual host `BUCKET.NAME`; a new one is given a set of idle connections.
    pub fn virtual_host(
        &self,
        bucket: &[u8],
        now: Moment,
        add_idle_set: impl FnOnce() -> IdleSet,
    ) -> Result<Arc<Endpoint>, Error> {
        if let Some(known) = self.virtual_hosts.lock().get(bucket, now) {
            return Ok(known);
        }
        let addresses = Addresses::new(self.host_name().virtual_host(bucket)?, self.addresses.port());
        let fresh = Endpoint::new(self.port.clone(), self.host.clone(), addresses, add_idle_set());
        let (endpoint, forgotten) = self.virtual_hosts.lock().insert(bucket, fresh, now);
        drop(forgotten);
        Ok(endpoint)
    }

    /// The host of the list that serves it; `None` outside the list.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.host.as_ref()
    }

    /// Changes the record of its host, if a host of the list serves it.
    pub fn record(&self, note: impl FnOnce(&Record)) {
        if let Some(host) = &self.host {
            note(host.record());
        }
    }

    /// The name to connect to: `BUCKET.NAME` for a virtual host.
    pub fn host_name(&self) -> &HostName {
        self.addresses.name()
    }

    /// The name as the profile wrote it, without brackets.
    pub fn name(&self) -> &CStr {
        self.host_name().written()
    }

    /// The name for the `Host` field of a request.
    #[inline]
    pub fn name_for_peer(&self) -> &CStr {
        self.host_name().peer_form()
    }

    /// The name that the peer's certificate has to be made out to: a DNS name or a literal address.
    pub fn peer_name(&self) -> String {
        match self.host_name().address() {
            Some(address) => address.to_string(),
            None => self.name_for_peer().to_string_lossy().into_owned(),
        }
    }

    /// The port as the profile wrote it.
    pub fn port(&self) -> &CStr {
        &self.port
    }

    /// The addresses to connect to.
    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// True if the name still leads to the address of a connection.
    #[inline(always)]
    pub fn is_at(&self, peer: impl FnOnce() -> Option<SocketAddr>) -> bool {
        !self.addresses.have_changed() || peer().is_some_and(|peer| self.leads_to(peer))
    }

    #[cold]
    fn leads_to(&self, peer: SocketAddr) -> bool {
        self.addresses.known().contains(&peer)
    }

    /// Its idle connections, without those of its virtual hosts.
    #[inline]
    pub fn idle_set(&self) -> &IdleSet {
        &self.idle_set
    }

    /// The TLS sessions that a new connection can resume.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// True if this is its own name or that of a known virtual host on it.
    pub fn answers_for(&self, authority: &Authority) -> bool {
        if self.addresses.port() != authority.number {
            return false;
        }
        if self.host_name().is_same(&authority.host) {
            return true;
        }
        let bucket = authority.host.bucket_under(self.host_name());
        bucket.is_some_and(|bucket| self.virtual_hosts.lock().peek(bucket).is_some())
    }

    /// True if this is a virtual host on a host of the list.
    pub fn is_virtual(&self) -> bool {
        self.host.as_ref().is_some_and(|host| !Arc::ptr_eq(host.addresses(), &self.addresses))
    }

    /// Returns whether an address is one of the host itself. A virtual host may have others, and a failure at one of
    /// those says nothing about the host.
    ///
    /// The host's own addresses are those of its own last look-up. In a program that asks for buckets only, that is the
    /// first one: if host and buckets move together, the new addresses do not count as the host's.
    pub fn is_own(&self, address: SocketAddr) -> bool {
        match &self.host {
            Some(host) if self.is_virtual() => host.addresses().known().contains(&address),
            _ => true,
        }
    }

    /// This endpoint and its virtual hosts.
    pub fn family(self: &Arc<Self>) -> impl Iterator<Item = Arc<Endpoint>> {
        let virtual_hosts: Vec<_> = self.virtual_hosts.lock().all().cloned().collect();
        std::iter::once(Arc::clone(self)).chain(virtual_hosts)
    }

    /// Forgets virtual hosts that were not used for some time.
    pub fn forget_unused_virtual_hosts(&self, now: Moment) {
        let forgotten = self.virtual_hosts.lock().forget_unused(now);
        drop(forgotten);
    }
}
