//! The limits that a server sets on its connections: how long they may be idle, and how many requests they serve.
//!
//! A server may announce them (`Keep-Alive: timeout=5, max=100`). Otherwise they are learned from the connections that it
//! ends. One ending says little, since a restart ends connections too; two that agree are believed:
//!
//! - The kernel knows when the peer has closed, so the idle time of an ending is exact, no matter when the connection is
//!   looked at. Two idle times agree if they differ by no more than a second, since some servers look at their
//!   connections once a second (lighttpd in `connection_check_timeout`, Tomcat in `NioEndpoint.Poller.timeout`), and by no
//!   more than a quarter.
//! - Connections that end together although they were idle for different times, or that outlive the idle time of another
//!   one, say that the server was restarted.
//! - A server that closes as soon as it has replied has a limit on requests, if it does so twice after the same number,
//!   and no other connection has served more in the last ten minutes.
//!
//! A limit that was learned is forgotten after ten minutes, since a server may be set up anew.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::clock::{Moment, TICK};

/// The time for which a limit holds.
const KEPT: Duration = Duration::from_secs(600);

/// A connection that ends sooner after its last reply counts as ended for the number of its requests. A server whose idle
/// timeout is shorter is taken for one with a limit on requests. By default it is seconds: 75 in nginx, 5 in Apache and
/// lighttpd.
const PROMPT: Duration = Duration::from_millis(100);

/// Endings within this time may have one cause.
const ONE_EVENT: Duration = Duration::from_millis(500);

/// The largest difference of idle times that agree.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The end of a connection by its peer.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The time at which the peer closed it.
    pub at: Moment,
    /// The time at which it was opened.
    pub opened: Moment,
    /// The time that it had been idle by then.
    pub idle: Duration,
    /// The number of requests that it had served.
    pub uses: u32,
    /// The round-trip time.
    pub round_trip: Duration,
}

impl Ending {
    /// True if the peer closed it as soon as it had replied.
    fn is_prompt(&self) -> bool {
        self.idle < PROMPT
    }

    /// True if two endings may have one limit of the server as their cause.
    fn agrees(&self, other: &Ending) -> bool {
        match (self.is_prompt(), other.is_prompt()) {
            (true, true) => self.uses == other.uses,
            (false, false) => {
                let (shorter, longer) = (self.idle.min(other.idle), self.idle.max(other.idle));
                longer - shorter <= tolerance(shorter)
            }
            _ => false,
        }
    }

    /// True if both connections were open when the first of them ended, and the other one ended with it.
    fn is_of_one_event(&self, other: &Ending) -> bool {
        let (first, last) = (self.at.min(other.at), self.at.max(other.at));
        last.since(first) < ONE_EVENT && self.opened.max(other.opened).after(TICK) <= first
    }

    /// True if a connection that has served so many requests shows that no limit on requests is the cause.
    pub fn is_contradicted_by_uses(&self, uses: u32) -> bool {
        self.is_prompt() && uses > self.uses
    }

    /// True if an older connection, idle for the time `idle` by now, shows that no limit is the cause: it ended together
    /// with this one although it was idle for another time, or is open although it was idle for longer.
    pub fn is_contradicted_by(&self, ending: Option<Ending>, idle: Duration) -> bool {
        match ending {
            Some(ending) => self.is_of_one_event(&ending) && !self.agrees(&ending),
            None => !self.is_prompt() && idle > self.idle + tolerance(self.idle),
        }
    }
}

fn tolerance(idle: Duration) -> Duration {
    (idle / 4).min(TOLERANCE)
}

/// Returns the time by which a connection is given up before the server ends it. A request that is sent at the last
/// moment is on its way for half of the round trip, the clock is exact to a tick, and some servers end connections up to
/// a second early or late.
fn margin(idle: Duration, round_trip: Duration) -> Duration {
    (idle / 10).clamp(Duration::from_millis(25), Duration::from_secs(5)) + round_trip
}

/// The limits that a server states in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The time that it keeps idle connections.
    pub idle: Option<Duration>,
    /// The number of times that a connection can be used.
    pub uses: Option<u32>,
}

/// A value that holds until some time.
#[derive(Clone, Copy)]
struct Bound<T> {
    value: T,
    until: Moment,
}

/// One limit, as far as it is known.
struct Limit<T> {
    announced: Option<Bound<T>>,
    observed: Option<Bound<T>>,
}

impl<T: Copy + Ord> Limit<T> {
    const NONE: Limit<T> = Limit { announced: None, observed: None };

    fn least(&self) -> Option<T> {
        [self.announced, self.observed].into_iter().flatten().map(|bound| bound.value).min()
    }

    fn forget(&mut self, now: Moment) {
        for bound in [&mut self.announced, &mut self.observed] {
            bound.take_if(|bound| bound.until <= now);
        }
    }
}

/// An ending that was observed.
struct Observed {
    ending: Ending,
    /// True if it says nothing about a limit.
    is_void: bool,
}

/// The limits of one server, as far as they are known.
pub struct ServerLimits {
    idle: Limit<Duration>,
    uses: Limit<u32>,
    /// The last announcement.
    said: Option<Bound<Announced>>,
    /// The last ending of an idle connection, and the last one after a reply.
    last: [Option<Observed>; 2],
    /// The largest number of requests that a connection has served.
    served: Option<Bound<u32>>,
}

impl ServerLimits {
    /// Nothing is known.
    pub const UNKNOWN: ServerLimits = ServerLimits {
        idle: Limit::NONE,
        uses: Limit::NONE,
        said: None,
        last: [const { None }; 2],
        served: None,
    };

    /// The time for which an idle connection can be used. `None` if no limit is known.
    pub fn idle(&self) -> Option<Duration> {
        self.idle.least()
    }

    /// The number of times that a connection can be used. `None` if no limit is known.
    pub fn uses(&self) -> Option<u32> {
        self.uses.least()
    }

    /// Notes that a connection has served so many requests.
    pub fn note_served(&mut self, uses: u32, now: Moment) {
        if self.served.is_none_or(|served| served.until <= now || served.value <= uses) {
            self.served = Some(Bound { value: uses, until: now.after(KEPT) });
        }
    }

    /// Learns from an ending. `is_void` says that other connections contradict it.
    pub fn observe(&mut self, ending: Ending, is_void: bool) {
        let served = self.served.filter(|served| served.until > ending.at);
        let is_void = is_void || served.is_some_and(|served| ending.is_contradicted_by_uses(served.value));
        let mut observed = Observed { ending, is_void };
        for last in self.last.iter_mut().flatten().filter(|last| last.ending.is_of_one_event(&ending)) {
            last.is_void |= observed.is_void || !last.ending.agrees(&ending);
            observed.is_void |= last.is_void;
        }
        let last = &mut self.last[usize::from(ending.is_prompt())];
        if last.as_ref().is_some_and(|last| last.ending.is_of_one_event(&ending)) {
            return;
        }
        let is_void = observed.is_void;
        let Some(before) = last.replace(observed) else { return };
        if !before.is_void && !is_void && before.ending.agrees(&ending) {
            self.believe(&before.ending, &ending);
        }
    }

    fn believe(&mut self, before: &Ending, ending: &Ending) {
        let until = ending.at.after(KEPT);
        if ending.is_prompt() {
            self.uses.observed = Some(Bound { value: ending.uses, until });
        } else {
            let (idle, round_trip) = (before.idle.min(ending.idle), before.round_trip.max(ending.round_trip));
            let value = idle.saturating_sub(margin(idle, round_trip));
            self.idle.observed = Some(Bound { value, until });
        }
    }

    /// True if it would learn from this announcement.
    pub fn is_news(&self, announced: Announced, now: Moment) -> bool {
        self.said.is_none_or(|said| said.value != announced || said.until <= now.after(KEPT / 2))
    }

    /// Learns what the server says. An idle time of nearly nothing means that a connection serves once.
    pub fn announce(&mut self, announced: Announced, round_trip: Duration, now: Moment) {
        let until = now.after(KEPT);
        self.said = Some(Bound { value: announced, until });
        let is_prompt = announced.idle.is_some_and(|idle| idle < PROMPT);
        let uses = if is_prompt { Some(1) } else { announced.uses };
        self.uses.announced = uses.map(|value| Bound { value, until });
        self.idle.announced = announced.idle.filter(|_| !is_prompt).map(|idle| {
            let value = idle.saturating_sub(margin(idle, round_trip));
            Bound { value, until }
        });
    }

    /// Forgets what was learned too long ago.
    pub fn forget(&mut self, now: Moment) {
        self.idle.forget(now);
        self.uses.forget(now);
    }
}

#[cfg(test)]
mod tests;
