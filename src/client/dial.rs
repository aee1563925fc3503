//! A new connection: the hosts race, the caller gets the first that answers, and each host gets the blame
//! that is its due.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Call, Candidate, Candidates, Client, Connection, Settings, blacklist};
use crate::clock::Moment;
use crate::connect::{Attempt, Begun, Failure, HEAD_START, Plan, Race};
use crate::endpoint::Endpoint;
use crate::fault::Fault;
use crate::hosts::Record;
use crate::journal::log;
use crate::permits::Permit;
use crate::reserve;
use crate::resolve::LookupError;
use crate::status::Error;
use crate::stream::Stream;
use crate::stream::tls::{PeerName, TlsPlan};

/// Who runs in a race: a candidate, and what its connection takes.
pub struct Runner<C: Connection> {
    /// What is connected to.
    pub candidate: Candidate,
    reserved: C::Reserved,
}

/// What became of a candidate at once.
#[expect(clippy::large_enum_variant, reason = "it is moved once, into the race")]
enum Start<C: Connection> {
    /// There is a connection.
    Done(C),
    /// An attempt is under way.
    Running(Runner<C>, Attempt),
    /// It is of no use to this call.
    Skip,
}

impl<C: Connection> Client<C> {
    /// A new connection: of this endpoint if that takes no waiting, else of whichever of the candidates, of
    /// which the endpoint is the first as a rule.
    pub(super) fn connect<'a>(
        &'a self,
        call: &impl Call<C>,
        endpoint: Option<&Arc<Endpoint>>,
        candidates: impl FnOnce(Option<Begun>) -> Candidates<'a, C>,
    ) -> Result<C, Error> {
        let begin = Moment::precise();
        let outcome = match endpoint.map_or(Err(None), |endpoint| self.connect_at_once(call, endpoint)) {
            Ok(connection) => Ok(connection),
            Err(begun) => self.dial(call, candidates(begun)),
        };
        self.tally.waited(begin, outcome.is_err());
        outcome
    }

    /// A new connection within this machine, without TLS: as a rule that is over before anybody would have to
    /// know of it. An error may be a connect that was begun.
    fn connect_at_once(&self, call: &impl Call<C>, endpoint: &Arc<Endpoint>) -> Result<C, Option<Begun>> {
        let address =
            endpoint.addresses().literal().filter(|address| address.ip().is_loopback()).ok_or(None)?;
        // Whatever fails here, fails again on the way on, which knows what to do about it.
        let Ok(None) = call.security() else { return Err(None) };
        let permit = self.permits.acquire(call.settings().connections).ok_or(None)?;
        let reserved = call.reserve(endpoint).map_err(|_| None)?;
        endpoint.record(Record::attempt);
        let socket = Begun::new(address, permit).connected_locally()?;
        self.tally.created();
        Ok(call.wrap(reserved, Stream::Plain(socket), endpoint))
    }

    /// Tries the candidates one after the other, each with a head start before the next joins it. What is
    /// still under way in the end is left to later calls.
    #[cold]
    fn dial(&self, call: &impl Call<C>, mut candidates: Candidates<'_, C>) -> Result<C, Error> {
        if reserve::is_low() {
            log!(call, Error, "out of memory: no connection is opened");
            return Err(Error::OutOfMemory);
        }
        let mut race = Race::new();
        let outcome = self.run(call, &mut candidates, &mut race);
        self.park(race);
        outcome
    }

    fn run(
        &self,
        call: &impl Call<C>,
        candidates: &mut Candidates<'_, C>,
        race: &mut Race<Runner<C>>,
    ) -> Result<C, Error> {
        let mut now = Instant::now();
        let mut more = true;
        // The head start of the one that was added last.
        let mut until = None;
        let mut nothing_left = Error::Failure;
        loop {
            if more {
                match candidates.next() {
                    Ok(Some(candidate)) => match self.start(call, candidate, race) {
                        Ok(Start::Done(connection)) => return Ok(connection),
                        Ok(Start::Running(runner, attempt)) => {
                            now = Instant::now();
                            until = Some(now + HEAD_START);
                            race.add(runner, attempt);
                        }
                        Ok(Start::Skip) => continue,
                        // Those already under way may still come through.
                        Err(error) if race.is_empty() => return Err(error),
                        Err(_) => (more, until) = (false, None),
                    },
                    Ok(None) => (more, until) = (false, None),
                    Err(error) => {
                        log!(call, Error, "virtual host name: {error}");
                        return Err(error);
                    }
                }
            }
            match race.next(until, now) {
                Ok(Some((runner, Ok(stream)))) => {
                    runner.candidate.came_through(&stream);
                    return Ok(self.won(call, runner, stream));
                }
                Ok(Some((runner, Err(failure)))) => {
                    if let Err(error) = self.lost(call, &runner.candidate, &failure)
                        && race.is_empty()
                    {
                        return Err(error);
                    }
                    if failure.is_no_way_out() {
                        nothing_left = Error::System;
                    }
                }
                Ok(None) if race.is_empty() && !more => return Err(nothing_left),
                Ok(None) => race.runners().for_each(|runner| runner.candidate.suspect()),
                Err(error) => {
                    log!(call, Error, "poll: {error}");
                    return Err(Error::System);
                }
            }
            now = Instant::now();
        }
    }

    /// An idle connection of the candidate, or an attempt to make a new one.
    fn start(
        &self,
        call: &impl Call<C>,
        mut candidate: Candidate,
        race: &mut Race<Runner<C>>,
    ) -> Result<Start<C>, Error> {
        if !candidate.has_none_idle
            && let Some(idle) = self.reuse(call, &candidate.endpoint, Moment::now())
        {
            candidate.succeeded();
            return Ok(Start::Done(idle));
        }
        let begun = candidate.begun.take();
        if begun.is_none() {
            candidate.endpoint.record(Record::attempt);
        }
        let settings = call.settings();
        let Some(addresses) = self.addresses(call, &candidate, &settings)? else { return Ok(Start::Skip) };
        let endpoint = &candidate.endpoint;
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
        let begun = match begun {
            Some(begun) => Ok(begun),
            None => Err(self.permit_of(call, &candidate, race, &settings)?),
        };
        let reserved = call.reserve(endpoint).inspect_err(|error| {
            candidate.endpoint.record(|record| record.failure(Fault::Local));
            log!(call, Error, "connection to {}: {error}", endpoint.name().to_string_lossy());
        })?;
        let now = Instant::now();
        let attempt = match begun {
            Ok(begun) => Attempt::resume(plan, begun, now),
            Err(permit) => Attempt::new(plan, permit, now),
        };
        Ok(Start::Running(Runner { candidate, reserved }, attempt))
    }

    /// The addresses to connect to; nothing if the name has none, which is the host's fault.
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
                    self.pool.close_matching(endpoint.place(), |idle| !endpoint.is_at(|| idle.peer()));
                }
                return Ok(Some(addresses));
            }
            Err(error) => error,
        };
        let name = endpoint.name().to_string_lossy();
        log!(call, Error, "no address for {name}: {error}");
        let fault = if matches!(error, LookupError::Local(_)) { Fault::Local } else { Fault::Name };
        candidate.endpoint.record(|record| record.failure(fault));
        if let LookupError::Local(error) = error {
            return Err(error);
        }
        // An unknown bucket says nothing about the host.
        if !endpoint.is_virtual() {
            self.blame(call, candidate, fault);
        }
        Ok(None)
    }

    /// A permit for one more connection, to which one that had its head start may have to give way.
    fn permit_of(
        &self,
        call: &impl Call<C>,
        candidate: &Candidate,
        race: &mut Race<Runner<C>>,
        settings: &Settings,
    ) -> Result<Permit, Error> {
        loop {
            if let Some(permit) = self.permit(settings.connections) {
                return Ok(permit);
            }
            let Some((slow, freed)) = race.give_way() else {
                candidate.endpoint.record(|record| record.failure(Fault::Local));
                log!(call, Error, "all {} connections are in use (n_conn_max)", settings.connections);
                return Err(Error::Limit);
            };
            drop(freed);
            self.park(slow);
        }
    }

    /// An attempt succeeded: its connection, in use.
    pub(super) fn won(&self, call: &impl Call<C>, runner: Runner<C>, mut stream: Stream) -> C {
        let Runner { mut candidate, reserved } = runner;
        if let Some(tls) = stream.tls() {
            candidate.endpoint.record(|record| record.handshake(tls.was_resumed()));
            if let Some(notice) = candidate.endpoint.sessions().take_notice() {
                log!(call, Warning, "{} {notice}", candidate.endpoint.name().to_string_lossy());
            }
        }
        candidate.succeeded();
        self.tally.created();
        call.wrap(reserved, stream, &candidate.endpoint)
    }

    /// An attempt failed: the log says why, and the host is out unless it is not to blame. An error is
    /// one of this side, which no other host will mend.
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
        if candidate.is_to_blame(failure) {
            self.blame(call, candidate, fault);
        }
        Ok(())
    }

    fn blame(&self, call: &impl Call<C>, candidate: &Candidate, fault: Fault) {
        if let Some(host) = candidate.endpoint.host() {
            blacklist(call, candidate.hosts(), host, fault);
        }
    }
}
