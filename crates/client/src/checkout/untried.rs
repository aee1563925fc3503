//! The endpoints that a checkout has not tried yet.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;

use super::{Client, ClientConnection};
use crate::checkout::endpoint::Endpoint;
use crate::hosts::{AttemptGuard, Host, Hosts};
use crate::os::clock::Moment;
use crate::status::Error;

/// The endpoints that one checkout may still connect to. Each is handed out once.
pub struct Untried<'a, C: ClientConnection> {
    client: &'a Client<C>,
    source: Source<'a>,
}

/// The endpoint of an attempt that has not started, and its guard if the host is in the list.
pub type Target = (Arc<Endpoint>, Option<AttemptGuard>);

enum Source<'a> {
    /// The hosts of a list; with a bucket, its virtual hosts on them.
    List {
        hosts: &'a Arc<Hosts>,
        turn: u32,
        bucket: Option<&'a CStr>,
        tried: Vec<Arc<Host>>,
        with_probes: bool,
    },
    /// One endpoint that the program asked for by name.
    Named(Option<Arc<Endpoint>>),
}

impl<'a, C: ClientConnection> Untried<'a, C> {
    /// The hosts of a list, beginning with the one whose `turn` it is; with a bucket, its virtual hosts on
    /// them.
    pub fn hosts(
        client: &'a Client<C>,
        hosts: &'a Arc<Hosts>,
        turn: u32,
        bucket: Option<&'a CStr>,
    ) -> Untried<'a, C> {
        Untried { client, source: Source::List { hosts, turn, bucket, tried: Vec::new(), with_probes: true } }
    }

    /// This endpoint and no other.
    pub fn only(client: &'a Client<C>, endpoint: Arc<Endpoint>) -> Untried<'a, C> {
        Untried { client, source: Source::Named(Some(endpoint)) }
    }

    /// Leaves out the hosts that need a probe from now on.
    pub fn skip_probes(&mut self) {
        if let Source::List { with_probes, .. } = &mut self.source {
            *with_probes = false;
        }
    }

    /// Drops those that are left.
    pub fn clear(&mut self) {
        self.source = Source::Named(None);
    }

    /// Returns the next target: hosts whose probe is due come first, then available ones in turn, then suspects.
    pub fn next(&mut self) -> Result<Option<Target>, Error> {
        match &mut self.source {
            Source::Named(endpoint) => Ok(endpoint.take().map(|endpoint| (endpoint, None))),
            Source::List { hosts, turn, bucket, tried, with_probes } => {
                let is_new = |host: &Arc<Host>| !tried.iter().any(|other| Arc::ptr_eq(other, host));
                let probe = with_probes.then(|| hosts.begin_probe(Moment::now(), is_new)).flatten();
                let Some(guard) = probe.or_else(|| hosts.begin_attempt(*turn, is_new)) else {
                    return Ok(None);
                };
                tried.push(Arc::clone(guard.host()));
                let listed = self.client.endpoint_of(guard.host());
                let endpoint = match bucket {
                    None => listed,
                    Some(bucket) => self.client.virtual_host(&listed, bucket, Moment::now())?,
                };
                Ok(Some((endpoint, Some(guard))))
            }
        }
    }
}
