//! One name that is connected to: its addresses, and the place of its idle connections.
#![forbid(unsafe_code)]

mod recent;

use std::ffi::{CStr, CString};
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

/// What connections are made to: a host of the list, a virtual host on it, or a host outside the list.
pub struct Endpoint {
    port: CString,
    /// The host of the list that answers for it.
    host: Option<Arc<Host>>,
    addresses: Arc<Addresses>,
    place: IdleSet,
    /// TLS sessions with it.
    sessions: Arc<Sessions>,
    /// By bucket.
    virtual_hosts: Lock<Recent>,
}

impl Endpoint {
    /// A host of the list, by its own name.
    pub fn listed(host: &Arc<Host>, place: IdleSet) -> Arc<Endpoint> {
        let addresses = Arc::clone(host.addresses());
        Endpoint::new(host.port().to_owned(), Some(Arc::clone(host)), addresses, place)
    }

    /// A host that is in no list.
    pub fn unlisted(port: CString, addresses: Addresses, place: IdleSet) -> Arc<Endpoint> {
        Endpoint::new(port, None, Arc::new(addresses), place)
    }

    fn new(
        port: CString,
        host: Option<Arc<Host>>,
        addresses: Arc<Addresses>,
        place: IdleSet,
    ) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            port,
            host,
            addresses,
            place,
            sessions: Arc::default(),
            virtual_hosts: Lock::default(),
        })
    }

    /// The virtual host `BUCKET.NAME`, which takes a place if it is new.
    pub fn virtual_host(
        &self,
        bucket: &[u8],
        now: Moment,
        add_place: impl FnOnce() -> IdleSet,
    ) -> Result<Arc<Endpoint>, Error> {
        if let Some(known) = self.virtual_hosts.lock().get(bucket, now) {
            return Ok(known);
        }
        let addresses = Addresses::new(self.host_name().virtual_host(bucket)?, self.addresses.port());
        let fresh = Endpoint::new(self.port.clone(), self.host.clone(), Arc::new(addresses), add_place());
        let (endpoint, forgotten) = self.virtual_hosts.lock().insert(bucket, fresh, now);
        drop(forgotten);
        Ok(endpoint)
    }

    /// The host of the list that answers for it.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.host.as_ref()
    }

    /// Notes what became of an attempt on it, if a host of the list answers for it.
    pub fn record(&self, note: impl FnOnce(&Record)) {
        if let Some(host) = &self.host {
            note(host.record());
        }
    }

    /// What is connected to: `BUCKET.NAME` for a virtual host.
    pub fn host_name(&self) -> &HostName {
        self.addresses.name()
    }

    /// The name as the profile wrote it, without brackets.
    pub fn name(&self) -> &CStr {
        self.host_name().written()
    }

    /// The name as the peer is told it in `Host`.
    #[inline]
    pub fn name_for_peer(&self) -> &CStr {
        self.host_name().peer_form()
    }

    /// Whom the peer has to be: a DNS name, or the address that was written out.
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

    /// Where to connect.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether a connection to this address leads where the name leads now.
    #[inline(always)]
    pub fn is_at(&self, peer: impl FnOnce() -> Option<SocketAddr>) -> bool {
        !self.addresses.have_changed() || peer().is_some_and(|peer| self.leads_to(peer))
    }

    #[cold]
    fn leads_to(&self, peer: SocketAddr) -> bool {
        self.addresses.known().contains(&peer)
    }

    /// The place of its idle connections, those of its virtual hosts not among them.
    #[inline]
    pub fn place(&self) -> &IdleSet {
        &self.place
    }

    /// TLS sessions that a new connection to it can resume.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Whether this is a name of it: its own, or that of a virtual host which is known.
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

    /// Whether this is a host by a name that is not its own.
    pub fn is_virtual(&self) -> bool {
        self.host.as_ref().is_some_and(|host| !Arc::ptr_eq(host.addresses(), &self.addresses))
    }

    /// This endpoint and its virtual hosts.
    pub fn family(self: &Arc<Self>) -> impl Iterator<Item = Arc<Endpoint>> {
        let virtual_hosts: Vec<_> = self.virtual_hosts.lock().all().cloned().collect();
        std::iter::once(Arc::clone(self)).chain(virtual_hosts)
    }

    /// Forgets the virtual hosts that were used by nobody for a time.
    pub fn forget_unused_virtual_hosts(&self, now: Moment) {
        let forgotten = self.virtual_hosts.lock().forget_unused(now);
        drop(forgotten);
    }
}
