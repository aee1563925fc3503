//! Which endpoint a checkout tries, and which one next.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::Arc;

use super::{Client, Connection};
use crate::clock::Moment;
use crate::connect::Failure;
use crate::endpoint::Endpoint;
use crate::hosts::{Host, Hosts, Record, Trial};
use crate::status::Error;
use crate::stream::Stream;

/// An endpoint to try for one checkout.
pub struct Candidate {
    /// Where to connect.
    pub endpoint: Arc<Endpoint>,
    /// The list to tell how that went.
    pub hosts: Arc<Hosts>,
    /// Tells the list that an attempt is under way; nothing for a host of no list.
    _trial: Option<Trial>,
    made_suspect: Cell<bool>,
}

impl Candidate {
    fn new(endpoint: Arc<Endpoint>, hosts: Arc<Hosts>, trial: Option<Trial>) -> Candidate {
        Candidate { endpoint, hosts, _trial: trial, made_suspect: Cell::new(false) }
    }
}

impl Candidate {
    /// Notes what became of the attempt, if it is one on a host of the list.
    pub fn record(&self, note: impl FnOnce(&Record)) {
        if let Some(host) = self.endpoint.host() {
            note(host.record());
        }
    }

    /// The attempt led to a stream.
    pub fn connected(&self, stream: &Stream) {
        if let Some(socket) = stream.socket() {
            self.endpoint.addresses().came_through(socket.peer());
        }
        self.succeeded();
    }

    /// The host is well.
    pub fn succeeded(&self) {
        if let Some(host) = self.endpoint.host() {
            self.hosts.succeeded(host);
        }
    }

    /// The attempt takes long: until it ends others had better turn elsewhere.
    pub fn suspect(&self) {
        if let Some(host) = self.endpoint.host()
            && !self.made_suspect.replace(true)
        {
            self.hosts.suspect(host);
        }
    }

    /// Whether the host is at fault for this. Under a virtual name it answers only for what its own
    /// addresses did.
    pub fn is_to_blame(&self, failure: &Failure) -> bool {
        let Some(host) = self.endpoint.host() else { return false };
        let own = self.endpoint.is_virtual().then(|| host.addresses().known());
        let is_its_own = |address| own.as_ref().is_none_or(|own| own.contains(address));
        failure.causes.iter().any(|(address, cause)| cause.is_the_peers() && is_its_own(address))
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if self.made_suspect.get()
            && let Some(host) = self.endpoint.host()
        {
            self.hosts.absolve(host);
        }
    }
}

/// The endpoints that one checkout may try, each at most once.
pub struct Candidates<'a, C: Connection> {
    client: &'a Client<C>,
    hosts: &'a Arc<Hosts>,
    source: Source<'a>,
}

enum Source<'a> {
    List { turn: u32, bucket: Option<&'a CStr>, tried: Vec<Arc<Host>> },
    Only { endpoint: Option<Arc<Endpoint>> },
}

impl<'a, C: Connection> Candidates<'a, C> {
    /// The hosts of a list, first the one whose turn it is.
    pub fn of_list(
        client: &'a Client<C>,
        hosts: &'a Arc<Hosts>,
        turn: u32,
        bucket: Option<&'a CStr>,
    ) -> Self {
        Candidates { client, hosts, source: Source::List { turn, bucket, tried: Vec::new() } }
    }

    /// One endpoint and no other.
    pub fn only(client: &'a Client<C>, endpoint: Arc<Endpoint>, hosts: &'a Arc<Hosts>) -> Self {
        Candidates { client, hosts, source: Source::Only { endpoint: Some(endpoint) } }
    }

    /// The next one to try.
    pub fn next(&mut self, now: Moment) -> Result<Option<Candidate>, Error> {
        let hosts = Arc::clone(self.hosts);
        match &mut self.source {
            Source::Only { endpoint } => {
                Ok(endpoint.take().map(|endpoint| Candidate::new(endpoint, hosts, None)))
            }
            Source::List { turn, bucket, tried } => {
                let Some(trial) = choose(&hosts, *turn, tried, now) else { return Ok(None) };
                let listed = self.client.endpoint_of(trial.host());
                let endpoint = match bucket {
                    None => listed,
                    Some(bucket) => self.client.virtual_host(&listed, bucket)?,
                };
                Ok(Some(Candidate::new(endpoint, hosts, Some(trial))))
            }
        }
    }
}

/// A host that waits for its probe; else the one whose turn it is among those that are available; else
/// one that is slow. It is added to those that were tried.
fn choose(hosts: &Arc<Hosts>, turn: u32, tried: &mut Vec<Arc<Host>>, now: Moment) -> Option<Trial> {
    let is_new = |host: &Arc<Host>| !is_among(tried, host);
    let trial = hosts.begin_probe(now, is_new).or_else(|| hosts.begin_attempt(turn, is_new))?;
    tried.push(Arc::clone(trial.host()));
    Some(trial)
}

fn is_among(hosts: &[Arc<Host>], host: &Arc<Host>) -> bool {
    hosts.iter().any(|other| Arc::ptr_eq(other, host))
}
