//! The addresses of a host name: looked up before a new connection, kept for a few seconds, and kept
//! for as long as nothing better is known.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Moment;
use crate::fork;
use crate::lock::{Condvar, Lock};
use crate::status::{Error, local_fault};

/// A name is looked up at most once in this time.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// Counts the look-ups that gave other addresses than the one before, whatever the name.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// How often a name led elsewhere than before.
pub fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// Why there is no address.
#[derive(Clone, Debug)]
pub enum LookupError {
    /// The resolver's answer, in its own words.
    Resolver(String),
    /// The local system is at fault.
    Local(Error),
    /// Another thread's look-up outlasted the deadline.
    TimedOut,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::Resolver(text) => f.write_str(text),
            LookupError::Local(error) => write!(f, "name look-up failed: {error}"),
            LookupError::TimedOut => f.write_str("name look-up timed out"),
        }
    }
}

/// Asks the system for the addresses of a name.
fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    match (name, port).to_socket_addrs() {
        Ok(addresses) => {
            let mut distinct: Vec<SocketAddr> = Vec::new();
            for address in addresses {
                if !distinct.contains(&address) {
                    distinct.push(address);
                }
            }
            Ok(distinct)
        }
        Err(error) => Err(lookup_error(&error)),
    }
}

fn lookup_error(error: &io::Error) -> LookupError {
    match local_fault(error) {
        Some(fault) => LookupError::Local(fault),
        None => LookupError::Resolver(error.to_string()),
    }
}

/// A name with a port, and the addresses known for it.
pub struct Addresses {
    name: String,
    port: u16,
    literal: Option<SocketAddr>,
    state: Lock<State>,
    look_up_done: Condvar,
    /// Set once a look-up gave other addresses than the one before.
    have_changed: AtomicBool,
}

struct State {
    known: Arc<[SocketAddr]>,
    /// The same in another order, if the first of them proved slow or dead.
    preferred: Option<Arc<[SocketAddr]>>,
    /// When the last look-up ended; never for a literal address, which needs none.
    checked: Moment,
    failure: Option<LookupError>,
    /// The process in which a thread is looking it up, by its forks: a child must not wait for the thread
    /// of its parent.
    looking_up_in: Option<u32>,
}

impl Addresses {
    /// For a name that has not been looked up yet, or a literal address, which never is.
    pub fn new(name: &str, port: u16) -> Addresses {
        let literal = name.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        let checked = if literal.is_some() { Moment::NEVER } else { Moment::default() };
        let known = literal.into_iter().collect();
        Addresses {
            name: name.to_owned(),
            port,
            literal,
            state: Lock::new(State { known, preferred: None, checked, failure: None, looking_up_in: None }),
            look_up_done: Condvar::default(),
            have_changed: AtomicBool::new(false),
        }
    }

    /// For a name whose addresses are known already.
    pub fn with_known(name: &str, addresses: Vec<SocketAddr>, port: u16) -> Addresses {
        let fresh = Addresses::new(name, port);
        if !addresses.is_empty() {
            fresh.state.lock().learn(Ok(addresses), Moment::now());
        }
        fresh
    }

    /// The port of every address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The only address, if the name is a literal one.
    pub fn literal(&self) -> Option<SocketAddr> {
        self.literal
    }

    /// The addresses known so far, without a look-up; none before the first.
    pub fn known(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.state.lock().known)
    }

    /// A connect to this address came through: until the next look-up it is tried before those that did
    /// not.
    pub fn came_through(&self, address: SocketAddr) {
        let mut state = self.state.lock();
        let place = state.in_order().iter().position(|known| *known == address);
        if let Some(place @ 1..) = place {
            let mut order = state.in_order().to_vec();
            order.rotate_left(place);
            state.preferred = Some(order.into());
        }
    }

    /// Whether the name ever led elsewhere: if not, nothing can be connected to an address that left it.
    #[inline]
    pub fn have_changed(&self) -> bool {
        self.have_changed.load(Ordering::Relaxed)
    }

    /// The addresses to connect to, looked up if the last time was too long ago. While one thread does
    /// that the others use what is known; with nothing known they wait, so long at most.
    pub fn current(&self, patience: Duration) -> Result<Arc<[SocketAddr]>, LookupError> {
        self.current_from(Moment::now, patience, look_up)
    }

    fn current_from(
        &self,
        clock: impl Fn() -> Moment,
        patience: Duration,
        look_up: impl Fn(&str, u16) -> Result<Vec<SocketAddr>, LookupError>,
    ) -> Result<Arc<[SocketAddr]>, LookupError> {
        let mut deadline = None;
        let mut state = self.state.lock();
        while state.is_looking_up() && state.known.is_empty() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + patience);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LookupError::TimedOut);
            }
            state = self.look_up_done.wait_timeout(state, left);
        }
        if !state.is_looking_up() && state.is_due(clock()) {
            state.looking_up_in = Some(fork::generation());
            drop(state);
            let answer = look_up(&self.name, self.port);
            state = self.state.lock();
            if state.learn(answer, clock()) {
                self.have_changed.store(true, Ordering::Relaxed);
                CHANGES.fetch_add(1, Ordering::Release);
            }
            self.look_up_done.notify_all();
        }
        state.answer()
    }
}

impl State {
    fn is_looking_up(&self) -> bool {
        self.looking_up_in == Some(fork::generation())
    }

    fn is_due(&self, now: Moment) -> bool {
        self.checked == Moment::default() || self.checked.after(LOOKUP_INTERVAL) <= now
    }

    /// True if the addresses are others than before.
    fn learn(&mut self, answer: Result<Vec<SocketAddr>, LookupError>, now: Moment) -> bool {
        self.looking_up_in = None;
        match answer {
            Ok(addresses) => {
                self.failure = None;
                self.preferred = None;
                self.checked = now;
                let is_other = !self.known.is_empty() && *self.known != *addresses;
                self.known = addresses.into();
                return is_other;
            }
            // Out of descriptors or memory: that says nothing about the name, the next call may ask.
            Err(LookupError::Local(fault)) => self.failure = Some(LookupError::Local(fault)),
            Err(failure) => {
                self.failure = Some(failure);
                self.checked = now;
            }
        }
        false
    }

    fn answer(&self) -> Result<Arc<[SocketAddr]>, LookupError> {
        match &self.failure {
            Some(failure) if self.known.is_empty() => Err(failure.clone()),
            _ => Ok(Arc::clone(self.in_order())),
        }
    }

    fn in_order(&self) -> &Arc<[SocketAddr]> {
        self.preferred.as_ref().unwrap_or(&self.known)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(1000 + seconds))
    }

    const LONG: Duration = Duration::from_secs(10);

    fn one(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, last], 80))]
    }

    fn unknown() -> LookupError {
        LookupError::Resolver("unknown".to_owned())
    }

    #[test]
    fn a_literal_is_never_looked_up() {
        for (text, port) in [("127.0.0.1", 80), ("::1", 81)] {
            let addresses = Addresses::new(text, port);
            let found = addresses.current_from(|| at(0), LONG, |_, _| panic!("looked up")).unwrap();
            assert_eq!(*found, [SocketAddr::new(text.parse().unwrap(), port)]);
        }
    }

    #[test]
    fn a_name_is_looked_up_once_an_interval() {
        let addresses = Addresses::new("name", 80);
        let count = Cell::new(0);
        for second in 0..=10 {
            let found = addresses.current_from(
                || at(second),
                LONG,
                |_, _| {
                    count.set(count.get() + 1);
                    Ok(one(1))
                },
            );
            assert_eq!(*found.unwrap(), *one(1));
        }
        assert_eq!(count.get(), 3, "at seconds 0, 5 and 10");
        assert!(!addresses.have_changed(), "the answer was the same");
    }

    #[test]
    fn other_addresses_are_noticed() {
        let addresses = Addresses::new("name", 80);
        addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).unwrap();
        let found = addresses.current_from(|| at(5), LONG, |_, _| Ok(one(2))).unwrap();
        assert_eq!(*found, *one(2));
        assert!(addresses.have_changed());
    }

    #[test]
    fn what_came_through_is_tried_first_until_the_next_look_up() {
        let addresses = Addresses::new("name", 80);
        let three: Vec<SocketAddr> = (1..=3).flat_map(one).collect();
        let current = |second| addresses.current_from(|| at(second), LONG, |_, _| Ok(three.clone())).unwrap();
        assert_eq!(*current(0), *three);
        addresses.came_through(three[1]);
        assert_eq!(*current(1), [three[1], three[2], three[0]]);
        addresses.came_through(three[1]);
        addresses.came_through("127.0.0.9:80".parse().unwrap());
        assert_eq!(*current(2), [three[1], three[2], three[0]]);
        assert_eq!(*addresses.known(), *three, "the host is known by the first");
        assert_eq!(*current(5), *three);
        assert!(!addresses.have_changed());
    }

    #[test]
    fn a_failed_look_up_keeps_the_last_addresses() {
        let addresses = Addresses::new("name", 80);
        addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).unwrap();
        let found = addresses.current_from(|| at(9), LONG, |_, _| Err(unknown()));
        assert_eq!(*found.unwrap(), *one(1));
    }

    #[test]
    fn a_failure_is_remembered_for_an_interval() {
        let addresses = Addresses::new("name", 80);
        assert!(addresses.current_from(|| at(0), LONG, |_, _| Err(unknown())).is_err());
        assert!(addresses.current_from(|| at(4), LONG, |_, _| Ok(one(1))).is_err());
        assert!(addresses.current_from(|| at(5), LONG, |_, _| Ok(one(1))).is_ok());
    }

    #[test]
    fn a_local_fault_is_not_held_against_the_name() {
        let addresses = Addresses::new("name", 80);
        let fault = addresses.current_from(|| at(0), LONG, |_, _| Err(LookupError::Local(Error::System)));
        assert!(matches!(fault, Err(LookupError::Local(Error::System))));
        assert!(addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).is_ok());
    }

    #[test]
    fn one_thread_looks_up_while_the_others_use_what_is_known() {
        let addresses = Addresses::new("name", 80);
        addresses.current_from(|| at(0), LONG, |_, _| Ok(one(1))).unwrap();
        let found = addresses.current_from(
            || at(5),
            LONG,
            |_, _| {
                let meanwhile = addresses.current_from(|| at(5), LONG, |_, _| panic!("a second"));
                assert_eq!(*meanwhile.unwrap(), *one(1));
                Ok(one(2))
            },
        );
        assert_eq!(*found.unwrap(), *one(2));
    }

    #[test]
    fn with_nothing_known_the_others_wait_but_not_for_ever() {
        let addresses = Addresses::new("name", 80);
        let found = addresses.current_from(
            || at(0),
            LONG,
            |_, _| {
                let meanwhile = addresses.current_from(|| at(0), Duration::ZERO, |_, _| panic!("a second"));
                assert!(matches!(meanwhile, Err(LookupError::TimedOut)));
                Ok(one(1))
            },
        );
        assert!(found.is_ok());
    }

    #[test]
    fn the_system_knows_localhost() {
        let found = Addresses::new("localhost", 80).current(LONG).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(!found.is_empty());
    }
}
