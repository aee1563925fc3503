//! Which endpoint a checkout connects to, and which one next.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;

use super::{Client, Connection};
use crate::checkout::endpoint::Endpoint;
use crate::hosts::{AttemptGuard, Host, Hosts};
use crate::net::connect::Failure;
use crate::os::clock::Moment;
use crate::status::Error;

/// An endpoint to connect to for one checkout.
pub struct Candidate {
    /// Where to connect.
    pub endpoint: Arc<Endpoint>,
    /// What the list of hosts counts it as; `None` if the endpoint was asked for by name: what becomes of that
    /// says nothing to those who take whatever host is well.
    pub trial: Option<AttemptGuard>,
}

impl Candidate {
    /// Whether an idle connection will do. A probe is to find out whether the host still lets anybody connect.
    pub fn may_be_reused(&self) -> bool {
        self.trial.as_ref().is_some_and(|trial| !trial.is_probe())
    }

    /// The attempt takes long: until it ends others had better turn elsewhere.
    pub fn takes_long(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.takes_long();
        }
    }

    /// The host that is at fault for this, with its list. Under a virtual name a host answers only for what its
    /// own addresses did.
    pub fn culprit(&self, failure: &Failure) -> Option<&AttemptGuard> {
        let trial = self.trial.as_ref()?;
        let own = self.endpoint.is_virtual().then(|| trial.host().addresses().known());
        let is_its_own = |address| own.as_ref().is_none_or(|own| own.contains(address));
        let mut causes = failure.causes.iter();
        causes.any(|(address, cause)| cause.is_the_peers() && is_its_own(address)).then_some(trial)
    }
}

/// The endpoints that one checkout may try, each once.
pub struct Candidates<'a, C: Connection> {
    client: &'a Client<C>,
    source: Source<'a>,
}

enum Source<'a> {
    /// The hosts of a list; with a bucket, its virtual hosts on them.
    List {
        hosts: &'a Arc<Hosts>,
        turn: u32,
        bucket: Option<&'a CStr>,
        tried: Vec<Arc<Host>>,
    },
    Named(Option<Arc<Endpoint>>),
}

impl<'a, C: Connection> Candidates<'a, C> {
    /// The hosts of a list: those that wait for a probe, then the one whose `turn` it is.
    pub fn of_list(
        client: &'a Client<C>,
        hosts: &'a Arc<Hosts>,
        turn: u32,
        bucket: Option<&'a CStr>,
    ) -> Candidates<'a, C> {
        Candidates { client, source: Source::List { hosts, turn, bucket, tried: Vec::new() } }
    }

    /// One endpoint and no other.
    pub fn only(client: &'a Client<C>, endpoint: Arc<Endpoint>) -> Candidates<'a, C> {
        Candidates { client, source: Source::Named(Some(endpoint)) }
    }

    /// No more of them.
    pub fn end(&mut self) {
        self.source = Source::Named(None);
    }

    /// The next one to try: a host that waits for its probe; the one whose turn it is among those that are
    /// available; or one that is slow.
    pub fn next(&mut self) -> Result<Option<Candidate>, Error> {
        match &mut self.source {
            Source::Named(endpoint) => {
                Ok(endpoint.take().map(|endpoint| Candidate { endpoint, trial: None }))
            }
            Source::List { hosts, turn, bucket, tried } => {
                let is_new = |host: &Arc<Host>| !tried.iter().any(|other| Arc::ptr_eq(other, host));
                let probe = hosts.begin_probe(Moment::now(), is_new);
                let Some(trial) = probe.or_else(|| hosts.begin_attempt(*turn, is_new)) else {
                    return Ok(None);
                };
                tried.push(Arc::clone(trial.host()));
                let listed = self.client.endpoint_of(trial.host());
                let endpoint = match bucket {
                    None => listed,
                    Some(bucket) => self.client.virtual_host(&listed, bucket, Moment::now())?,
                };
                Ok(Some(Candidate { endpoint, trial: Some(trial) }))
            }
        }
    }
}
