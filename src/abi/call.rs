//! One call from C on a context. It gives the core what it needs of the context: settings, TLS, and a log.

use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

use super::connection::{Connection, Reserved};
use super::context::Context;
use super::logging::CallLog;
use super::request::Request;
use droplet_client::checkout::endpoint::Endpoint;
use droplet_client::checkout::{Call, ClientConnection as _, PoolStatistics, Settings};
use droplet_client::fault::Fault;
use droplet_client::hosts::{Host, Hosts};
use droplet_client::log;
use droplet_client::log::{Level, Location, Log};
use droplet_client::net::authority::Authority;
use droplet_client::net::stream::{File, Stream};
use droplet_client::net::tls::Security;
use droplet_client::pool::Limits;
use droplet_client::status::Error;

/// A call of an exported function on a context.
pub struct ContextCall {
    context: &'static Context,
    function: &'static CStr,
    is_in_passing: bool,
}

impl ContextCall {
    /// A call of `function`.
    #[inline]
    pub fn new(context: &'static Context, function: &'static CStr) -> ContextCall {
        ContextCall { context, function, is_in_passing: false }
    }

    /// A call of a function that cannot fail. It may log errors of something else, such as an attempt that nobody waits
    /// for; they do not become the text of `dplx_last_error`.
    #[inline]
    pub fn that_cannot_fail(context: &'static Context, function: &'static CStr) -> ContextCall {
        ContextCall { context, function, is_in_passing: true }
    }

    /// Checks out a connection for a request, and sets the request's host and port to those of the connection.
    #[inline]
    pub fn checkout(&self, request: &mut Request<'_>) -> Result<Connection, Error> {
        let mut connection = self.checkout_by(self, request.virtual_bucket())?;
        connection.introduce_to(request)?;
        Ok(connection)
    }

    /// Checks out a connection to `BUCKET.HOST`, or to a host itself, as part of `call`: this one, or one around it.
    #[inline(always)]
    pub fn checkout_by(
        &self,
        call: &impl Call<Connection>,
        bucket: Option<&CStr>,
    ) -> Result<Connection, Error> {
        let view = self.context.view();
        let Some(hosts) = view.hosts() else {
            log!(self, Error, "the context has no host");
            return Err(Error::Failure);
        };
        self.context.client().checkout(call, hosts, view.calls(), bucket)
    }

    /// Makes a connection to a local file. `take_over` takes the file when nothing can fail any more.
    pub fn open_file(&self, take_over: impl FnOnce() -> File) -> Result<Connection, Error> {
        let id = self.context.id().ok_or(Error::Invalid)?;
        let reserved = Reserved::over_file(self.context.view(), id)?;
        Ok(reserved.connection_to_file(take_over(), Arc::clone(self.context.client().metrics())))
    }

    /// Gives a connection back: the pool takes it if it can serve others, else it is closed.
    #[inline]
    pub fn release(&self, connection: Connection) {
        self.context.client().release(self, connection);
    }

    /// Closes the pool of a context that is about to be freed.
    pub fn destroy_pool(&self) {
        let PoolStatistics { in_use, waiting, .. } = self.context.client().statistics();
        if in_use > 0 {
            log!(self, Warning, "connections of this context are still in use: {in_use}");
        }
        if waiting > 0 {
            log!(self, Warning, "calls still wait for a connection of this context: {waiting}");
        }
        self.context.client().publish_last_statistics(self, self.context.view().hosts());
        self.context.unmake();
    }

    /// Checks out a connection to one host by name.
    pub fn open_host(&self, authority: &Authority) -> Result<Connection, Error> {
        let mut connection = self.context.client().checkout_from(self, &self.hosts(), authority)?;
        connection.set_names()?;
        Ok(connection)
    }

    /// Blacklists the host of this name and port.
    pub fn blacklist(&self, authority: &Authority, fault: Fault) {
        let timeout = self.settings().connect_timeout;
        match self.context.client().host_named(&self.hosts(), authority, timeout) {
            Some(host) => self.blame(&host, fault),
            None => {
                let name = authority.host.written().to_string_lossy();
                let port = authority.port.to_string_lossy();
                log!(self, Warning, "{name}:{port} is not a host of this context");
            }
        }
    }

    /// Blacklists the host of an endpoint for this fault.
    pub fn blacklist_endpoint(&self, endpoint: &Endpoint, fault: Fault) {
        if let Some(host) = endpoint.host() {
            self.blame(host, fault);
        }
    }

    /// Blacklists the host of a connection after a failed write, if the host is at fault.
    pub fn write_failed(&self, connection: &Connection, fault: Fault) {
        if let Some(endpoint) = connection.endpoint() {
            let peer = connection.peer();
            self.context.client().write_failed(self, &self.hosts(), endpoint, peer, fault);
        }
    }

    fn blame(&self, host: &Arc<Host>, fault: Fault) {
        self.context.client().blame_host(self, &self.hosts(), host, fault);
    }

    #[inline]
    fn call_log(&self) -> CallLog {
        CallLog { context: Some(self.context), function: self.function, is_in_passing: self.is_in_passing }
    }

    fn hosts(&self) -> Arc<Hosts> {
        self.context.view().hosts().map_or_else(Hosts::new, Arc::clone)
    }
}

impl Log for ContextCall {
    fn log(&self, level: Level, location: Location, message: fmt::Arguments<'_>) {
        self.call_log().log(level, location, message);
    }

    fn note(&self, reason: fmt::Arguments<'_>) {
        self.call_log().note(reason);
    }

    #[inline]
    fn trace(&self, location: Location, message: fmt::Arguments<'_>) {
        self.call_log().trace(location, message);
    }
}

impl Call<Connection> for ContextCall {
    #[inline]
    fn settings(&self) -> Settings {
        self.context.view().settings(self.context.wait())
    }

    #[inline]
    fn limits(&self) -> Limits {
        self.context.view().limits()
    }

    /// A program may switch `use_https` or verification at run time, or put another `SSL_CTX` into its context.
    #[inline]
    fn wants(&self, idle: &mut Connection) -> bool {
        let view = self.context.view();
        match idle.stream().tls() {
            None => !view.uses_https(),
            Some(tls) => {
                // The read timeout may have changed as well.
                tls.set_read_timeout(view.tls_read_timeout());
                view.uses_https() && tls.was_made_under(view.ssl_context())
            }
        }
    }

    fn security(&self) -> Result<Option<Security>, Error> {
        self.context.view().security()
    }

    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<Connection, Error> {
        let id = self.context.id().ok_or(Error::Invalid)?;
        let reserved = Reserved::over_network(self.context.view(), id, endpoint)?;
        Ok(reserved.connection(stream, endpoint, Arc::clone(self.context.client().metrics())))
    }
}
