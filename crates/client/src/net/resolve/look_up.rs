//! The look-ups that are under way in this process.
//!
//! getaddrinfo(3) has no deadline, and cannot be interrupted. So it runs in a thread of its own, and those who want the
//! answer wait for it as long as they like. The thread takes no other work than look-ups, and ends when there is none
//! left. A name is looked up once at a time, whoever asks for it.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::net::SocketAddr;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use super::{Addresses, LookupError};
use crate::net::host_name::HostName;
use crate::os::fork;
use crate::os::lock::{Condvar, Futex, Guard, Lock};
use crate::os::sys::resolver::{self, ResolverError};
use crate::os::sys::{self, Event, Switch};
use crate::status::{Error, local_fault};

/// The largest number of threads. A name server that is dead keeps each for half a minute or so.
const MOST_THREADS: usize = 64;

/// The largest number of look-ups that wait for a thread.
const MOST_WAITING: usize = 1024;

/// On if each look-up is made in the thread that asks for it.
static IN_CALLER: Switch = Switch::new("DPLX_LOOK_UP", "caller");

/// The answer of the resolver: addresses without a port, each once.
pub type Answer = Result<Vec<SocketAddr>, LookupError>;

/// A look-up under way.
pub struct LookUp {
    name: CString,
    /// The process that it runs in ([`fork::generation`]). In a child it never ends.
    generation: u32,
    has_begun: AtomicBool,
    end: Lock<End>,
    ended: Condvar,
}

#[derive(Default)]
struct End {
    is_over: bool,
    /// The event for those who wait by poll(2). They keep it.
    event: Weak<Event>,
}

/// The look-ups of a process.
struct UnderWay {
    /// The process ([`fork::generation`]).
    generation: u32,
    /// The number of threads.
    threads: usize,
    /// Those among them that have not looked for work yet.
    starting: usize,
    /// The oldest first.
    shared: Vec<Shared>,
}

/// A look-up, and those who have asked for it.
struct Shared {
    look_up: Arc<LookUp>,
    askers: Vec<Weak<Addresses>>,
}

static UNDER_WAY: Lock<UnderWay> = Lock::new(UnderWay::in_process(0));

impl UnderWay {
    const fn in_process(generation: u32) -> UnderWay {
        UnderWay { generation, threads: 0, starting: 0, shared: Vec::new() }
    }

    /// Locks the look-ups of this process. A forked child begins with none.
    fn lock() -> Guard<'static, Futex, UnderWay> {
        let mut under_way = UNDER_WAY.lock();
        if under_way.generation != fork::generation() {
            *under_way = UnderWay::in_process(fork::generation());
        }
        under_way
    }

    /// Takes out the oldest look-up that has not begun. Those that nobody wants any more are forgotten.
    fn next(&mut self) -> Option<Arc<LookUp>> {
        self.shared.retain(|Shared { look_up, askers }| {
            look_up.has_begun() || askers.iter().any(|asker| asker.strong_count() > 0)
        });
        let next = self.shared.iter().find(|shared| shared.look_up.begin())?;
        Some(Arc::clone(&next.look_up))
    }

    /// Joins the look-up of a name, or adds one. `asker` gets the answer.
    fn ask(&mut self, name: &HostName, asker: Weak<Addresses>) -> Result<Asked, LookupError> {
        let same = self.shared.iter_mut().find(|shared| *shared.look_up.name == *name.written());
        let look_up = if let Some(same) = same {
            same.askers.push(asker);
            Arc::clone(&same.look_up)
        } else if self.threads >= MOST_THREADS && self.shared.len() >= MOST_THREADS + MOST_WAITING {
            return Err(LookupError::Crowded);
        } else {
            let look_up = LookUp::new(name, self.generation);
            self.shared.push(Shared { look_up: Arc::clone(&look_up), askers: vec![asker] });
            look_up
        };
        let needs_thread = !look_up.has_begun() && self.lacks_thread();
        if needs_thread {
            (self.threads, self.starting) = (self.threads + 1, self.starting + 1);
        }
        Ok(Asked { look_up, needs_thread })
    }

    /// True if more look-ups wait than threads are about to begin one, and there may be another thread.
    fn lacks_thread(&self) -> bool {
        let waiting = self.shared.iter().filter(|shared| !shared.look_up.has_begun()).count();
        self.threads < MOST_THREADS && self.starting < waiting
    }

    // A module of the resolver may fork: then the child has a thread of the parent, and counts none.

    fn thread_has_started(&mut self) {
        self.starting = self.starting.saturating_sub(1);
    }

    fn end_thread(&mut self) {
        self.threads = self.threads.saturating_sub(1);
    }

    fn has_no_thread(&mut self) {
        self.thread_has_started();
        self.end_thread();
    }
}

/// A look-up that was asked for. [`Asked::go_on`] is to be called when no lock is held.
#[must_use]
pub struct Asked {
    /// The look-up.
    pub look_up: Arc<LookUp>,
    needs_thread: bool,
}

/// Asks for a look-up. `asker` gets the answer before anybody is woken. Fails if too many names wait.
pub fn ask(name: &HostName, asker: Weak<Addresses>) -> Result<Asked, LookupError> {
    UnderWay::lock().ask(name, asker)
}

impl Asked {
    /// Starts a thread for the look-up, if it needs one. Without a thread, or if the environment wants that, the caller
    /// makes the look-up itself, however long that takes.
    pub fn go_on(self) {
        self.go_on_in(IN_CALLER.is_on());
    }

    fn go_on_in(self, in_caller: bool) {
        if !in_caller && (!self.needs_thread || sys::start_thread(run_all).is_ok()) {
            return;
        }
        if self.needs_thread {
            UnderWay::lock().has_no_thread();
        }
        if self.look_up.begin() {
            sys::without_cancellation(|| self.look_up.run());
        }
    }
}

/// The work of a thread: makes look-ups until none is left.
fn run_all() {
    fork::be_helper();
    let _thread = CountedThread;
    UnderWay::lock().thread_has_started();
    loop {
        let next = {
            let mut under_way = UnderWay::lock();
            let next = under_way.next();
            if next.is_none() {
                // Under the lock: a look-up that comes later finds one thread less.
                under_way.end_thread();
            }
            next
        };
        match next {
            Some(look_up) => look_up.run(),
            None => return,
        }
    }
}

/// A thread in the count of threads. It leaves the count after its last look-up, or by a panic.
struct CountedThread;

impl Drop for CountedThread {
    fn drop(&mut self) {
        if thread::panicking() {
            UnderWay::lock().end_thread();
        }
    }
}

/// A look-up that has begun. It ends when this is dropped, so that a panic ends it too.
struct Running<'a> {
    look_up: &'a LookUp,
    answer: Answer,
}

impl Running<'_> {
    fn begin(look_up: &LookUp) -> Running<'_> {
        Running { look_up, answer: Err(LookupError::Local(Error::System)) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let askers = self.look_up.leave();
        for asker in askers.iter().filter_map(Weak::upgrade) {
            asker.learn(self.answer.clone());
        }
        self.look_up.finish();
    }
}

impl LookUp {
    fn new(name: &HostName, generation: u32) -> Arc<LookUp> {
        Arc::new(LookUp {
            name: name.written().to_owned(),
            generation,
            has_begun: AtomicBool::new(false),
            end: Lock::default(),
            ended: Condvar::default(),
        })
    }

    /// A look-up that is not among those of the process, and that only [`Addresses::end`] ends.
    #[cfg(test)]
    pub fn idle(name: &HostName) -> Arc<LookUp> {
        LookUp::new(name, fork::generation())
    }

    fn run(&self) {
        let mut running = Running::begin(self);
        running.answer = addresses_of(&self.name);
    }

    /// Takes it out of those under way. Nobody can join it any more. Returns those who have.
    fn leave(&self) -> Vec<Weak<Addresses>> {
        let mut under_way = UnderWay::lock();
        let place = under_way.shared.iter().position(|shared| ptr::eq(&*shared.look_up, self));
        place.map(|place| under_way.shared.remove(place).askers).unwrap_or_default()
    }

    pub(super) fn finish(&self) {
        let event = {
            let mut end = self.end.lock();
            end.is_over = true;
            end.event.upgrade()
        };
        self.ended.notify_all();
        if let Some(event) = event {
            event.set();
        }
    }

    /// Marks it as begun. True for one caller.
    fn begin(&self) -> bool {
        !self.has_begun.swap(true, Ordering::Relaxed)
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// True while it is under way in this process.
    pub fn is_under_way(&self) -> bool {
        self.generation == fork::generation() && !self.is_over()
    }

    /// True once it has ended. Those who asked have the answer then.
    pub fn is_over(&self) -> bool {
        self.end.lock().is_over
    }

    /// Waits for its end. False if it has not ended by the deadline.
    pub fn wait(&self, deadline: Instant) -> bool {
        let mut end = self.end.lock();
        while !end.is_over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            end = self.ended.wait_timeout(end, left);
        }
        true
    }

    /// Returns an event that is ready once it has ended.
    pub fn event(&self) -> io::Result<Arc<Event>> {
        if let Some(event) = self.end.lock().event.upgrade() {
            return Ok(event);
        }
        let fresh = Arc::new(Event::new()?);
        let mut end = self.end.lock();
        // Another thread may have made one meanwhile. Whoever has `fresh` then waits for the earlier one.
        let event = end.event.upgrade().unwrap_or_else(|| Arc::clone(&fresh));
        end.event = Arc::downgrade(&event);
        let is_over = end.is_over;
        drop(end);
        if is_over && Arc::ptr_eq(&event, &fresh) {
            event.set();
        }
        Ok(event)
    }

    /// Forgets an event that does not work any more: the program has closed its descriptor.
    pub fn forget_event(&self, lost: &Arc<Event>) {
        let mut end = self.end.lock();
        if Weak::ptr_eq(&end.event, &Arc::downgrade(lost)) {
            end.event = Weak::new();
        }
    }

    /// Returns the error of a caller for whom it has not ended in time.
    pub fn too_late(&self) -> LookupError {
        if self.has_begun() { LookupError::TimedOut } else { LookupError::Crowded }
    }
}

/// Asks the system's resolver for the addresses of a name.
pub fn addresses_of(name: &CStr) -> Answer {
    let found = {
        let _call = fork::ResolverCall::enter();
        resolver::addresses(name)
    };
    let found = found.map_err(|error| match error {
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

#[cfg(test)]
mod tests;
