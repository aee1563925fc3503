//! The addresses of a host name: looked up before a new connection, kept for a few seconds, and kept
//! for as long as nothing better is known.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::net::host_name::HostName;
use crate::os::clock::Moment;
use crate::os::fork;
use crate::os::lock::{Condvar, Lock};
use crate::os::sys::{self, resolver};
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
fn look_up(name: &HostName, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let found = resolver::addresses(name.written(), port).map_err(|failure| match failure {
        resolver::Failure::Resolver(text) => LookupError::Resolver(text),
        resolver::Failure::OutOfMemory => LookupError::Local(Error::OutOfMemory),
        resolver::Failure::System(error) => match local_fault(&error) {
            Some(fault) => LookupError::Local(fault),
            None => LookupError::Resolver(sys::error_text(&error)),
        },
    })?;
    let mut distinct: Vec<SocketAddr> = Vec::new();
    for address in found.into_iter().map(canonical) {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    if distinct.is_empty() {
        return Err(LookupError::Resolver("neither an IPv4 nor an IPv6 address".to_owned()));
    }
    Ok(distinct)
}

/// An address of IPv4 that is mapped to IPv6 is one of IPv4: that is what the packets carry.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// Whether both have the same addresses. Their order means nothing: name servers turn it from answer to answer
/// (RFC 1794).
fn is_same_set(one: &[SocketAddr], other: &[SocketAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// A name with a port, and the addresses known for it.
pub struct Addresses {
    name: HostName,
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
    pub fn new(name: HostName, port: u16) -> Addresses {
        let literal = name.literal().map(|address| SocketAddr::new(address, port));
        let checked = if literal.is_some() { Moment::NEVER } else { Moment::default() };
        let known = literal.into_iter().collect();
        Addresses {
            name,
            port,
            literal,
            state: Lock::new(State { known, preferred: None, checked, failure: None, looking_up_in: None }),
            look_up_done: Condvar::default(),
            have_changed: AtomicBool::new(false),
        }
    }

    /// As [`Addresses::new`], for tests.
    #[cfg(test)]
    pub fn of(name: &str, port: u16) -> Addresses {
        let name = std::ffi::CString::new(name).unwrap();
        Addresses::new(HostName::new(&name).unwrap(), port)
    }

    /// For a name whose addresses are known already.
    pub fn with_known(name: HostName, addresses: Vec<SocketAddr>, port: u16) -> Addresses {
        let fresh = Addresses::new(name, port);
        if fresh.literal.is_none() && !addresses.is_empty() {
            fresh.state.lock().learn(Ok(addresses), Moment::now());
        }
        fresh
    }

    /// The name that they are the addresses of.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// The port of every address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The addresses known so far, without a look-up; none before the first.
    pub fn known(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.state.lock().known)
    }

    /// A connect to this address came through: until the next look-up it is tried before those that did
    /// not.
    pub fn succeeded(&self, address: SocketAddr) {
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
        look_up: impl Fn(&HostName, u16) -> Result<Vec<SocketAddr>, LookupError>,
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
            match state.learn(answer, clock()) {
                Change::None => {}
                Change::First => _ = CHANGES.fetch_add(1, Ordering::Release),
                Change::Other => {
                    self.have_changed.store(true, Ordering::Relaxed);
                    CHANGES.fetch_add(1, Ordering::Release);
                }
            }
            self.look_up_done.notify_all();
        }
        state.answer()
    }
}

/// What a look-up has changed.
enum Change {
    /// Nothing that was seen before.
    None,
    /// There is an address, for the first time since there was none.
    First,
    /// The addresses are others than before.
    Other,
}

impl State {
    fn is_looking_up(&self) -> bool {
        self.looking_up_in == Some(fork::generation())
    }

    fn is_due(&self, now: Moment) -> bool {
        self.checked == Moment::default() || self.checked.after(LOOKUP_INTERVAL) <= now
    }

    fn learn(&mut self, answer: Result<Vec<SocketAddr>, LookupError>, now: Moment) -> Change {
        self.looking_up_in = None;
        match answer {
            Ok(addresses) => {
                let change = match (self.known.is_empty(), self.failure.take()) {
                    (true, None) => Change::None,
                    (true, Some(_)) => Change::First,
                    (false, _) if is_same_set(&self.known, &addresses) => Change::None,
                    (false, _) => Change::Other,
                };
                self.preferred = None;
                self.checked = now;
                self.known = addresses.into();
                return change;
            }
            // Out of descriptors or memory: that says nothing about the name, the next call may ask.
            Err(LookupError::Local(fault)) => self.failure = Some(LookupError::Local(fault)),
            Err(failure) => {
                self.failure = Some(failure);
                self.checked = now;
            }
        }
        Change::None
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
mod tests;
