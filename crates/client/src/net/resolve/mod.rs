//! The addresses of a host name. They are looked up before a new connection, and kept for a few seconds. Nobody waits
//! for a look-up while there are addresses from an earlier one; if it fails, they stay in use.
#![forbid(unsafe_code)]

mod look_up;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::net::host_name::HostName;
use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::status::Error;

pub use look_up::LookUp;
use look_up::{Answer, addresses_of};

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
    /// It did not end in time.
    TimedOut,
    /// It did not begin in time, because too many look-ups of other names are under way.
    Crowded,
}

impl LookupError {
    /// The error for the caller if this side lacks something, so that the name server is not at fault.
    pub fn local_fault(&self) -> Option<Error> {
        match self {
            LookupError::Local(error) => Some(*error),
            LookupError::Crowded => Some(Error::System),
            LookupError::Resolver(_) | LookupError::TimedOut => None,
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::Resolver(text) => f.write_str(text),
            LookupError::Local(error) => write!(f, "name look-up failed: {error}"),
            LookupError::TimedOut => f.write_str("name look-up timed out"),
            LookupError::Crowded => f.write_str("too many look-ups of other names are under way"),
        }
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
    /// The look-up that was begun last.
    look_up: Option<Arc<LookUp>>,
}

/// The addresses to connect to, and the look-up that may change them.
pub struct Current {
    /// The addresses, the preferred one first. Empty if only the look-up can tell.
    pub addresses: Arc<[SocketAddr]>,
    /// The look-up that is under way, if there is one.
    pub look_up: Option<Arc<LookUp>>,
}

impl Addresses {
    /// Makes the addresses of a name that has not been looked up yet, or of a literal address, which never is.
    pub fn new(name: HostName, port: u16) -> Arc<Addresses> {
        let literal = name.literal().map(|address| SocketAddr::new(address, port));
        let checked = if literal.is_some() { Moment::NEVER } else { Moment::default() };
        let known = literal.into_iter().collect();
        let state = State { known, preferred: None, checked, error: None, look_up: None };
        let have_changed = AtomicBool::new(false);
        Arc::new(Addresses { name, port, literal, state: Lock::new(state), have_changed })
    }

    /// As [`Addresses::new`], from a text.
    #[cfg(test)]
    pub fn of(name: &str, port: u16) -> Arc<Addresses> {
        let name = std::ffi::CString::new(name).unwrap();
        Addresses::new(HostName::new(&name).unwrap(), port)
    }

    /// Ends a look-up with an answer.
    #[cfg(test)]
    pub fn end(&self, look_up: &LookUp, answer: Answer) {
        self.learn(answer);
        look_up.finish();
    }

    /// Makes the addresses of a name for which a look-up has returned them already.
    pub fn with_known(name: HostName, addresses: Vec<SocketAddr>, port: u16) -> Arc<Addresses> {
        let fresh = Addresses::new(name, port);
        if fresh.literal.is_none() && !addresses.is_empty() {
            fresh.learn_at(Ok(addresses), Moment::now());
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

    /// Begins a look-up if the last one is too long ago and none is under way. Does not wait for its end, unless no
    /// thread can be had for it.
    pub fn begin_look_up(self: &Arc<Self>) {
        let now = Moment::now();
        let asked = {
            let mut state = self.state.lock();
            if !state.is_due(now) {
                return;
            }
            // An address with a zone, for which no name server is asked.
            if self.name.address().is_some() {
                None
            } else {
                match look_up::ask(&self.name, Arc::downgrade(self)) {
                    Ok(asked) => {
                        state.look_up = Some(Arc::clone(&asked.look_up));
                        Some(asked)
                    }
                    Err(error) => return state.error = Some(error),
                }
            }
        };
        match asked {
            Some(asked) => asked.go_on(),
            None => self.learn(addresses_of(self.name.written())),
        }
    }

    /// Returns the addresses to connect to, without waiting for a look-up. Begins one if it is due. Fails if no address
    /// is known and no look-up is under way.
    pub fn current(self: &Arc<Self>) -> Result<Current, LookupError> {
        self.begin_look_up();
        let state = self.state.lock();
        let look_up = state.look_up_under_way().cloned();
        if look_up.is_some() && state.known.is_empty() {
            return Ok(Current { addresses: Arc::default(), look_up });
        }
        Ok(Current { addresses: state.answer()?, look_up })
    }

    /// Returns the answer of the last look-up that has ended.
    pub fn answer(&self) -> Result<Arc<[SocketAddr]>, LookupError> {
        self.state.lock().answer()
    }

    /// Returns the addresses to connect to. If none is known, waits for a look-up, until the deadline.
    pub fn wait(self: &Arc<Self>, deadline: Instant) -> Result<Arc<[SocketAddr]>, LookupError> {
        let Current { addresses, look_up } = self.current()?;
        match look_up {
            Some(look_up) if addresses.is_empty() => {
                if look_up.wait(deadline) {
                    self.answer()
                } else {
                    Err(look_up.too_late())
                }
            }
            _ => Ok(addresses),
        }
    }

    /// Takes the answer of a look-up in.
    fn learn(&self, answer: Answer) {
        self.learn_at(answer, Moment::now());
    }

    fn learn_at(&self, answer: Answer, now: Moment) {
        let with_port = |mut address: SocketAddr| {
            address.set_port(self.port);
            address
        };
        let answer = answer.map(|addresses| addresses.into_iter().map(with_port).collect());
        let change = self.state.lock().learn(answer, now);
        match change {
            Change::None => {}
            Change::First => _ = CHANGES.fetch_add(1, Ordering::Release),
            Change::Other => {
                self.have_changed.store(true, Ordering::Relaxed);
                CHANGES.fetch_add(1, Ordering::Release);
            }
        }
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
    fn look_up_under_way(&self) -> Option<&Arc<LookUp>> {
        self.look_up.as_ref().filter(|look_up| look_up.is_under_way())
    }

    fn is_due(&self, now: Moment) -> bool {
        let is_old = self.checked == Moment::default() || self.checked.after(LOOKUP_INTERVAL) <= now;
        is_old && self.look_up_under_way().is_none()
    }

    fn learn(&mut self, answer: Result<Arc<[SocketAddr]>, LookupError>, now: Moment) -> Change {
        self.look_up = None;
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
                self.known = addresses;
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
