//! Which endpoint a checkout tries, and which one next.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::Arc;

use super::{Client, Connection};
use crate::clock::Moment;
use crate::connect::{Begun, Failure};
use crate::endpoint::Endpoint;
use crate::hosts::{Host, Hosts, Trial};
use crate::status::Error;
use crate::stream::Stream;

/// An endpoint to try for one checkout.
pub struct Candidate {
    /// Where to connect.
    pub endpoint: Arc<Endpoint>,
    /// Whether no connection of it was idle when the checkout began.
    pub has_none_idle: bool,
    /// A connect that was begun already.
    pub begun: Option<Begun>,
    origin: Origin,
    made_suspect: Cell<bool>,
}

/// Which list to tell how an attempt went.
enum Origin {
    /// The one that the host was chosen from.
    Chosen(Trial),
    /// One that may have the host.
    Named(Arc<Hosts>),
}

impl Candidate {
    /// The list to tell how it went.
    pub fn hosts(&self) -> &Arc<Hosts> {
        match &self.origin {
            Origin::Chosen(trial) => trial.hosts(),
            Origin::Named(hosts) => hosts,
        }
    }

    /// The attempt led to a stream, perhaps not by the first of its addresses.
    pub fn came_through(&self, stream: &Stream) {
        if let Some(socket) = stream.socket() {
            self.endpoint.addresses().came_through(socket.peer());
        }
    }

    /// The host is well.
    pub fn succeeded(&mut self) {
        match (&mut self.origin, self.endpoint.host()) {
            (Origin::Chosen(trial), _) => trial.succeeded(),
            (Origin::Named(hosts), Some(host)) => hosts.succeeded(host),
            (Origin::Named(_), None) => {}
        }
    }

    /// The attempt takes long: until it ends others had better turn elsewhere.
    pub fn suspect(&self) {
        if let Some(host) = self.endpoint.host()
            && !self.made_suspect.replace(true)
        {
            self.hosts().suspect(host);
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
            self.hosts().absolve(host);
        }
    }
}

/// The endpoints that one checkout may try, each at most once.
pub struct Candidates<'a, C: Connection> {
    client: &'a Client<C>,
    hosts: &'a Arc<Hosts>,
    source: Source<'a>,
    begun: Option<Begun>,
}

enum Source<'a> {
    List { first: First<'a>, tried: Vec<Arc<Host>> },
    Only { endpoint: Option<Arc<Endpoint>> },
}

/// Where a checkout on a list begins.
pub struct First<'a> {
    /// Whose turn it is.
    pub turn: u32,
    /// The bucket of which the virtual hosts are wanted.
    pub bucket: Option<&'a CStr>,
    /// The endpoint that has this turn, of which nothing is idle; nothing if a host waits for its probe.
    pub listed: Option<&'a Arc<Endpoint>>,
}

impl<'a, C: Connection> Candidates<'a, C> {
    /// The hosts of a list, first the one whose turn it is. The connect to the first may have been begun.
    pub fn of_list(
        client: &'a Client<C>,
        hosts: &'a Arc<Hosts>,
        first: First<'a>,
        begun: Option<Begun>,
    ) -> Self {
        Candidates { client, hosts, source: Source::List { first, tried: Vec::new() }, begun }
    }

    /// One endpoint and no other, of which nothing is idle. The connect to it may have been begun.
    pub fn only(
        client: &'a Client<C>,
        endpoint: Arc<Endpoint>,
        hosts: &'a Arc<Hosts>,
        begun: Option<Begun>,
    ) -> Self {
        Candidates { client, hosts, source: Source::Only { endpoint: Some(endpoint) }, begun }
    }

    /// The next one to try.
    pub fn next(&mut self) -> Result<Option<Candidate>, Error> {
        let (endpoint, has_none_idle, origin) = match &mut self.source {
            Source::Only { endpoint } => {
                let Some(endpoint) = endpoint.take() else { return Ok(None) };
                (endpoint, true, Origin::Named(Arc::clone(self.hosts)))
            }
            Source::List { first, tried } => {
                let is_new = |host: &Arc<Host>| !is_among(tried, host);
                let expected = first.listed.take();
                let trial = choose(self.hosts, first.turn, expected.is_none(), is_new);
                let Some(trial) = trial else { return Ok(None) };
                tried.push(Arc::clone(trial.host()));
                let known = expected.filter(|endpoint| endpoint.is_of(trial.host()));
                let listed = known.map_or_else(|| self.client.endpoint_of(trial.host()), Arc::clone);
                let endpoint = match first.bucket {
                    None => listed,
                    Some(bucket) => self.client.virtual_host(&listed, bucket, Moment::now())?,
                };
                (endpoint, known.is_some(), Origin::Chosen(trial))
            }
        };
        let begun = self.begun.take().filter(|_| has_none_idle);
        Ok(Some(Candidate { endpoint, has_none_idle, begun, origin, made_suspect: Cell::new(false) }))
    }
}

/// A host that waits for its probe, if one may; the one whose turn it is among those that are available; or one
/// that is slow.
fn choose(
    hosts: &Arc<Hosts>,
    turn: u32,
    one_may_be_due: bool,
    is_new: impl Fn(&Arc<Host>) -> bool,
) -> Option<Trial> {
    let probe = || hosts.begin_probe(Moment::now(), &is_new);
    let attempt = || hosts.begin_attempt(turn, &is_new);
    if one_may_be_due { probe().or_else(attempt) } else { attempt().or_else(probe) }
}

fn is_among(hosts: &[Arc<Host>], host: &Arc<Host>) -> bool {
    hosts.iter().any(|other| Arc::ptr_eq(other, host))
}
