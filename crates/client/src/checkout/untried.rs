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

/// The endpoints that one checkout may still connect to. Each is handed out once. A host on which the bucket makes no
/// valid name is left out.
pub struct Untried<'a, C: ClientConnection> {
    client: &'a Client<C>,
    source: Source<'a>,
    /// The place of the checkout among those that wait at the limit, if it waits.
    place: Option<&'a Place>,
}

/// The endpoint of an attempt that has not started, and its guard if the host is in the list.
pub type Target = (Arc<Endpoint>, Option<AttemptGuard>);

/// Hosts that a checkout does not try, since the name of their virtual host would not be valid.
pub struct LeftOut {
    /// The reason.
    pub error: Error,
    /// The hosts, for people.
    pub names: String,
    /// True if no other host is in the list.
    pub are_all: bool,
}

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
    pub fn next(&mut self) -> Option<Target> {
        match &mut self.source {
            Source::Named(endpoint) => endpoint.take().map(|endpoint| (endpoint, None)),
            Source::List { hosts, turn, bucket, tried, with_probes } => {
                let is_left = |host: &Arc<Host>| is_left(tried, *bucket, host);
                let probe = || with_probes.then(|| hosts.begin_probe(Moment::now(), is_left)).flatten();
                let ordinary = || hosts.begin_attempt(*turn, is_left);
                let last_resort = || hosts.begin_last_resort(*turn, Moment::now(), *with_probes, is_left);
                let first = if tried.is_empty() { probe() } else { None };
                let guard = first.or_else(ordinary).or_else(probe).or_else(last_resort)?;
                tried.push(Arc::clone(guard.host()));
                let listed = self.client.endpoint_of(guard.host());
                let endpoint = match bucket {
                    None => listed,
                    // It has a name, since the host is left.
                    Some(bucket) => self.client.virtual_host(&listed, bucket, Moment::now()).ok()?,
                };
                Some((endpoint, Some(guard)))
            }
        }
    }

    /// Returns the number of targets that are left, as far as that is known.
    pub fn count(&self) -> usize {
        match &self.source {
            Source::List { hosts, tried, bucket, .. } => {
                hosts.count_untried(Moment::now(), |host| is_left(tried, *bucket, host))
            }
            Source::Named(endpoint) => usize::from(endpoint.is_some()),
        }
    }

    /// False if no host can be tried now: each is out or left out, and no probe is under way.
    pub fn may_succeed(&self) -> bool {
        match &self.source {
            Source::List { hosts, bucket, .. } => {
                hosts.may_be_tried(Moment::now(), |host| is_left(&[], *bucket, host))
            }
            Source::Named(endpoint) => endpoint.is_some(),
        }
    }

    /// True if a probe of a host that is left is under way.
    pub fn is_probe_under_way(&self) -> bool {
        match &self.source {
            Source::List { hosts, tried, bucket, .. } => {
                hosts.is_probing(|host| is_left(tried, *bucket, host))
            }
            Source::Named(_) => false,
        }
    }

    /// Waits for the result of a probe of a host that is left, at most for the timeout. False if none is under way.
    pub fn wait_for_probe(&self, timeout: Duration) -> bool {
        match &self.source {
            Source::List { hosts, tried, bucket, .. } => {
                hosts.wait_for_probe(|host| is_left(tried, *bucket, host), timeout)
            }
            Source::Named(_) => false,
        }
    }

    /// Returns the hosts that are left out: the bucket makes no valid name on them. `None` if there is none.
    pub fn left_out(&self) -> Option<LeftOut> {
        let Source::List { hosts, bucket: Some(bucket), .. } = &self.source else { return None };
        let all = hosts.all();
        let faults: Vec<_> = all.iter().filter_map(|host| Some((host, name_fault(bucket, host)?))).collect();
        let (_, error) = faults.first()?;
        let names: Vec<_> = faults.iter().map(|(host, _)| host.to_string()).collect();
        Some(LeftOut { error: *error, names: names.join(", "), are_all: faults.len() == all.len() })
    }

    /// Returns the reason why no host is left, with the state of each host that was not tried. `None` if all were.
    pub fn why_none_is_left(&self) -> Option<(&Hosts, String)> {
        match &self.source {
            Source::List { hosts, tried, bucket, .. } => {
                let is_left = |host: &Arc<Host>| is_left(tried, *bucket, host);
                Some((hosts, hosts.why_none_is_left(Moment::now(), is_left)?))
            }
            Source::Named(_) => None,
        }
    }
}

/// True if a host was not tried, and the bucket makes a valid name on it.
fn is_left(tried: &[Arc<Host>], bucket: Option<&CStr>, host: &Arc<Host>) -> bool {
    let was_tried = tried.iter().any(|other| Arc::ptr_eq(other, host));
    !was_tried && bucket.is_none_or(|bucket| name_fault(bucket, host).is_none())
}

/// Returns the reason why the bucket makes no valid name on a host.
fn name_fault(bucket: &CStr, host: &Host) -> Option<Error> {
    host.addresses().name().check_bucket(bucket.to_bytes()).err()
}
