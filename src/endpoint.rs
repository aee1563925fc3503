//! One name that is connected to: its addresses, and the place of its idle connections.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::hosts::{Host, Record};
use crate::lock::Lock;
use crate::pool::Place;
use crate::resolve::Addresses;
use crate::status::Error;
use crate::stream::tls::Sessions;

/// The longest name that DNS knows, in characters (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

type ByBucket = HashMap<Box<[u8]>, Arc<Endpoint>>;

/// What connections are made to: a host of the list, a virtual host on it, or a host outside the list.
pub struct Endpoint {
    name: CString,
    port: CString,
    /// The host of the list that answers for it.
    host: Option<Arc<Host>>,
    addresses: Arc<Addresses>,
    place: Place,
    /// TLS sessions with it.
    sessions: Sessions,
    virtual_hosts: Lock<ByBucket>,
}

impl Endpoint {
    /// A host of the list, by its own name.
    pub fn listed(host: &Arc<Host>, place: Place) -> Arc<Endpoint> {
        Endpoint::new(
            host.name().to_owned(),
            host.port().to_owned(),
            Some(Arc::clone(host)),
            Arc::clone(host.addresses()),
            place,
        )
    }

    /// A host that is in no list.
    pub fn unlisted(name: CString, port: CString, addresses: Addresses, place: Place) -> Arc<Endpoint> {
        Endpoint::new(name, port, None, Arc::new(addresses), place)
    }

    fn new(
        name: CString,
        port: CString,
        host: Option<Arc<Host>>,
        addresses: Arc<Addresses>,
        place: Place,
    ) -> Arc<Endpoint> {
        Arc::new(Endpoint {
            name,
            port,
            host,
            addresses,
            place,
            sessions: Sessions::default(),
            virtual_hosts: Lock::default(),
        })
    }

    /// The virtual host `BUCKET.NAME`, which takes a place if it is new.
    pub fn virtual_host(
        &self,
        bucket: &[u8],
        add_place: impl FnOnce() -> Place,
    ) -> Result<Arc<Endpoint>, Error> {
        if let Some(known) = self.virtual_hosts.lock().get(bucket) {
            return Ok(Arc::clone(known));
        }
        let name = [bucket, b".", self.name.as_bytes()].concat();
        if name.len() > LONGEST_NAME {
            return Err(Error::NameTooLong);
        }
        let name = CString::new(name).map_err(|_| Error::Invalid)?;
        let addresses = Addresses::new(&name.to_string_lossy(), self.addresses.port());
        let endpoint =
            Endpoint::new(name, self.port.clone(), self.host.clone(), Arc::new(addresses), add_place());
        let mut virtual_hosts = self.virtual_hosts.lock();
        Ok(Arc::clone(virtual_hosts.entry(bucket.into()).or_insert(endpoint)))
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

    /// Whether this is the host of the list that answers for it.
    pub fn is_of(&self, host: &Arc<Host>) -> bool {
        self.host.as_ref().is_some_and(|own| Arc::ptr_eq(own, host))
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
    pub fn place(&self) -> &Place {
        &self.place
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

    /// This endpoint and its virtual hosts.
    pub fn family(self: &Arc<Self>) -> impl Iterator<Item = Arc<Endpoint>> {
        let virtual_hosts: Vec<_> = self.virtual_hosts.lock().values().cloned().collect();
        std::iter::once(Arc::clone(self)).chain(virtual_hosts)
    }

    /// Forgets the virtual hosts that no connection leads to.
    pub fn forget_unused_virtual_hosts(&self) {
        // One is handed out under the lock only, and its connections hold it: unshared, nobody has it.
        self.virtual_hosts.lock().retain(|_, endpoint| Arc::strong_count(endpoint) > 1);
    }
}
