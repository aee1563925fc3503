//! Checkout and release: a connection for a request, from the hosts of a list.
//!
//! A checkout takes the host whose turn it is, and an idle connection of it that is still good. Without
//! one it connects ([`dial`]): to that host and, should it be slow or fail, to the next ones.
#![forbid(unsafe_code)]

mod candidates;
mod dial;
pub mod endpoint;
mod maintenance;
mod rotation;
mod statistics;
mod table;

use std::ffi::CStr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::os::lock::Lock;

use crate::checkout::endpoint::Endpoint;
use crate::fault::Fault;
use crate::hosts::{Host, Hosts};
use crate::log::Log;
use crate::net::authority::Authority;
use crate::net::stream::Stream;
use crate::net::tls::Security;
use crate::os::clock::{self, Moment};
use crate::os::sys;
use crate::pool::metrics::{CloseReason, Metrics};
use crate::pool::permits::{Gauge, Permits};
use crate::pool::{self, Pool, Poolable};
use crate::status::Error;

pub use statistics::{HostStatistics, PoolStatistics};
pub use table::Table;

use candidates::{Candidate, Candidates};
use maintenance::Upkeep;
use rotation::{Endpoints, Rotation};

/// A connection as the boundary hands it out.
pub trait Connection: Poolable + Send + Sized + 'static {
    /// It is used again.
    fn begin_reuse(&mut self);

    /// Where it is connected to; nothing for a file.
    fn endpoint(&self) -> Option<&Arc<Endpoint>>;

    /// The address it is connected to.
    fn peer(&self) -> Option<SocketAddr>;
}

/// What a call may use of its context, read once a call.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most open connections.
    pub connections: i32,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// How long a host that failed is out; `None` is for good.
    pub blacklist: Option<Duration>,
}

impl Settings {
    /// The longest connect, if the context states none.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// As long as it takes, in a form that can be added to the time: a century.
    const NO_CONNECT_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    /// The longest connect, from its seconds as C states them: no limit for a negative number.
    pub fn connect_timeout(seconds: i32) -> Duration {
        match clock::seconds(seconds) {
            None => Settings::NO_CONNECT_TIMEOUT,
            Some(Duration::ZERO) => Settings::DEFAULT_CONNECT_TIMEOUT,
            Some(timeout) => timeout,
        }
    }
}

/// One call from outside.
pub trait Call<C: Connection>: Log {
    /// What its context allows new connections.
    fn settings(&self) -> Settings;

    /// How long, and how often, its context lets a connection serve.
    fn limits(&self) -> pool::Limits;

    /// How its context secures connections, if it does.
    fn security(&self) -> Result<Option<Security>, Error>;

    /// Makes a connection of an open stream, in use by way of this endpoint.
    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<C, Error>;
}

/// What each shard of the pool keeps, so that a thread finds it under the lock that it takes anyway.
#[derive(Default)]
struct Kept {
    rotation: Option<Arc<Rotation>>,
}

/// The connections of one context.
pub struct Client<C: Connection> {
    permits: Arc<Permits>,
    endpoints: Lock<Endpoints>,
    pool: Pool<C, Kept>,
    upkeep: Upkeep,
    metrics: Metrics,
}

impl<C: Connection> Client<C> {
    /// A client without connections; `gauge` shows how many are open.
    pub fn new(gauge: Gauge) -> Client<C> {
        Client {
            permits: Permits::new(gauge),
            endpoints: Lock::new(Endpoints::new()),
            pool: Pool::new(),
            upkeep: Upkeep::new(),
            metrics: Metrics::default(),
        }
    }

    /// A connection to the host whose turn it is, or, if that fails, to one of the others; to the virtual
    /// host of `bucket` if there is one. `calls` counts the checkouts.
    #[inline]
    pub fn checkout(
        &self,
        call: &impl Call<C>,
        hosts: &Arc<Hosts>,
        calls: &AtomicU32,
        bucket: Option<&CStr>,
    ) -> Result<C, Error> {
        let now = Moment::now();
        self.maintain(call, now);
        let turn = calls.fetch_add(1, Ordering::Relaxed);
        let idle = self.pool.checkout_own(
            |kept| {
                if bucket.is_some() {
                    return None;
                }
                Some(kept.rotation.as_ref()?.turn_if_current(hosts, turn, now)?.place())
            },
            now,
            call.limits(),
        );
        match idle {
            Some(mut idle) => {
                idle.begin_reuse();
                Ok(idle)
            }
            None => sys::without_cancellation(|| self.reuse_or_dial(call, hosts, turn, bucket, now)),
        }
    }

    /// Any other idle connection of the host whose turn it is, or a new one.
    #[inline(never)]
    fn reuse_or_dial(
        &self,
        call: &impl Call<C>,
        hosts: &Arc<Hosts>,
        turn: u32,
        bucket: Option<&CStr>,
        now: Moment,
    ) -> Result<C, Error> {
        let rotation = self.current_routes(hosts);
        let listed = rotation.turn(turn, now);
        let named =
            listed.zip(bucket).and_then(|(listed, bucket)| self.virtual_host(listed, bucket, now).ok());
        let endpoint = if bucket.is_some() { named.as_ref() } else { listed };
        match endpoint.and_then(|endpoint| self.reuse(call, endpoint, now)) {
            Some(idle) => Ok(idle),
            None => self.dial(call, Candidates::of_list(self, hosts, turn, bucket)),
        }
    }

    /// An idle connection of an endpoint, now in use.
    fn reuse(&self, call: &impl Call<C>, endpoint: &Endpoint, now: Moment) -> Option<C> {
        let mut idle = self.pool.checkout(endpoint.place(), now, call.limits())?;
        idle.begin_reuse();
        Some(idle)
    }

    fn virtual_host(&self, listed: &Endpoint, bucket: &CStr, now: Moment) -> Result<Arc<Endpoint>, Error> {
        listed.virtual_host(bucket.to_bytes(), now, || self.pool.add_place())
    }

    /// A connection to one host by name, in the list or not. The list is told of a success only.
    pub fn checkout_from(
        &self,
        call: &impl Call<C>,
        hosts: &Arc<Hosts>,
        authority: &Authority,
    ) -> Result<C, Error> {
        let now = Moment::now();
        self.maintain(call, now);
        let endpoint = self.endpoint_named(hosts, authority, now);
        if let Some(idle) = self.reuse(call, &endpoint, now) {
            return Ok(idle);
        }
        let connection = self.dial(call, Candidates::only(self, Arc::clone(&endpoint)))?;
        if let Some(host) = endpoint.host() {
            hosts.succeeded(host);
        }
        Ok(connection)
    }

    /// Takes a connection back, to be reused.
    #[inline]
    pub fn release(&self, call: &impl Call<C>, connection: C) {
        let now = Moment::now();
        self.keep_idle(connection, now);
        self.maintain(call, now);
    }

    /// Pools a connection, unless its address has left the name.
    #[inline(always)]
    fn keep_idle(&self, connection: C, now: Moment) {
        if connection.endpoint().is_some_and(|endpoint| endpoint.is_at(|| connection.peer())) {
            if let Err(refused) = self.pool.release(connection, now) {
                close_refused(refused);
            }
        } else {
            connection.close(CloseReason::Left);
        }
    }

    /// What becomes of its connections.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The host of the list that a name and port stand for: as written, as a virtual host, or else by
    /// its addresses, which may take a look-up.
    pub fn host_named(
        &self,
        hosts: &Arc<Hosts>,
        authority: &Authority,
        timeout: Duration,
    ) -> Option<Arc<Host>> {
        let named = hosts.named(authority).or_else(|| self.host_of_virtual(authority));
        named.or_else(|| hosts.reached_by(authority, timeout))
    }

    /// Forgets, in a forked child, the connections and attempts of the parent, and counts from zero. Nothing is
    /// closed yet: the next call does that.
    pub fn forget_parent(&self) {
        self.permits.forget_parent();
        self.metrics.forget_parent();
        self.pool.forget_parent();
        self.upkeep.forget_parent();
    }

    /// Shows no count any more: whoever wrote it down is going away.
    pub fn detach(&self) {
        self.permits.detach();
    }

    /// Keeps everybody away from a host, for this fault, for as long as the context says. If something failed, its
    /// idle connections may be dead without a sign: they are closed.
    pub fn blacklist(&self, call: &impl Call<C>, hosts: &Hosts, host: &Arc<Host>, fault: Fault) {
        let wait = call.settings().blacklist;
        if !hosts.blacklist(host, Moment::now(), wait, fault) {
            return;
        }
        let (name, port) = (host.name().to_string_lossy(), host.port().to_string_lossy());
        match wait {
            Some(wait) => trace!(call, "{name}:{port} is out for {} s", wait.as_secs()),
            None => trace!(call, "{name}:{port} is out for good"),
        }
        if fault.is_failure() {
            // Its idle connections may be dead without a sign.
            let endpoint = self.endpoint_of(host);
            endpoint.family().for_each(|member| self.pool.suspend(member.place()));
        }
    }
}

/// Closes a connection that the pool did not take.
#[cold]
fn close_refused<C: Connection>(refused: C) {
    let is_suspended = refused.endpoint().is_some_and(|endpoint| endpoint.place().is_suspended());
    refused.close(if is_suspended { CloseReason::HostOut } else { CloseReason::Left });
}

#[cfg(test)]
mod tests;
