//! Checkout and release: a connection for a request, to one of the hosts of a list.
//!
//! A checkout takes the next host of the rotation (`rotation`) and an idle connection to it that is still good.
//! Without one it connects. The files on the way down to connect(2):
//!
//! 1. [`Client::checkout`], here;
//! 2. `waiting`: waits at the limit of connections, if the context says so;
//! 3. `dial`: tries one host after the other;
//! 4. `untried`: the hosts that are left to try, in their order;
//! 5. `happy_eyeballs`: the attempts on these hosts, side by side;
//! 6. `attempt`: one host, its guard in the list of hosts, and the connect under way;
//! 7. [`Connecting`](crate::net::connect::Connecting): the addresses of that host;
//! 8. [`Socket::connect`](crate::net::socket::Socket::connect): connect(2).
//!
//! `outcomes` decides who is to blame for a failure.
//!
//! An attempt that no checkout waits for any more is parked, and `maintenance` goes on with it.
#![forbid(unsafe_code)]

mod attempt;
mod dial;
pub mod endpoint;
mod happy_eyeballs;
mod maintenance;
pub mod open_connection;
mod outcomes;
mod reads;
mod rotation;
mod statistics;
mod stats_file;
mod table;
mod untried;
mod waiting;

use std::ffi::CStr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::checkout::endpoint::Endpoint;
use crate::hosts::{Host, Hosts};
use crate::log::Log;
use crate::net::authority::Authority;
use crate::net::stream::Stream;
use crate::net::tls::Security;
use crate::os::clock::{self, Moment};
use crate::os::fork;
use crate::os::lock::Lock;
use crate::os::sys;
use crate::pool::metrics::{CloseReason, Metrics};
use crate::pool::permits::{Gauge, Permits};
use crate::pool::{self, Pool, Poolable};
use crate::status::Error;

pub use statistics::{HostStatistics, PoolStatistics, are_wanted_at_exit};
pub use table::Table;

use maintenance::Maintenance;
use rotation::{Endpoints, Rotation};
use stats_file::StatsFile;
use untried::Untried;

/// A connection as a [`Client`] hands it out and takes it back.
pub trait ClientConnection: Poolable + Send + Sized + 'static {
    /// Prepares an idle connection for its next use.
    fn begin_reuse(&mut self);

    /// Ends its use: decides whether it can be pooled, or for which reason it is closed.
    fn end_use(&mut self) -> Result<(), CloseReason>;

    /// The endpoint it is connected to; `None` for a file.
    fn endpoint(&self) -> Option<&Arc<Endpoint>>;

    /// The address it is connected to; `None` for a file.
    fn peer(&self) -> Option<SocketAddr>;
}

/// The settings of a context that new connections depend on. They may change at any time, so each step reads
/// them anew.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest number of open connections.
    pub connections: i32,
    /// The longest time that a connect may take.
    pub connect_timeout: Duration,
    /// The time that a failed host is blacklisted for; `None` is for good.
    pub blacklist: Option<Duration>,
    /// The longest time that a call waits at the limit; `None` is for ever.
    pub wait: Option<Duration>,
}

impl Settings {
    /// The connect timeout of a context that sets none.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// A timeout that never comes but can be added to the time: a century.
    const NO_CONNECT_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    /// The connect timeout for a number of seconds from C: a negative number is no timeout, 0 the default.
    pub fn connect_timeout(seconds: i32) -> Duration {
        match clock::seconds(seconds) {
            None => Settings::NO_CONNECT_TIMEOUT,
            Some(Duration::ZERO) => Settings::DEFAULT_CONNECT_TIMEOUT,
            Some(timeout) => timeout,
        }
    }
}

/// The reason why a call ends before it has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// Its time is over.
    TimedOut,
    /// Another thread has cancelled it.
    Cancelled,
}

impl Interruption {
    /// Logs it, unless the program has asked for it, and returns the failure of the call.
    fn report(self, call: &impl Log) -> Error {
        match self {
            Interruption::TimedOut => {
                log!(call, Error, "the time of this call was over before it had a connection");
                Error::TimedOut
            }
            Interruption::Cancelled => {
                call.note(format_args!("this call was cancelled before it had a connection"));
                Error::Failure
            }
        }
    }
}

/// A call of the program on a context. The client asks it for the context's settings and logs through it.
pub trait Call<C: ClientConnection>: Log {
    /// The settings for new connections, as they are now.
    fn settings(&self) -> Settings;

    /// The limits on reuse, as they are now.
    fn limits(&self) -> pool::Limits;

    /// The reason why the call is to end before it has a connection, if there is one.
    fn interruption(&self) -> Option<Interruption> {
        None
    }

    /// The time that the call has left; `None` if its time is not limited.
    fn time_left(&self) -> Option<Duration> {
        None
    }

    /// The longest time that the call sleeps before it asks for an interruption; `None` if there never is one.
    fn attention(&self) -> Option<Duration> {
        None
    }

    /// Returns whether an idle connection matches the settings that the context has now, other than when the connection
    /// was made. Settings that an open connection can take over, it gets.
    #[inline]
    fn wants(&self, _idle: &mut C) -> bool {
        true
    }

    /// The TLS settings; `None` for plain connections.
    fn security(&self) -> Result<Option<Security>, Error>;

    /// Makes a connection in use from a stream that is connected to this endpoint.
    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<C, Error>;
}

/// The state that each shard of the pool keeps beside its connections. A checkout reads it under the shard's
/// lock, which it takes anyway.
#[derive(Default)]
struct PerShard {
    rotation: Option<Arc<Rotation>>,
}

/// The connections of one context.
pub struct Client<C: ClientConnection> {
    permits: Arc<Permits>,
    endpoints: Lock<Endpoints>,
    pool: Pool<C, PerShard>,
    maintenance: Maintenance,
    metrics: Arc<Metrics>,
    /// The version of the list of hosts at which it was last logged that no host is left.
    logged_version: AtomicU64,
    stats_file: Option<StatsFile>,
    /// The process that has made it ([`fork::generation`]).
    generation: u32,
    /// True once its last statistics were published.
    is_published: AtomicBool,
}

impl<C: ClientConnection> Client<C> {
    /// A client without connections. `gauge` receives the number of open ones.
    pub fn new(gauge: Gauge) -> Client<C> {
        Client {
            permits: Permits::new(gauge),
            endpoints: Lock::new(Endpoints::new()),
            pool: Pool::new(),
            maintenance: Maintenance::new(),
            metrics: Arc::default(),
            logged_version: AtomicU64::new(u64::MAX),
            stats_file: StatsFile::of_environment(),
            generation: fork::generation(),
            is_published: AtomicBool::new(false),
        }
    }

    /// Returns a connection to the next host in turn or, if that fails, to another one. With a `bucket` it is
    /// to that virtual host on it. `calls` counts the checkouts.
    #[inline]
    pub fn checkout(
        &self,
        call: &impl Call<C>,
        hosts: &Arc<Hosts>,
        calls: &AtomicU32,
        bucket: Option<&CStr>,
    ) -> Result<C, Error> {
        let now = Moment::now();
        let now = self.maintain(call, now);
        let turn = calls.fetch_add(1, Ordering::Relaxed);
        let idle = self.pool.checkout_own(
            |shard| {
                if bucket.is_some() {
                    return None;
                }
                Some(shard.rotation.as_ref()?.turn_if_current(hosts, turn, now)?.idle_set())
            },
            now,
            call.limits(),
        );
        match idle.and_then(|idle| begin_reuse(call, idle)) {
            Some(idle) => Ok(idle),
            None => sys::without_cancellation(|| self.reuse_or_dial(call, hosts, turn, bucket)),
        }
    }

    /// Returns an idle connection from any shard to the host whose turn it is, or a new connection.
    #[inline(never)]
    fn reuse_or_dial(
        &self,
        call: &impl Call<C>,
        hosts: &Arc<Hosts>,
        turn: u32,
        bucket: Option<&CStr>,
    ) -> Result<C, Error> {
        let reuse = || {
            let now = Moment::now();
            let rotation = self.current_rotation(hosts);
            let listed = rotation.turn(turn, now);
            let named =
                listed.zip(bucket).and_then(|(listed, bucket)| self.virtual_host(listed, bucket, now).ok());
            let endpoint = if bucket.is_some() { named.as_ref() } else { listed };
            endpoint.and_then(|endpoint| self.reuse(call, endpoint, now))
        };
        self.when_there_is_room(call, reuse, || Untried::hosts(self, hosts, turn, bucket))
    }

    /// Takes an idle connection to an endpoint into use.
    fn reuse(&self, call: &impl Call<C>, endpoint: &Endpoint, now: Moment) -> Option<C> {
        loop {
            let idle = self.pool.checkout(endpoint.idle_set(), now, call.limits())?;
            let wanted = begin_reuse(call, idle);
            if wanted.is_some() {
                return wanted;
            }
        }
    }

    fn virtual_host(&self, listed: &Endpoint, bucket: &CStr, now: Moment) -> Result<Arc<Endpoint>, Error> {
        listed.virtual_host(bucket.to_bytes(), now, || self.pool.add_idle_set())
    }

    /// Returns a connection to one host by name, which need not be in the list. For a host of the list a success
    /// counts; a failure does not.
    pub fn checkout_from(
        &self,
        call: &impl Call<C>,
        hosts: &Arc<Hosts>,
        authority: &Authority,
    ) -> Result<C, Error> {
        let now = Moment::now();
        self.maintain(call, now);
        let endpoint = self.endpoint_named(hosts, authority, now);
        // The call may have waited at the limit before.
        let reuse = || self.reuse(call, &endpoint, Moment::now());
        let connection =
            self.when_there_is_room(call, reuse, || Untried::only(self, Arc::clone(&endpoint)))?;
        if connection.reuses() == 0 {
            if let Some(host) = endpoint.host() {
                hosts.connect_succeeded(host);
            }
        }
        Ok(connection)
    }

    /// Takes a connection back: pools it if it can serve others, else closes it.
    #[inline]
    pub fn release(&self, call: &impl Call<C>, mut connection: C) {
        if let Err(why) = connection.end_use() {
            return connection.close(why);
        }
        let now = Moment::now();
        self.keep_idle(connection, now);
        self.maintain(call, now);
    }

    /// Pools a connection, or closes it if the name no longer leads to its address.
    #[inline(always)]
    fn keep_idle(&self, connection: C, now: Moment) {
        if connection.endpoint().is_some_and(|endpoint| endpoint.is_at(|| connection.peer())) {
            if let Err(rejected) = self.pool.release(connection, now) {
                close_rejected(rejected);
            }
        } else {
            connection.close(CloseReason::Left);
        }
    }

    /// The counts of what happened to its connections.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Finds a host of the list by name and port: its own name, a virtual host on it, or any other name of
    /// its addresses, which takes a look-up.
    pub fn host_named(
        &self,
        hosts: &Arc<Hosts>,
        authority: &Authority,
        timeout: Duration,
    ) -> Option<Arc<Host>> {
        let named = hosts.named(authority).or_else(|| self.host_of_virtual(authority));
        named.or_else(|| hosts.find_by_look_up(authority, timeout))
    }

    /// Sets aside, in a forked child, the connections and attempts of the parent, and restarts the counts. The
    /// next call closes the child's copies.
    pub fn forget_parent(&self) {
        self.permits.forget_parent();
        self.metrics.forget_parent();
        self.pool.forget_parent();
        self.maintenance.forget_parent();
    }

    /// Stops reporting to the gauge, because its owner is about to be freed.
    pub fn detach(&self) {
        self.permits.detach();
    }
}

/// Takes an idle connection into use, or closes it if it is none that the context wants now.
#[inline(always)]
fn begin_reuse<C: ClientConnection>(call: &impl Call<C>, mut idle: C) -> Option<C> {
    if !call.wants(&mut idle) {
        idle.close(CloseReason::Left);
        return None;
    }
    idle.begin_reuse();
    Some(idle)
}

/// Closes a connection that the pool did not take.
#[cold]
fn close_rejected<C: ClientConnection>(rejected: C) {
    let why = match rejected.endpoint().map(|endpoint| endpoint.idle_set()) {
        Some(set) if set.is_suspended() => CloseReason::HostOut,
        Some(set) if set.is_open() => CloseReason::UsedUp,
        _ => CloseReason::Left,
    };
    rejected.close(why);
}

#[cfg(test)]
mod tests;
