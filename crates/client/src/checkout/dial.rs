//! A new connection: the hosts race, the caller gets the first that answers, and each host gets the blame
//! that is its due.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Call, Candidate, Candidates, Client, Connection, PoolStatistics, Settings};
use crate::fault::Fault;
use crate::hosts::{AttemptGuard, Record};
use crate::net::connect::{Attempt, CONNECTION_ATTEMPT_DELAY, Failure, HappyEyeballs, Plan};
use crate::net::resolve::LookupError;
use crate::net::stream::Stream;
use crate::net::tls::{PeerName, TlsPlan};
use crate::os::clock::Moment;
use crate::os::reserve;
use crate::pool::permits::Permit;
use crate::status::Error;

impl<C: Connection> Client<C> {
    /// Tries the candidates one after the other, each with a head start before the next joins it. What is
    /// still under way in the end is left to later calls.
    #[cold]
    pub(super) fn dial(&self, call: &impl Call<C>, mut candidates: Candidates<'_, C>) -> Result<C, Error> {
        let begin = Moment::precise();
        let mut race = HappyEyeballs::new();
        let outcome = self.run(call, &mut candidates, &mut race);
        self.park(race);
        self.metrics.waited(begin, outcome.is_err());
        outcome
    }

    fn run(
        &self,
        call: &impl Call<C>,
        candidates: &mut Candidates<'_, C>,
        race: &mut HappyEyeballs<Candidate>,
    ) -> Result<C, Error> {
        if reserve::is_low() {
            log!(call, Error, "out of memory: no connection is opened");
            return Err(Error::OutOfMemory);
        }
        let mut verdict = None;
        // The end of the head start that the newest attempt has.
        let mut until = None;
        loop {
            let next =
                candidates.next().inspect_err(|error| log!(call, Error, "virtual host name: {error}"))?;
            until = match next {
                Some(candidate) => {
                    if candidate.may_be_reused()
                        && let Some(idle) = self.reuse(call, &candidate.endpoint, Moment::now())
                    {
                        return Ok(idle);
                    }
                    match self.start(call, candidate, race) {
                        Ok(true) => Some(Instant::now() + CONNECTION_ATTEMPT_DELAY),
                        Ok(false) => {
                            verdict = Some(sum(verdict, Error::Failure));
                            continue;
                        }
                        Err(error) if race.is_empty() => return Err(error),
                        // Those already under way may still come through.
                        Err(_) => {
                            candidates.end();
                            None
                        }
                    }
                }
                None => self.resume(race, call.settings().connections, until),
            };
            match race.next(until) {
                Ok(Some((candidate, Ok(stream)))) => return self.won(call, candidate, stream),
                Ok(Some((candidate, Err(failure)))) => {
                    let outcome = self.lost(call, &candidate, &failure);
                    if race.is_empty() {
                        outcome?;
                    }
                    verdict = Some(sum(verdict, failure.error()));
                }
                Ok(None) if race.is_empty() => return Err(Self::none_left(call, verdict)),
                Ok(None) => race.running().for_each(Candidate::takes_long),
                Err(error) => {
                    log!(call, Error, "poll: {error}");
                    return Err(Error::System);
                }
            }
        }
    }

    /// Has an attempt on the candidate join the race. False if its name has no address.
    fn start(
        &self,
        call: &impl Call<C>,
        candidate: Candidate,
        race: &mut HappyEyeballs<Candidate>,
    ) -> Result<bool, Error> {
        let endpoint = &candidate.endpoint;
        endpoint.record(Record::attempt);
        let settings = call.settings();
        let Some(addresses) = self.addresses(call, &candidate, &settings)? else { return Ok(false) };
        let security = call.security().inspect_err(|_| {
            log!(call, Error, "the context has use_https and no SSL_CTX");
        })?;
        let plan = Plan {
            addresses,
            timeout: settings.connect_timeout,
            permits: Arc::clone(&self.permits),
            limit: settings.connections,
            tls: security.map(|security| TlsPlan {
                security,
                peer: PeerName::new(&endpoint.peer_name()),
                sessions: Arc::clone(endpoint.sessions()),
                without_session: None,
            }),
        };
        let permit = self.permit_of(race, settings.connections);
        if permit.is_none() && race.is_empty() {
            endpoint.record(|record| record.failure(Fault::Local));
            return Err(self.limit_reached(call));
        }
        race.add(candidate, Attempt::new(plan, permit, Instant::now()));
        Ok(true)
    }

    /// Comes back to the attempt that has waited for a permit for longest: if one is to be had, or when the head
    /// start of another is over. Returns when to go on; `None` if no attempt waits.
    fn resume(
        &self,
        race: &mut HappyEyeballs<Candidate>,
        limit: i32,
        until: Option<Instant>,
    ) -> Option<Instant> {
        if !race.has_suspended() {
            return None;
        }
        let now = Instant::now();
        let until = until.filter(|until| *until > now);
        let permit = if until.is_some() { self.permit(limit) } else { self.permit_of(race, limit) };
        let attempt_delay = permit.and_then(|permit| race.resume(permit, now));
        attempt_delay
            .map(|attempt_delay| now + attempt_delay)
            .or(until)
            .or(Some(now + CONNECTION_ATTEMPT_DELAY))
    }

    /// A permit for one more connection, to which one that had its head start may have to give way.
    fn permit_of(&self, race: &mut HappyEyeballs<Candidate>, limit: i32) -> Option<Permit> {
        loop {
            if let Some(permit) = self.permit(limit) {
                return Some(permit);
            }
            drop(race.give_way()?);
        }
    }

    /// The addresses to connect to; `None` if the name has none, which is the host's fault.
    fn addresses(
        &self,
        call: &impl Call<C>,
        candidate: &Candidate,
        settings: &Settings,
    ) -> Result<Option<Arc<[SocketAddr]>>, Error> {
        let endpoint = &candidate.endpoint;
        let error = match endpoint.addresses().current(settings.connect_timeout) {
            Ok(addresses) => {
                if endpoint.addresses().have_changed() {
                    let known = endpoint.addresses().known();
                    let has_left = |idle: &C| idle.peer().is_none_or(|peer| !known.contains(&peer));
                    self.pool.close_matching(endpoint.place(), has_left);
                }
                return Ok(Some(addresses));
            }
            Err(error) => error,
        };
        let name = endpoint.name().to_string_lossy();
        log!(call, Error, "no address for {name}: {error}");
        let fault = if matches!(error, LookupError::Local(_)) { Fault::Local } else { Fault::Name };
        endpoint.record(|record| record.failure(fault));
        if let LookupError::Local(error) = error {
            return Err(error);
        }
        // An unknown bucket says nothing about the host.
        if !endpoint.is_virtual() {
            self.blame(call, candidate.trial.as_ref(), fault);
        }
        Ok(None)
    }

    /// A connect came through: its connection, in use.
    pub(super) fn won(
        &self,
        call: &impl Call<C>,
        candidate: Candidate,
        mut stream: Stream,
    ) -> Result<C, Error> {
        let Candidate { endpoint, trial } = candidate;
        endpoint.place().resume();
        if let Some(socket) = stream.socket() {
            endpoint.addresses().succeeded(socket.peer());
        }
        if let Some(tls) = stream.tls() {
            endpoint.record(|record| record.handshake(tls.was_resumed()));
            if let Some(notice) = endpoint.sessions().take_notice() {
                log!(call, Warning, "{} {notice}", endpoint.name().to_string_lossy());
            }
        }
        if let Some(trial) = trial {
            trial.succeeded();
        }
        let connection = call.wrap(stream, &endpoint).inspect_err(|error| {
            endpoint.record(|record| record.failure(Fault::Local));
            log!(call, Error, "connection to {}: {error}", endpoint.name().to_string_lossy());
        })?;
        self.metrics.created();
        Ok(connection)
    }

    /// An attempt failed: the log says why, and the host is out unless it is not to blame. An error is
    /// a lack of this side's, which no other host will mend.
    pub(super) fn lost(
        &self,
        call: &impl Call<C>,
        candidate: &Candidate,
        failure: &Failure,
    ) -> Result<(), Error> {
        for (address, cause) in &failure.causes {
            log!(call, Error, "connect to {address}: {cause}");
        }
        let fault = failure.fault();
        candidate.endpoint.record(|record| record.failure(fault));
        if let Some(error) = failure.local_fault() {
            return Err(error);
        }
        self.blame(call, candidate.culprit(failure), fault);
        Ok(())
    }

    fn blame(&self, call: &impl Call<C>, trial: Option<&AttemptGuard>, fault: Fault) {
        if let Some(trial) = trial {
            self.blacklist(call, trial.hosts(), trial.host(), fault);
        }
    }

    /// Every candidate has failed; `verdict` is what they have in common.
    fn none_left(call: &impl Call<C>, verdict: Option<Error>) -> Error {
        if verdict == Some(Error::Limit) {
            let limit = call.settings().connections;
            log!(call, Error, "n_conn_max ({limit}) is too low to wait for all hosts at once");
        }
        verdict.unwrap_or(Error::Failure)
    }

    fn limit_reached(&self, call: &impl Call<C>) -> Error {
        let limit = call.settings().connections;
        let PoolStatistics { in_use, connecting, .. } = self.statistics();
        log!(
            call,
            Error,
            "n_conn_max ({limit}) reached: {in_use} connections are in use, {connecting} are being opened"
        );
        Error::Limit
    }
}

/// What to tell the caller of a host that failed so after others: that the limit was in the way, or that this
/// side was each time, or else that the hosts failed.
fn sum(others: Option<Error>, error: Error) -> Error {
    match others {
        None => error,
        Some(others) if others == error => error,
        Some(Error::Limit) => Error::Limit,
        Some(_) if error == Error::Limit => Error::Limit,
        Some(_) => Error::Failure,
    }
}
