//! New connections, by happy eyeballs over the hosts: the first host that connects is used, and each host that
//! fails is blacklisted if it is at fault.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::endpoint::Endpoint;
use super::happy_eyeballs::{Ended, HappyEyeballs};
use super::outcomes::combined;
use super::untried::{Target, Untried};
use super::{Call, Client, ClientConnection, Interruption, Settings};
use crate::hosts::{AttemptGuard, Record};
use crate::net::connect::{CONNECTION_ATTEMPT_DELAY, ConnectPlan, Connecting, head_start};
use crate::net::resolve::{Current, LookupError};
use crate::net::tls::{PeerName, Security, TlsPlan};
use crate::os::clock::Moment;
use crate::os::reserve;
use crate::pool::permits::Permit;
use crate::status::Error;

/// The longest time that a call waits for a probe before it looks after parked attempts.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// The reason why an attempt was not started.
pub(super) enum StartError {
    /// The name has no address. Another host may have one.
    NoAddress,
    /// This side lacks something, so that no other host would do better.
    Local(DialError),
}

/// The reason why a call got no connection.
#[derive(Clone, Copy)]
pub(super) enum DialError {
    /// All connections that `n_conn_max` allows belong to others. Nothing is logged yet.
    NoRoom,
    /// It failed, which is logged.
    Failed(Error),
}

impl From<Error> for DialError {
    fn from(error: Error) -> DialError {
        DialError::Failed(error)
    }
}

/// The outcome of going on to the next host.
enum Step<C> {
    /// There is an idle connection to it.
    Reused(C),
    /// The attempts under way are waited for. At this time the next one starts; `None` if there is none to start.
    Wait(Option<Instant>),
    /// Its name has no address.
    NoAddress,
}

impl<C: ClientConnection> Client<C> {
    /// Connects to the first host that answers. Attempts that are still under way then are parked: later
    /// calls go on with them.
    #[cold]
    pub(super) fn dial(&self, call: &impl Call<C>, mut untried: Untried<'_, C>) -> Result<C, DialError> {
        let left_out = untried.left_out();
        if let Some(left_out) = left_out.as_ref().filter(|it| it.are_all) {
            log!(call, Error, "virtual host name: {}", left_out.error);
            return Err(left_out.error.into());
        }
        let mut attempts = HappyEyeballs::default();
        let outcome = if reserve::is_low() {
            log!(call, Error, "out of memory: no connection is opened");
            self.reuse_instead(call, &mut untried, Error::OutOfMemory.into())
        } else {
            self.connect_to_first(call, &mut untried, &mut attempts)
        };
        self.park(attempts);
        // A call without room may dial again.
        if let Some(left_out) = left_out.filter(|_| !matches!(outcome, Err(DialError::NoRoom))) {
            log!(call, Error, "virtual host name on {}: {}", left_out.names, left_out.error);
        }
        outcome
    }

    /// Starts attempts one after the other, each with a head start before the next, and returns the first
    /// connection. If none answers in time, an idle connection to a host that was not tried serves.
    fn connect_to_first(
        &self,
        call: &impl Call<C>,
        untried: &mut Untried<'_, C>,
        attempts: &mut HappyEyeballs,
    ) -> Result<C, DialError> {
        let mut deadline = None;
        let mut error_so_far = None;
        // The end of the head start that the newest attempt has.
        let mut next_start = None;
        loop {
            if let Some(interruption) = call.interruption() {
                return self.interrupted(call, untried, attempts, interruption);
            }
            next_start = match self.start_next(call, untried, attempts, deadline, next_start)? {
                Step::Reused(idle) => return Ok(idle),
                Step::Wait(until) => until,
                Step::NoAddress => {
                    error_so_far = Some(combined(error_so_far, Error::Failure));
                    continue;
                }
            };
            // From the first attempt on, so that its own deadline comes first.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + call.settings().connect_timeout);
            let mut until = next_start.map_or(deadline, |start| start.min(deadline));
            // Without a next attempt there is time to look after the probe.
            let looks_after_probe = next_start.is_none() && untried.is_probe_under_way();
            if looks_after_probe {
                until = until.min(Instant::now() + PROBE_INTERVAL);
            }
            match self.next_event(call, attempts, until) {
                Ok(Some((attempt, Ok(stream)))) => {
                    let made = self.attempt_succeeded(call, attempt, stream);
                    return made.or_else(|error| self.reuse_instead(call, untried, error.into()));
                }
                Ok(Some((attempt, Err(error)))) => {
                    self.attempt_failed(call, &attempt, &error);
                    match error.local_fault() {
                        Some(lack) if attempts.is_empty() => {
                            return self.reuse_instead(call, untried, lack.into());
                        }
                        _ => error_so_far = Some(combined(error_so_far, error.status())),
                    }
                }
                Ok(None) if attempts.is_empty() => {
                    if !self.wait_for_probe(call, untried, deadline) {
                        return Err(self.all_failed(call, untried, error_so_far).into());
                    }
                }
                Ok(None) if deadline <= Instant::now() => {
                    let idle = self.reuse_left(call, untried);
                    return idle.ok_or_else(|| self.time_is_up(call, untried, attempts, error_so_far).into());
                }
                Ok(None) if call.interruption().is_some() => {}
                // The probe of a host that is left may be a parked attempt.
                Ok(None) if looks_after_probe => _ = self.maintain(call, Moment::now()),
                Ok(None) => attempts.running().for_each(Attempt::mark_slow),
                Err(error) => {
                    log!(call, Error, "poll: {error}");
                    return self.reuse_instead(call, untried, Error::System.into());
                }
            }
        }
    }

    /// Waits until an attempt ends, or until `until`, as [`HappyEyeballs::next`] does, or until the call is to end.
    pub(super) fn next_event(
        &self,
        call: &impl Call<C>,
        attempts: &mut HappyEyeballs,
        until: Instant,
    ) -> io::Result<Option<Ended>> {
        loop {
            let look = call.attention().map(|time| Instant::now() + time);
            let limit = call.settings().connections;
            let event = attempts.next(look.map_or(until, |look| look.min(until)), limit);
            let is_early = || look.is_some() && Instant::now() < until;
            let is_over = || attempts.is_empty() || !is_early() || call.interruption().is_some();
            if !matches!(event, Ok(None)) || is_over() {
                return event;
            }
        }
    }

    /// Ends a call that is interrupted. One whose time is over still takes an idle connection.
    fn interrupted(
        &self,
        call: &impl Call<C>,
        untried: &mut Untried<'_, C>,
        attempts: &HappyEyeballs,
        interruption: Interruption,
    ) -> Result<C, DialError> {
        let idle = match interruption {
            Interruption::TimedOut => self.reuse_left(call, untried),
            Interruption::Cancelled => None,
        };
        idle.ok_or_else(|| {
            if !attempts.is_empty() {
                log!(call, Error, "no answer yet from {}; the attempts go on", attempts.names());
            }
            interruption.report(call).into()
        })
    }

    /// Starts an attempt on the next host, unless there is an idle connection to it. Without a next host it
    /// resumes an attempt that waits for a permit.
    fn start_next(
        &self,
        call: &impl Call<C>,
        untried: &mut Untried<'_, C>,
        attempts: &mut HappyEyeballs,
        deadline: Option<Instant>,
        head_start_ends: Option<Instant>,
    ) -> Result<Step<C>, DialError> {
        let Some((endpoint, guard)) = untried.next() else {
            let limit = call.settings().connections;
            return Ok(Step::Wait(self.resume_suspended(attempts, limit, head_start_ends)));
        };
        // A probe is to find out whether the host still accepts connections.
        let may_reuse = guard.as_ref().is_some_and(|guard| !guard.is_probe());
        let idle = if may_reuse { self.reuse(call, &endpoint, Moment::now()) } else { None };
        if let Some(idle) = idle {
            return Ok(Step::Reused(idle));
        }
        let is_early_probe = guard.as_ref().is_some_and(AttemptGuard::is_early_probe);
        let time_left = time_left(call, deadline);
        let head_start = if is_early_probe { Duration::ZERO } else { head_start(time_left, untried.count()) };
        match self.start(call, untried, (endpoint, guard), attempts, time_left) {
            Ok(()) => Ok(Step::Wait(Some(Instant::now() + head_start))),
            Err(StartError::NoAddress) => Ok(Step::NoAddress),
            Err(StartError::Local(error)) => match self.reuse_instead(call, untried, error) {
                Ok(idle) => Ok(Step::Reused(idle)),
                Err(error) if attempts.is_empty() => Err(error),
                // The attempts under way may still succeed.
                Err(_) => Ok(Step::Wait(None)),
            },
        }
    }

    /// Returns an idle connection to one of the hosts that are left, or `lack`: the error of a call that cannot
    /// open a connection because this side lacks something. No host is left afterwards.
    fn reuse_instead(
        &self,
        call: &impl Call<C>,
        untried: &mut Untried<'_, C>,
        lack: DialError,
    ) -> Result<C, DialError> {
        let idle = self.reuse_left(call, untried);
        untried.clear();
        idle.ok_or(lack)
    }

    /// Returns an idle connection to one of the hosts that are left.
    fn reuse_left(&self, call: &impl Call<C>, untried: &mut Untried<'_, C>) -> Option<C> {
        // An idle connection cannot serve as a probe.
        untried.skip_probes();
        while let Some((endpoint, _)) = untried.next() {
            if let Some(idle) = self.reuse(call, &endpoint, Moment::now()) {
                return Some(idle);
            }
        }
        None
    }

    /// Starts an attempt on an endpoint. It is suspended if there is no permit and others are under way; without others
    /// it is not started. The statistics count it once it has started, or its look-up has failed.
    fn start(
        &self,
        call: &impl Call<C>,
        untried: &Untried<'_, C>,
        (endpoint, guard): Target,
        attempts: &mut HappyEyeballs,
        time_left: Duration,
    ) -> Result<(), StartError> {
        let settings = call.settings();
        let security = call.security().map_err(|error| {
            log!(call, Error, "the context has use_https and no SSL_CTX");
            StartError::Local(error.into())
        })?;
        let mut take_permit = || match self.permit_for(attempts, settings.connections) {
            None if attempts.is_empty() => Err(StartError::Local(DialError::NoRoom)),
            permit => Ok(permit),
        };
        // A look-up may take long, so that one whose turn it is takes its permit and leaves the queue first. For others
        // no connection is closed until the name has an address.
        let early = if untried.has_waited() { Some(take_permit()?) } else { None };
        untried.leave_queue();
        let current = match self.look_up(&endpoint) {
            Ok(current) => current,
            Err(error) => {
                endpoint.record(Record::attempt);
                return Err(self.look_up_failed(call, &endpoint, guard.as_ref(), &error, Duration::ZERO));
            }
        };
        let permit = early.map_or_else(take_permit, Ok)?;
        endpoint.record(Record::attempt);
        let plan = self.plan(&endpoint, settings, security, time_left);
        let connecting = Connecting::new(plan, current, permit, Instant::now());
        attempts.add(Attempt { endpoint, guard, connecting });
        Ok(())
    }

    fn plan(
        &self,
        endpoint: &Endpoint,
        settings: Settings,
        security: Option<Security>,
        time_left: Duration,
    ) -> ConnectPlan {
        ConnectPlan {
            addresses: Arc::clone(endpoint.addresses()),
            timeout: settings.connect_timeout,
            time_left,
            permits: Arc::clone(&self.permits),
            tls: security.map(|security| TlsPlan {
                security,
                peer: PeerName::new(&endpoint.peer_name()),
                sessions: Arc::clone(endpoint.sessions()),
                without_session: None,
            }),
        }
    }

    /// Resumes the attempt that has waited for a permit for the longest time: if there is a permit, or once
    /// the head start of another attempt is over. Returns when to continue; `None` if no attempt waits.
    pub(super) fn resume_suspended(
        &self,
        attempts: &mut HappyEyeballs,
        limit: i32,
        head_start_ends: Option<Instant>,
    ) -> Option<Instant> {
        if !attempts.has_suspended() {
            return None;
        }
        let now = Instant::now();
        let head_start_ends = head_start_ends.filter(|end| *end > now);
        let permit = match head_start_ends {
            Some(_) => self.permit(limit),
            None => self.permit_for(attempts, limit),
        };
        let resumed = permit.and_then(|permit| attempts.resume_oldest(permit, now));
        let next_start = resumed.map(|attempt_delay| now + attempt_delay).or(head_start_ends);
        next_start.or(Some(now + CONNECTION_ATTEMPT_DELAY))
    }

    /// Returns a permit for one more connection. At the limit, an attempt that has had its head start is
    /// suspended for it.
    fn permit_for(&self, attempts: &mut HappyEyeballs, limit: i32) -> Option<Permit> {
        loop {
            if let Some(permit) = self.permit(limit) {
                return Some(permit);
            }
            drop(attempts.suspend_oldest()?);
        }
    }

    /// Returns the addresses to connect to, without waiting for a name server.
    fn look_up(&self, endpoint: &Endpoint) -> Result<Current, LookupError> {
        let current = endpoint.addresses().current()?;
        self.close_left(endpoint);
        Ok(current)
    }

    /// Waits for the result of a probe that another call began, for a caller that has no other host left. False if
    /// there is none, or at the deadline.
    fn wait_for_probe(&self, call: &impl Call<C>, untried: &Untried<'_, C>, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let longest = call.attention().map_or(PROBE_INTERVAL, |time| time.min(PROBE_INTERVAL));
        untried.leave_queue();
        let was_probing = !left.is_zero() && untried.wait_for_probe(left.min(longest));
        // The probe may be a parked attempt.
        self.maintain(call, Moment::now());
        was_probing
    }
}

/// Returns the time that a call has left for its attempts, whose `deadline` is known once the first one has begun.
fn time_left<C: ClientConnection>(call: &impl Call<C>, deadline: Option<Instant>) -> Duration {
    let connect_timeout = call.settings().connect_timeout;
    let left = deadline.map_or(connect_timeout, |end| end.saturating_duration_since(Instant::now()));
    call.time_left().map_or(left, |of_call| of_call.min(left))
}
