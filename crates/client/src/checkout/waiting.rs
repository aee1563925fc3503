//! Waiting at the limit: a checkout that finds all connections in use waits until one is given back or closed.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::dial::DialError;
use super::untried::Untried;
use super::{Call, Client, ClientConnection, Interruption, PoolStatistics};
use crate::os::clock::Moment;
use crate::pool::waiters::{LONGEST_SLEEP, Place};
use crate::status::Error;

/// The first pause of a call that finds its room taken by another call. Each pause is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(1);

/// The longest time that a context which is freed waits for calls to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl<C: ClientConnection> Client<C> {
    /// Returns the connection that `reuse` finds, or a new one to the hosts of `untried`. At the limit it waits, if the
    /// context says so, behind the calls that wait already.
    pub(super) fn when_there_is_room<'a>(
        &'a self,
        call: &impl Call<C>,
        reuse: impl Fn() -> Option<C>,
        untried: impl Fn() -> Untried<'a, C>,
    ) -> Result<C, Error> {
        let may_wait = || call.settings().wait != Some(Duration::ZERO);
        let must_queue = self.permits.waiters().length() > 0 && may_wait() && untried().may_succeed();
        let idle = if must_queue { None } else { reuse() };
        if let Some(idle) = idle {
            return Ok(idle);
        }
        let begin = Moment::precise();
        let first = if must_queue { Err(DialError::NoRoom) } else { self.dial(call, untried()) };
        let outcome = match first {
            Ok(connection) => Ok(connection),
            Err(DialError::NoRoom | DialError::Failed(Error::Limit)) if may_wait() => {
                self.wait_for_room(call, reuse, untried)
            }
            Err(DialError::Failed(error)) => Err(error),
            Err(DialError::NoRoom) => Err(self.limit_reached(call, None)),
        };
        self.metrics.waited(begin, outcome.is_err());
        outcome
    }

    /// Waits for room, and gets a connection as soon as there is some.
    fn wait_for_room<'a>(
        &'a self,
        call: &impl Call<C>,
        reuse: impl Fn() -> Option<C>,
        untried: impl Fn() -> Untried<'a, C>,
    ) -> Result<C, Error> {
        let begin = Instant::now();
        let place = Place::new(self.permits.waiters());
        self.metrics.limit_wait();
        let mut pause = PAUSE;
        loop {
            place.enter();
            self.maintenance.note_waiting();
            self.may_go_on_waiting(call, begin)?;
            if !untried().may_succeed() {
                return self.dial(call, untried()).map_err(|error| match error {
                    DialError::Failed(error) => error,
                    DialError::NoRoom => self.limit_reached(call, Some(begin.elapsed())),
                });
            }
            let mut longest = LONGEST_SLEEP.min(call.attention().unwrap_or(LONGEST_SLEEP));
            if place.has_turn(self.room(call)) {
                if let Some(idle) = reuse() {
                    place.leave();
                    return Ok(idle);
                }
                match self.dial(call, untried().at(&place)) {
                    // At the limit there may have been room for some of the hosts that were tried.
                    Err(DialError::NoRoom | DialError::Failed(Error::Limit)) => {
                        // It counts as awake, and may have left the queue.
                        place.enter();
                        longest = longest.min(pause);
                        pause = LONGEST_SLEEP.min(2 * pause);
                    }
                    Err(DialError::Failed(error)) => return Err(error),
                    Ok(connection) => return Ok(connection),
                }
            } else {
                pause = PAUSE;
            }
            let waited = begin.elapsed();
            let left = call.settings().wait.map(|wait| wait.saturating_sub(waited));
            if left == Some(Duration::ZERO) {
                self.metrics.limit_timeout();
                return Err(self.limit_reached(call, Some(waited)));
            }
            place.sleep(left.map_or(longest, |left| left.min(longest)));
            // One of those that wait is enough: each would wake the next.
            if place.is_first() {
                self.maintain(call, Moment::now());
            }
        }
    }

    /// An error if the context is being freed, or if the call is to end.
    fn may_go_on_waiting(&self, call: &impl Call<C>, begin: Instant) -> Result<(), Error> {
        if self.permits.waiters().is_closed() {
            log!(call, Error, "the context was freed while this call waited for a connection");
            return Err(Error::Invalid);
        }
        match call.interruption() {
            None => Ok(()),
            Some(Interruption::TimedOut) => {
                self.metrics.limit_timeout();
                self.limit_reached(call, Some(begin.elapsed()));
                Err(Error::TimedOut)
            }
            Some(cancelled) => Err(cancelled.report(call)),
        }
    }

    /// Returns the number of connections that calls may take or open now. It is negative if the limit was lowered.
    fn room(&self, call: &impl Call<C>) -> i64 {
        let limit = i64::from(call.settings().connections);
        let in_nobodys_hands = self.pool.idle() + self.maintenance.parked_with_permit() as u64;
        limit - self.permits.open() as i64 + in_nobodys_hands as i64
    }

    /// Ends the waits of all calls, because the context is about to be freed. Returns false if one of them is still
    /// under way after a second: it uses the client, which must stay in memory.
    pub fn end_waits(&self) -> bool {
        self.permits.waiters().close(CLOSE_TIMEOUT)
    }

    /// Logs that the limit is in the way, and for how long the call has waited.
    fn limit_reached(&self, call: &impl Call<C>, waited: Option<Duration>) -> Error {
        let limit = call.settings().connections;
        let PoolStatistics { in_use, connecting, .. } = self.statistics();
        let waited = waited.map_or(String::new(), |time| format!("; waited {} ms", time.as_millis()));
        log!(
            call,
            Error,
            "n_conn_max ({limit}) reached: {in_use} connections are in use, {connecting} are being opened{waited}"
        );
        Error::Limit
    }
}
