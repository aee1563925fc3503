//! The addresses of a host name. They are looked up before a new connection, and kept for a few seconds. If a look-up
//! fails, those of the last successful one stay in use.
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
use crate::os::sys;
use crate::os::sys::resolver::{self, ResolverError};
use crate::status::{Error, local_fault};

/// The shortest time between two look-ups of a name.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// The number of look-ups, of any name, that returned other addresses than the look-up before.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Returns the number of times that the addresses of a name have changed.
pub fn changes() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// A failed look-up.
#[derive(Clone, Debug)]
pub enum LookupError {
    /// The resolver found no address. The text is the resolver's.
    Resolver(String),
    /// This machine could not ask, for lack of memory or descriptors.
    Local(Error),
    /// Another thread's look-up of this name did not end in time.
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

/// Asks the system's resolver for the addresses of a name.
fn look_up(name: &HostName, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let found = resolver::addresses(name.written(), port).map_err(|error| match error {
        ResolverError::NotFound(text) => LookupError::Resolver(text),
        ResolverError::OutOfMemory => LookupError::Local(Error::OutOfMemory),
        ResolverError::System(error) => match local_fault(&error) {
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

/// Turns an IPv4 address that is mapped to IPv6 into the IPv4 address, which is what the packets carry.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// True if both have the same addresses, in any order: name servers change the order from answer to answer (RFC
/// 1794).
fn is_same_set(one: &[SocketAddr], other: &[SocketAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// A name with a port, and its addresses as far as they are known.
pub struct Addresses {
    name: HostName,
    port: u16,
    literal: Option<SocketAddr>,
    state: Lock<State>,
    look_up_done: Condvar,
    /// True once a look-up has returned other addresses than the look-up before.
    have_changed: AtomicBool,
}

struct State {
    known: Arc<[SocketAddr]>,
    /// The same addresses, with those that accepted a connection first. `None` if the first one did.
    preferred: Option<Arc<[SocketAddr]>>,
    /// The end of the last look-up. `Moment::NEVER` for a literal address, which needs none.
    checked: Moment,
    /// The error of the last look-up, if it failed.
    error: Option<LookupError>,
    /// The process in which a thread is looking the name up, by [`fork::generation`]. A child must not wait for a
    /// thread of its parent.
    looking_up_in: Option<u32>,
}

impl Addresses {
    /// Makes the addresses of a name that has not been looked up yet, or of a literal address, which never is.
    pub fn new(name: HostName, port: u16) -> Addresses {
        let literal = name.literal().map(|address| SocketAddr::new(address, port));
        let checked = if literal.is_some() { Moment::NEVER } else { Moment::default() };
        let known = literal.into_iter().collect();
        Addresses {
            name,
            port,
            literal,
            state: Lock::new(State { known, preferred: None, checked, error: None, looking_up_in: None }),
            look_up_done: Condvar::default(),
            have_changed: AtomicBool::new(false),
        }
    }

    /// As [`Addresses::new`], from a text.
    #[cfg(test)]
    pub fn of(name: &str, port: u16) -> Addresses {
        let name = std::ffi::CString::new(name).unwrap();
        Addresses::new(HostName::new(&name).unwrap(), port)
    }

    /// Makes the addresses of a name for which a look-up has returned them already.
    pub fn with_known(name: HostName, addresses: Vec<SocketAddr>, port: u16) -> Addresses {
        let fresh = Addresses::new(name, port);
        if fresh.literal.is_none() && !addresses.is_empty() {
            fresh.state.lock().learn(Ok(addresses), Moment::now());
        }
        fresh
    }

    /// Returns the name.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// Returns the port of every address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the addresses known so far, without a look-up. Empty before the first one.
    pub fn known(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.state.lock().known)
    }

    /// Notes that a connect to this address succeeded. It comes first until the next look-up.
    pub fn succeeded(&self, address: SocketAddr) {
        let mut state = self.state.lock();
        let place = state.in_order().iter().position(|known| *known == address);
        if let Some(place @ 1..) = place {
            let mut order = state.in_order().to_vec();
            order.rotate_left(place);
            state.preferred = Some(order.into());
        }
    }

    /// True if the addresses have ever changed. If not, every connection of the name leads to one of them.
    #[inline]
    pub fn have_changed(&self) -> bool {
        self.have_changed.load(Ordering::Relaxed)
    }

    /// Returns the addresses to connect to, and looks them up if the last look-up is too long ago.
    ///
    /// While one thread looks a name up, others use the known addresses. If none are known they wait, at most for the
    /// timeout.
    pub fn current(&self, timeout: Duration) -> Result<Arc<[SocketAddr]>, LookupError> {
        self.current_from(Moment::now, timeout, look_up)
    }

    fn current_from(
        &self,
        clock: impl Fn() -> Moment,
        timeout: Duration,
        look_up: impl Fn(&HostName, u16) -> Result<Vec<SocketAddr>, LookupError>,
    ) -> Result<Arc<[SocketAddr]>, LookupError> {
        let mut deadline = None;
        let mut state = self.state.lock();
        while state.is_looking_up() && state.known.is_empty() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + timeout);
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
            let answer = state.answer();
            // Unlocked first, so that the threads that wake up need not wait for the lock.
            drop(state);
            self.look_up_done.notify_all();
            return answer;
        }
        state.answer()
    }
}

/// The effect of a look-up.
enum Change {
    /// The addresses are the same, or there are none, or nobody has asked before.
    None,
    /// There are addresses, after a look-up that found none.
    First,
    /// The addresses differ from those before.
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
                let change = match (self.known.is_empty(), self.error.take()) {
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
            // Says nothing about the name, so that the next call may ask again.
            Err(LookupError::Local(error)) => self.error = Some(LookupError::Local(error)),
            Err(error) => {
                self.error = Some(error);
                self.checked = now;
            }
        }
        Change::None
    }

    fn answer(&self) -> Result<Arc<[SocketAddr]>, LookupError> {
        match &self.error {
            Some(error) if self.known.is_empty() => Err(error.clone()),
            _ => Ok(Arc::clone(self.in_order())),
        }
    }

    fn in_order(&self) -> &Arc<[SocketAddr]> {
        self.preferred.as_ref().unwrap_or(&self.known)
    }
}

#[cfg(test)]
mod tests;
