//! Contexts: the hosts and settings of a profile, and the connections made with them.

use std::cell::RefCell;
use std::ffi::CString;
use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Weak};
use std::time::Duration;

use openssl::ssl::SslContext;

use super::connection::Connection;
use super::error::{Error, ErrorKind};
use super::statistics::Statistics;
use crate::checkout::endpoint::Endpoint;
use crate::checkout::open_connection::OpenConnection;
use crate::checkout::{Call, Client, ClientConnection as _, Settings, Table};
use crate::fault::Fault;
use crate::hosts::{self, Host, Hosts, Observer, Resolved};
use crate::log::{Level, Location, Log};
use crate::net::stream::Stream;
use crate::net::tls::Security;
use crate::os::clock;
use crate::os::fork;
use crate::os::lock::Lock;
use crate::os::random;
use crate::pool::Limits;
use crate::profile::{HostList, Profile};
use crate::status;

/// A log callback: a function that gets messages.
pub type LogCallback = Box<dyn Fn(Level, &str) + Send + Sync>;

/// Settings that are not part of a profile.
pub struct Options {
    /// Maximum number of open connections, idle ones included.
    pub connections: u32,
    /// Maximum number of times that a connection is reused.
    pub reuses: u32,
    /// Maximum time that a connection stays idle.
    pub idle_time: Duration,
    /// Longest time that a call waits while all connections are in use; `None` is for ever. Calls are served in the
    /// order of their arrival. With zero a call fails at once.
    pub wait: Option<Duration>,
    /// Function that gets the messages, also those about attempts that failed before another host answered.
    pub log_callback: Option<LogCallback>,
}

/// At most 900 connections, each reused 50 times and idle for 100 seconds; no wait for one; no log callback.
impl Default for Options {
    fn default() -> Options {
        Options {
            connections: 900,
            reuses: 50,
            idle_time: Duration::from_secs(100),
            wait: Some(Duration::ZERO),
            log_callback: None,
        }
    }
}

/// Hosts, the settings for connections to them, and idle connections. Clones share one context.
///
/// ```
/// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let alive = server.local_addr()?;
/// use droplet_client::Context;
///
/// // Nothing listens at the first host, so the second is used.
/// let context = Context::from_profile(&format!(
///     "host = 127.0.0.1:1, {alive}
///      connection_timeout = 2   # seconds
///      blacklist_expiretime = 10"
/// ))?;
/// let connection = context.connect()?;
/// assert_eq!(connection.peer(), alive);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An error in a profile is returned with its line:
///
/// ```
/// let error = droplet_client::Context::from_profile("host = a:80\nhots = b").unwrap_err();
/// assert_eq!(error.to_string(), "profile:2: no such variable");
/// ```
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// State that the clones of a context share.
pub(super) struct Inner {
    pub client: Client<OpenConnection>,
    hosts: Arc<Hosts>,
    calls: AtomicU32,
    settings: Settings,
    limits: Limits,
    pub read_timeout: Option<Duration>,
    pub write_timeout: Option<Duration>,
    /// Greatest length of a line in the head of a reply in bytes.
    pub header_size: usize,
    tls: Option<SslContext>,
    log_callback: Option<LogCallback>,
}

impl Context {
    /// Makes a context from the text of a Droplet profile: lines such as `host = a:80,b:80`, `use_https = true`,
    /// `read_timeout = 30`. Relative names of files start at the working directory.
    pub fn from_profile(text: &str) -> Result<Context, Error> {
        Context::new(text, Options::default())
    }

    /// Makes a context with other options than the default.
    pub fn new(profile: &str, options: Options) -> Result<Context, Error> {
        // First: another thread may fork while the names of the hosts are looked up.
        fork::run_in_children(forget_parent)
            .map_err(|error| Error::new(ErrorKind::System, error.to_string()))?;
        let fault = |text: String| Error::new(ErrorKind::Profile, text);
        let mut parsed = Profile::new("profile".to_owned(), c".".to_owned(), CString::default());
        parsed.read(profile.as_bytes()).map_err(|error| fault(error.to_string()))?;
        if let Some(log_callback) = &options.log_callback {
            parsed.warnings.iter().for_each(|warning| log_callback(Level::Warning, warning));
        }
        let hosts = Hosts::new();
        if let Some(list) = &parsed.hosts {
            let warn = |text: String| {
                if let Some(log_callback) = &options.log_callback {
                    log_callback(Level::Warning, &parsed.error_in("host", text).to_string());
                }
            };
            let timeout = Settings::connect_timeout(parsed.conn_timeout);
            add(list, &hosts, timeout, warn)
                .map_err(|error| fault(parsed.error_in("host", error).to_string()))?;
        }
        let tls = parsed.tls_context().map_err(|error| fault(error.to_string()))?;
        let inner = Arc::new(Inner {
            client: Client::new(Box::new(|_| {})),
            hosts,
            calls: AtomicU32::new(0),
            settings: settings(&parsed, &options),
            limits: Limits::new(options.idle_time, options.reuses),
            // Over TLS 0 means no limit, as in Droplet.
            read_timeout: clock::seconds(parsed.read_timeout).filter(|it| tls.is_none() || !it.is_zero()),
            write_timeout: clock::seconds(parsed.write_timeout),
            header_size: parsed.header_size.try_into().unwrap_or(0),
            tls,
            log_callback: options.log_callback,
        });
        CONTEXTS.lock().push(Arc::downgrade(&inner));
        Ok(Context { inner })
    }

    /// Gets a connection to one of the hosts: an idle one that is still good, or a new one. Hosts take turns. A host
    /// that does not answer is skipped, and blacklisted for `blacklist_expiretime` seconds.
    pub fn connect(&self) -> Result<Connection, Error> {
        self.connect_to(None)
    }

    /// Gets a connection to `BUCKET.HOST`, for virtual hosting.
    pub fn connect_to_bucket(&self, bucket: &str) -> Result<Connection, Error> {
        let name = CString::new(bucket)
            .map_err(|_| Error::new(ErrorKind::Name, format!("invalid bucket: {}", bucket.escape_debug())))?;
        self.connect_to(Some(name))
    }

    /// Returns statistics of its connections and hosts. Other threads go on meanwhile, so the numbers may not match
    /// each other exactly.
    ///
    /// ```
    /// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = server.local_addr()?;
    /// # let context = droplet_client::Context::from_profile(&format!("host = {address}"))?;
    /// drop(context.connect()?);
    /// drop(context.connect()?);
    /// let statistics = context.statistics();
    /// assert_eq!((statistics.created, statistics.reused, statistics.idle), (1, 1, 1));
    /// assert_eq!(statistics.hosts[0].state, "available");
    /// println!("{statistics}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn statistics(&self) -> Statistics {
        Statistics::new(self.inner.statistics())
    }

    fn connect_to(&self, bucket: Option<CString>) -> Result<Connection, Error> {
        let inner = &self.inner;
        let call = inner.call();
        let opened = inner.client.checkout(&call, &inner.hosts, &inner.calls, bucket.as_deref());
        opened
            .map(|open| Connection::new(Arc::clone(inner), open))
            .map_err(|error| Error::of_call(error, &call.errors.borrow()))
    }
}

fn settings(profile: &Profile, options: &Options) -> Settings {
    Settings {
        connections: options.connections.try_into().unwrap_or(i32::MAX),
        connect_timeout: Settings::connect_timeout(profile.conn_timeout),
        blacklist: clock::expiry(profile.blacklist_expiretime.into()),
        wait: options.wait,
    }
}

/// Adds the hosts of a profile, each at a random place, so that clients with the same profile spread.
fn add(text: &HostList, list: &Hosts, timeout: Duration, mut warn: impl FnMut(String)) -> Result<(), String> {
    let authorities = text.authorities(&mut warn)?;
    let resolved = Resolved::of_profile(authorities, timeout, |unresolved| warn(unresolved.warning()));
    for host in resolved.map_err(|unresolved| unresolved.to_string())? {
        let all = list.all();
        let is_there =
            list.named(&host.authority).is_some() || hosts::host_with_all(&all, &host.known).is_some();
        if !is_there {
            let place = random::generator().usize(0..=all.len());
            let new = Host::new(host.authority.port, host.addresses, all.len());
            list.insert(place, new, Box::new(NoObserver));
        }
    }
    Ok(())
}

/// An observer that does nothing: only C sees changes of a list.
struct NoObserver;

impl Observer for NoObserver {
    fn show_blacklisted(&self, _wait: Option<Duration>) {}
    fn show_available(&self) {}
    fn show_addresses(&self, _addresses: &[std::net::SocketAddr]) {}
}

impl Inner {
    /// Begins a call on this context.
    pub fn call(&self) -> ApiCall<'_> {
        ApiCall { context: self, errors: RefCell::default() }
    }

    fn statistics(&self) -> Table {
        self.client.table(Some(&self.hosts))
    }

    /// Blacklists the host of a connection after a failed write, if the host is at fault.
    pub fn write_failed(&self, connection: &OpenConnection, fault: Fault) {
        if let Some(endpoint) = connection.endpoint() {
            self.client.write_failed(&self.call(), &self.hosts, endpoint, connection.peer(), fault);
        }
    }
}

/// One call on a context. It passes messages on to the log callback, and keeps the errors for the text of its
/// failure.
pub(super) struct ApiCall<'a> {
    context: &'a Inner,
    errors: RefCell<Vec<String>>,
}

impl Log for ApiCall<'_> {
    fn log(&self, level: Level, _location: Location, message: fmt::Arguments<'_>) {
        let text = message.to_string();
        if let Some(log_callback) = &self.context.log_callback {
            log_callback(level, &text);
        }
        if level == Level::Error {
            self.errors.borrow_mut().push(text);
        }
    }

    fn note(&self, reason: fmt::Arguments<'_>) {
        self.errors.borrow_mut().push(reason.to_string());
    }

    fn trace(&self, _location: Location, _message: fmt::Arguments<'_>) {}
}

impl Call<OpenConnection> for ApiCall<'_> {
    fn settings(&self) -> Settings {
        self.context.settings
    }

    fn limits(&self) -> Limits {
        self.context.limits
    }

    fn security(&self) -> Result<Option<Security>, status::Error> {
        let context = self.context.tls.clone();
        Ok(context.map(|context| Security { context, read_timeout: self.context.read_timeout }))
    }

    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<OpenConnection, status::Error> {
        let metrics = Arc::clone(self.context.client.metrics());
        Ok(OpenConnection::new(stream, Some(Arc::clone(endpoint)), metrics))
    }
}

/// All contexts, for [`forget_parent`].
static CONTEXTS: Lock<Vec<Weak<Inner>>> = Lock::new(Vec::new());

impl Drop for Inner {
    fn drop(&mut self) {
        self.client.publish_last_statistics(&self.call(), Some(&self.hosts));
        let own: *const Inner = self;
        CONTEXTS.lock().retain(|context| context.as_ptr() != own);
    }
}

/// Makes all contexts forget, in a forked child, what belongs to the parent.
fn forget_parent() {
    let contexts: Vec<_> = CONTEXTS.lock().iter().filter_map(Weak::upgrade).collect();
    for context in contexts {
        context.client.forget_parent();
        context.hosts.forget_parent();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_child_counts_from_zero_and_leaves_its_parents_connections_alone() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("bound");
        let context = Context::from_profile(&format!("host = {address}")).expect("a good profile");
        let in_use = context.connect().expect("connected");
        drop(context.connect().expect("connected"));
        forget_parent();
        let count = |context: &Context| {
            let Statistics { idle, in_use, created, .. } = context.statistics();
            (idle, in_use, created)
        };
        assert_eq!(count(&context), (0, 0, 0));
        drop(context.connect().expect("connected"));
        assert_eq!(count(&context), (1, 0, 1));
        drop((in_use, context));
        assert!(CONTEXTS.lock().is_empty(), "it is forgotten");
    }
}
