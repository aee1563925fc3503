//! The outcomes of attempts and writes: their statistics and log lines, the hosts that are blacklisted for them, and the
//! error of the call.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempt::Attempt;
use super::dial::StartError;
use super::endpoint::Endpoint;
use super::happy_eyeballs::HappyEyeballs;
use super::untried::Untried;
use super::{Call, Client, ClientConnection};
use crate::fault::Fault;
use crate::hosts::{AttemptGuard, Host, Hosts};
use crate::net::connect::ConnectError;
use crate::net::resolve::LookupError;
use crate::net::stream::Stream;
use crate::os::clock::{self, Moment};
use crate::os::probes;
use crate::status::Error;

impl<C: ClientConnection> Client<C> {
    /// Counts a fault of a host that is seen outside of an attempt to connect, and blacklists the host for it.
    pub fn blame_host(&self, call: &impl Call<C>, hosts: &Hosts, host: &Arc<Host>, fault: Fault) {
        host.record().failure(fault);
        self.blacklist(call, hosts, host, fault);
    }

    /// Blacklists a host for this fault, for as long as the context says.
    pub fn blacklist(&self, call: &impl Call<C>, hosts: &Hosts, host: &Arc<Host>, fault: Fault) {
        let wait = call.settings().blacklist;
        let outcome = hosts.blacklist(host, Moment::now(), wait, fault);
        self.blacklisted(call, host, wait, fault, outcome);
    }

    /// Blacklists the host of an attempt that has failed some time ago, from then on.
    fn blacklist_for_attempt(&self, call: &impl Call<C>, guard: &AttemptGuard, fault: Fault, age: Duration) {
        let wait = call.settings().blacklist;
        let now = Moment::now();
        let outcome = guard.blacklist(now.before(age), now, wait, fault);
        let left = wait.map(|wait| wait.saturating_sub(age));
        self.blacklisted(call, guard.host(), left, fault, outcome);
    }

    /// Tells that a host was blacklisted, and for how long from now on. If the fault is a failure, its idle connections
    /// are closed: they may be dead without a sign. `outcome` is that of [`Hosts::blacklist`].
    fn blacklisted(
        &self,
        call: &impl Call<C>,
        host: &Arc<Host>,
        left: Option<Duration>,
        fault: Fault,
        outcome: Option<bool>,
    ) {
        let Some(has_changed) = outcome else { return };
        if has_changed {
            let seconds = left.map(clock::whole_seconds);
            probes::blacklist(host.name(), host.port(), fault as i64, seconds.map_or(-1, |it| it as i64));
            match seconds {
                Some(seconds) => trace!(call, "{host} is blacklisted for {seconds} s"),
                None => trace!(call, "{host} is blacklisted for good"),
            }
        }
        if fault.is_failure() {
            let endpoint = self.endpoint_of(host);
            endpoint.family().for_each(|member| self.pool.suspend(member.idle_set()));
        }
    }

    /// Counts a write that failed at this address of an endpoint, and blacklists the host if the address is the
    /// host's own.
    ///
    /// This is the rule for failed connects too. It does not hold for what the program reports
    /// (`dpl_blacklist_host` and the reply reader): the program names a host and is believed.
    pub fn write_failed(
        &self,
        call: &impl Call<C>,
        hosts: &Hosts,
        endpoint: &Endpoint,
        peer: Option<SocketAddr>,
        fault: Fault,
    ) {
        endpoint.record(|record| record.failure(fault));
        let Some(host) = endpoint.host() else { return };
        if peer.is_none_or(|peer| endpoint.is_own(peer)) {
            self.blacklist(call, hosts, host, fault);
        }
    }

    /// Logs a look-up that has failed some time ago, and blacklists the host from then on if it is at fault.
    pub(super) fn look_up_failed(
        &self,
        call: &impl Call<C>,
        endpoint: &Endpoint,
        guard: Option<&AttemptGuard>,
        error: &LookupError,
        age: Duration,
    ) -> StartError {
        log!(call, Error, "no address for {}: {error}", endpoint.name().to_string_lossy());
        if let Some(error) = error.local_fault() {
            note_failure(endpoint, Fault::Local);
            return StartError::Local(error.into());
        }
        note_failure(endpoint, Fault::Name);
        // A bucket that does not resolve says nothing about the host.
        if !endpoint.is_virtual() {
            self.blame(call, guard, Fault::Name, age);
        }
        StartError::NoAddress
    }

    /// Makes a connection in use from an attempt that succeeded.
    pub(super) fn attempt_succeeded(
        &self,
        call: &impl Call<C>,
        attempt: Attempt,
        mut stream: Stream,
    ) -> Result<C, Error> {
        let Attempt { endpoint, guard, connecting } = attempt;
        // Closes the sockets to the host's other addresses.
        drop(connecting);
        endpoint.idle_set().resume();
        if let Some(known) = endpoint.idle_set().review(Moment::now()) {
            trace!(call, "{endpoint}: {known}");
        }
        if let Some(socket) = stream.socket() {
            endpoint.addresses().succeeded(socket.peer());
        }
        if let Some(tls) = stream.tls() {
            endpoint.record(|record| record.handshake(tls.was_resumed()));
            if let Some(notice) = endpoint.sessions().take_notice() {
                log!(call, Warning, "{} {notice}", endpoint.name().to_string_lossy());
            }
        }
        if let Some(guard) = guard {
            guard.succeeded();
        }
        probes::connect(endpoint.name(), endpoint.port(), -1);
        let connection = call.wrap(stream, &endpoint).inspect_err(|error| {
            endpoint.record(|record| record.failure(Fault::Local));
            log!(call, Error, "connection to {}: {error}", endpoint.name().to_string_lossy());
        })?;
        self.metrics.created();
        Ok(connection)
    }

    /// Logs why an attempt failed, and blacklists the host if it is at fault.
    pub(super) fn attempt_failed(&self, call: &impl Call<C>, attempt: &Attempt, error: &ConnectError) {
        for (address, kind) in &error.causes {
            log!(call, Error, "connect to {address}: {kind}");
        }
        if let Some(look_up) = &error.look_up {
            self.look_up_failed(call, &attempt.endpoint, attempt.guard.as_ref(), look_up, error.age);
            return;
        }
        let fault = error.fault();
        note_failure(&attempt.endpoint, fault);
        if error.local_fault().is_none() {
            self.blame(call, attempt.guard_to_blame(error), fault, error.age);
        }
    }

    fn blame(&self, call: &impl Call<C>, guard: Option<&AttemptGuard>, fault: Fault, age: Duration) {
        if let Some(guard) = guard {
            self.blacklist_for_attempt(call, guard, fault, age);
        }
    }

    /// Returns the error for a caller whose time is over while attempts are under way, which began later than the
    /// first one.
    pub(super) fn time_is_up(
        &self,
        call: &impl Call<C>,
        untried: &Untried<'_, C>,
        attempts: &HappyEyeballs,
        so_far: Option<Error>,
    ) -> Error {
        let seconds = call.settings().connect_timeout.as_secs();
        log!(call, Error, "no answer within {seconds} s from {}; the attempts go on", attempts.names());
        let error = if attempts.are_held_up() { Error::Limit } else { Error::Failure };
        self.all_failed(call, untried, Some(combined(so_far, error)))
    }

    /// Returns the error for a caller for whom every host has failed.
    pub(super) fn all_failed(
        &self,
        call: &impl Call<C>,
        untried: &Untried<'_, C>,
        combined: Option<Error>,
    ) -> Error {
        if let Some((hosts, reason)) = untried.why_none_is_left() {
            // Logged once a change of the list, since it is the same for all calls meanwhile.
            let version = hosts.version();
            if self.logged_version.swap(version, Ordering::Relaxed) == version {
                call.note(format_args!("{reason}"));
            } else {
                log!(call, Error, "{reason}");
            }
        }
        if combined == Some(Error::Limit) {
            let limit = call.settings().connections;
            log!(call, Error, "n_conn_max ({limit}) is too low to wait for all hosts at once");
        }
        combined.unwrap_or(Error::Failure)
    }
}

/// Counts an attempt that failed, and tells those who trace the process.
fn note_failure(endpoint: &Endpoint, fault: Fault) {
    endpoint.record(|record| record.failure(fault));
    probes::connect(endpoint.name(), endpoint.port(), fault as i64);
}

/// Combines the errors of hosts that failed one after the other: the limit if it was in the way of any, their
/// common error if they agree, else a failure of the hosts.
pub(super) fn combined(so_far: Option<Error>, error: Error) -> Error {
    match so_far {
        None => error,
        Some(so_far) if so_far == error => error,
        Some(Error::Limit) => Error::Limit,
        Some(_) if error == Error::Limit => Error::Limit,
        Some(_) => Error::Failure,
    }
}
