//! The simulated world: its clock, what is going to happen, its threads, files, servers and names.

use std::cell::UnsafeCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::faults::Faults;
use crate::files::Files;
use crate::names::Names;
use crate::network::{Event, Socket};
use crate::program::Program;
use crate::real::{self, really};
use crate::servers::Server;
use crate::threads::{Thread, Time};

/// The wall clock at the beginning.
const BEGIN_OF_WALL_CLOCK: i64 = 1_800_000_000;

/// The world of one history.
pub struct World {
    /// The monotonic time.
    pub now: Time,
    /// The wall clock in seconds at time 0.
    pub wall_clock: i64,
    /// The source of all decisions that a history does not state.
    pub random: fastrand::Rng,
    /// The threads. The first one is the driver.
    pub threads: Vec<Thread>,
    /// The number of the thread that runs.
    pub running: usize,
    /// Open files.
    pub files: Files,
    /// All sockets, open and closed.
    pub sockets: Vec<Socket>,
    /// The servers.
    pub servers: Vec<Server>,
    /// The name server.
    pub names: Names,
    /// Faults of the local system.
    pub faults: Faults,
    /// The program under test, and what it may expect.
    pub program: Program,
    /// True in a forked child.
    pub is_child: bool,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    events_so_far: u64,
    shows_trace: bool,
}

struct Global(UnsafeCell<Option<World>>);

// SAFETY: only the thread whose turn it is uses the world.
unsafe impl Sync for Global {}

static WORLD: Global = Global(UnsafeCell::new(None));

/// Makes the world of this process.
pub fn create(seed: u64, servers: Vec<Server>, names: Names, program: Program, shows_trace: bool) {
    let world = World {
        now: 1_000_000_000,
        wall_clock: BEGIN_OF_WALL_CLOCK,
        random: fastrand::Rng::with_seed(seed),
        threads: vec![Thread::new(false)],
        running: 0,
        files: Files::default(),
        sockets: Vec::new(),
        servers,
        names,
        faults: Faults::default(),
        program,
        is_child: false,
        events: BinaryHeap::new(),
        events_so_far: 0,
        shows_trace,
    };
    // SAFETY: there is one thread so far.
    unsafe { *WORLD.0.get() = Some(world) };
}

/// Accesses the world. The body does not wait and calls nothing of the library.
pub fn with<T>(body: impl FnOnce(&mut World) -> T) -> T {
    really(|| {
        // SAFETY: only the thread whose turn it is comes here, and the body neither hands the turn over nor comes here
        // again.
        let world = unsafe { (*WORLD.0.get()).as_mut() };
        body(world.expect("a world"))
    })
}

impl World {
    /// Has something happen after a delay.
    pub fn after(&mut self, delay: Time, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Has something happen at a time.
    pub fn at(&mut self, time: Time, event: Event) {
        self.events_so_far += 1;
        self.events.push(Reverse((time, self.events_so_far, event)));
    }

    /// Returns the time of the next event.
    pub fn next_event(&self) -> Option<Time> {
        self.events.peek().map(|Reverse((time, ..))| *time)
    }

    /// Lets everything happen whose time has come.
    pub fn happen(&mut self) {
        while self.next_event().is_some_and(|time| time <= self.now) {
            if let Some(Reverse((_, _, event))) = self.events.pop() {
                self.handle(event);
            }
        }
    }

    /// Forgets what was going to happen: in a forked child, whose copies of sockets lead nowhere.
    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    /// Returns the wall clock in nanoseconds.
    pub fn wall_clock_nanoseconds(&self) -> i64 {
        self.wall_clock * 1_000_000_000 + self.now as i64
    }

    /// Prints a line of the trace.
    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.shows_trace {
            let child = if self.is_child { " child" } else { "" };
            eprintln!("{:>12.6} {}{child}: {}", self.now as f64 / 1e9, self.running, line());
        }
    }
}

/// The descriptor that reports go to.
pub const REPORT: i32 = 3000;

/// Reports that something happened which must not, and ends the process.
pub fn violation(text: &str) -> ! {
    real::really(|| {
        let line = format!("{text}\n");
        let pointer = line.as_ptr() as i64;
        real::system_call(libc::SYS_write, [REPORT.into(), pointer, line.len() as i64, 0, 0, 0]);
        // SAFETY: it ends the process.
        unsafe { libc::_exit(1) }
    })
}
