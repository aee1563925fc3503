//! A new connection: the hosts race, the caller gets the first that answers, and each host gets the blame
//! that is its due.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use super::{Call, Candidate, Candidates, Client, Connection, blacklist};
use crate::clock::Moment;
use crate::connect::{Attempt, Failure, HEAD_START, Plan, Race};
use crate::fault::Fault;
use crate::hosts::Record;
use crate::journal::log;
use crate::resolve::LookupError;
use crate::status::Error;
use crate::stream::Stream;
use crate::stream::tls::TlsPlan;

/// What became of a candidate at once.
#[expect(clippy::large_enum_variant, reason = "it is moved once, into the race")]
enum Start<C: Connection> {
    /// It had an idle connection.
    Idle(C),
    /// An attempt is under way, from then on.
    Running(Candidate, Attempt, Instant),
    /// It is of no use to this call.
    Skip,
}

impl<C: Connection> Client<C> {
    /// Tries the candidates one after the other, each with a head start before the next joins it. What is
    /// still under way in the end is left to later calls.
    #[cold]
    pub(super) fn dial(&self, call: &impl Call<C>, mut candidates: Candidates<'_, C>) -> Result<C, Error> {
        let begin = Instant::now();
        let mut race = Race::new();
        let outcome = self.run(call, &mut candidates, &mut race, begin);
        self.park(race);
        self.tally.waited(begin.elapsed(), outcome.is_err());
        outcome
    }

    fn run(
        &self,
        call: &impl Call<C>,
        candidates: &mut Candidates<'_, C>,
        race: &mut Race<Candidate>,
        mut now: Instant,
    ) -> Result<C, Error> {
        let mut more = true;
        let mut nothing_left = Error::Failure;
        loop {
            if more {
                match candidates.next(Moment::now()) {
                    Ok(Some(candidate)) => match self.start(call, candidate, race) {
                        Ok(Start::Idle(connection)) => return Ok(connection),
                        Ok(Start::Running(candidate, attempt, begin)) => {
                            now = begin;
                            race.add(candidate, attempt);
                        }
                        Ok(Start::Skip) => continue,
                        // Those already under way may still come through.
                        Err(error) if race.is_empty() => return Err(error),
                        Err(_) => more = false,
                    },
                    Ok(None) => more = false,
                    Err(error) => {
                        log!(call, Error, "virtual host name: {error}");
                        return Err(error);
                    }
                }
            }
            let until = more.then(|| now + HEAD_START);
            match race.next(until, now) {
                Ok(Some((candidate, Ok(stream)))) => return self.won(call, candidate, stream),
                Ok(Some((candidate, Err(failure)))) => {
                    if let Err(error) = self.lost(call, &candidate, &failure)
                        && race.is_empty()
                    {
                        return Err(error);
                    }
                    if failure.is_no_way_out() {
                        nothing_left = Error::System;
                    }
                }
                Ok(None) if race.is_empty() && !more => return Err(nothing_left),
                Ok(None) => race.candidates().for_each(Candidate::suspect),
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
        candidate: Candidate,
        race: &mut Race<Candidate>,
    ) -> Result<Start<C>, Error> {
        let endpoint = &candidate.endpoint;
        if let Some(idle) = self.reuse(call, endpoint, Moment::now()) {
            candidate.succeeded();
            return Ok(Start::Idle(idle));
        }
        candidate.record(Record::attempt);
        let settings = call.settings();
        let addresses = match endpoint.addresses().current(settings.connect_timeout) {
            Ok(addresses) => addresses,
            Err(error) => {
                let name = endpoint.name().to_string_lossy();
                log!(call, Error, "no address for {name}: {error}");
                let fault = if matches!(error, LookupError::Local(_)) { Fault::Local } else { Fault::Name };
                candidate.record(|record| record.failure(fault));
                return match error {
                    LookupError::Local(error) => Err(error),
                    // An unknown bucket says nothing about the host.
                    _ if endpoint.is_virtual() => Ok(Start::Skip),
                    _ => {
                        self.blame(call, &candidate, fault);
                        Ok(Start::Skip)
                    }
                };
            }
        };
        if endpoint.addresses().have_changed() {
            self.pool.close_matching(endpoint.place(), |idle| !endpoint.is_at(|| idle.peer()));
        }
        let plan = Plan {
            addresses,
            timeout: settings.connect_timeout,
            permits: Arc::clone(&self.permits),
            limit: settings.connections,
            tls: call.security()?.map(|security| TlsPlan {
                security,
                name: endpoint.name().to_string_lossy().into_owned(),
                session: endpoint.sessions().take(),
            }),
        };
        let permit = loop {
            if let Some(permit) = self.permit(settings.connections) {
                break permit;
            }
            // Who had a head start makes room for the next.
            let Some((slow, freed)) = race.give_way() else {
                candidate.record(|record| record.failure(Fault::Local));
                log!(call, Error, "all {} connections are in use (n_conn_max)", settings.connections);
                return Err(Error::Limit);
            };
            drop(freed);
            self.park(slow);
        };
        let now = Instant::now();
        Ok(Start::Running(candidate, Attempt::new(plan, permit, now), now))
    }

    /// An attempt succeeded: its connection, in use.
    pub(super) fn won(
        &self,
        call: &impl Call<C>,
        candidate: Candidate,
        mut stream: Stream,
    ) -> Result<C, Error> {
        if let Some(tls) = stream.tls() {
            candidate.record(|record| record.handshake(tls.was_resumed()));
        }
        candidate.connected(&stream);
        let endpoint = &candidate.endpoint;
        let connection = call.wrap(stream, endpoint).inspect_err(|error| {
            log!(call, Error, "connection to {}: {error}", endpoint.name().to_string_lossy());
        })?;
        self.tally.created();
        Ok(connection)
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
        candidate.record(|record| record.failure(fault));
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
            blacklist(call, &candidate.hosts, host, fault);
        }
    }
}
