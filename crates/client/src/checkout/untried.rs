//! The endpoints that a checkout has not tried yet.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use super::{Client, ClientConnection};
use crate::checkout::endpoint::Endpoint;
use crate::hosts::{AttemptGuard, Host, Hosts};
use crate::os::clock::Moment;
use crate::pool::waiters::Place;
use crate::status::Error;

/// The endpoints that one checkout may still connect to. Each is handed out once.
pub struct Untried<'a, C: ClientConnection> {
    client: &'a Client<C>,
    source: Source<'a>,
    /// The place of the checkout among those that wait at the limit, if it waits.
    place: Option<&'a Place>,
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
        let source = Source::List { hosts, turn, bucket, tried: Vec::new(), with_probes: true };
        Untried { client, source, place: None }
    }

    /// This endpoint and no other.
    pub fn only(client: &'a Client<C>, endpoint: Arc<Endpoint>) -> Untried<'a, C> {
        Untried { client, source: Source::Named(Some(endpoint)), place: None }
    }

    /// Sets the place that the checkout leaves with [`Untried::leave_queue`].
    pub fn at(mut self, place: &'a Place) -> Untried<'a, C> {
        self.place = Some(place);
        self
    }

    /// Returns whether the checkout has waited at the limit.
    pub fn has_waited(&self) -> bool {
        self.place.is_some()
    }

    /// Leaves the queue of those that wait at the limit: the checkout has a permit, or begins what takes long.
    pub fn leave_queue(&self) {
        if let Some(place) = self.place {
            place.leave();
        }
    }

    /// Leaves out probes from now on.
    pub fn skip_probes(&mut self) {
        if let Source::List { with_probes, .. } = &mut self.source {
            *with_probes = false;
        }
    }

    /// Drops those that are left.
    pub fn clear(&mut self) {
        self.source = Source::Named(None);
    }

    /// Returns the next target: a host whose probe is due comes first, then available ones in turn, then suspects, then
    /// other hosts whose probe is due, and then the last resort. So several dead hosts delay a call
    /// no longer than one does.
    pub fn next(&mut self) -> Result<Option<Target>, Error> {
        match &mut self.source {
            Source::Named(endpoint) => Ok(endpoint.take().map(|endpoint| (endpoint, None))),
            Source::List { hosts, turn, bucket, tried, with_probes } => {
                let is_new = |host: &Arc<Host>| !is_among(tried, host);
                let probe = || with_probes.then(|| hosts.begin_probe(Moment::now(), is_new)).flatten();
                let ordinary = || hosts.begin_attempt(*turn, is_new);
                let last_resort = || hosts.begin_last_resort(*turn, Moment::now(), *with_probes, is_new);
                let first = if tried.is_empty() { probe() } else { None };
                let guard = first.or_else(ordinary).or_else(probe).or_else(last_resort);
                let Some(guard) = guard else { return Ok(None) };
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

    /// Returns the number of targets that are left, as far as that is known.
    pub fn count(&self) -> usize {
        match &self.source {
            Source::List { hosts, tried, .. } => {
                hosts.count_untried(Moment::now(), |host| !is_among(tried, host))
            }
            Source::Named(endpoint) => usize::from(endpoint.is_some()),
        }
    }

    /// False if no host can be tried now: each is out, and no probe is under way.
    pub fn may_succeed(&self) -> bool {
        match &self.source {
            Source::List { hosts, .. } => hosts.may_be_tried(Moment::now()),
            Source::Named(endpoint) => endpoint.is_some(),
        }
    }

    /// True if a probe of a host that is left is under way.
    pub fn is_probe_under_way(&self) -> bool {
        match &self.source {
            Source::List { hosts, tried, .. } => hosts.is_probing(|host| !is_among(tried, host)),
            Source::Named(_) => false,
        }
    }

    /// Waits for the result of a probe of a host that is left, at most for the timeout. False if none is under way.
    pub fn wait_for_probe(&self, timeout: Duration) -> bool {
        match &self.source {
            Source::List { hosts, tried, .. } => hosts.wait_for_probe(|host| !is_among(tried, host), timeout),
            Source::Named(_) => false,
        }
    }

    /// Returns the reason why no host is left, with the state of each host that was not tried. `None` if all were.
    pub fn why_none_is_left(&self) -> Option<(&Hosts, String)> {
        match &self.source {
            Source::List { hosts, tried, .. } => {
                Some((hosts, hosts.why_none_is_left(Moment::now(), |host| !is_among(tried, host))?))
            }
            Source::Named(_) => None,
        }
    }
}

fn is_among(tried: &[Arc<Host>], host: &Arc<Host>) -> bool {
    tried.iter().any(|other| Arc::ptr_eq(other, host))
}
