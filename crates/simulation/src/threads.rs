//! The simulated threads. One of them runs at a time; it hands over to another one where it waits, and at random system
//! calls. Each is a real thread, so that what the library keeps for a thread is as in a real process.

use std::ffi::{c_int, c_short};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::real::{self, really};
use crate::world::{World, violation, with};

/// The thread that issues the steps of a history.
pub const DRIVER: usize = 0;

/// A time in nanoseconds of the simulated clock.
pub type Time = u64;

/// One microsecond.
pub const MICROSECOND: Time = 1_000;
/// One millisecond.
pub const MILLISECOND: Time = 1_000_000;
/// One second.
pub const SECOND: Time = 1_000_000_000;

/// The event that a thread waits for.
#[derive(Debug)]
pub enum What {
    /// Nothing but the time.
    Time,
    /// poll(2): descriptors and events.
    Poll(Vec<(c_int, c_short)>),
    /// futex(2): the address of the word.
    Futex(usize),
    /// The next operation of a program's thread.
    Job,
    /// The driver waits until one of the program's threads has nothing to do.
    IdleThread,
    /// The driver waits until none of the program's threads has anything to do.
    AllIdle,
}

/// The state of a thread.
#[derive(Debug)]
pub enum State {
    /// It can run.
    Ready,
    /// It waits, at most until the time.
    Waiting(What, Option<Time>),
    /// It has ended.
    Ended,
}

/// A simulated thread.
pub struct Thread {
    /// Its state.
    pub state: State,
    /// 1 when it may run.
    turn: &'static AtomicU32,
    /// True for a thread of the program, which gets jobs.
    pub is_program: bool,
    /// True while it has a job.
    pub is_busy: bool,
}

impl Thread {
    /// A thread that does not run yet.
    pub fn new(is_program: bool) -> Thread {
        let turn = Box::leak(Box::new(AtomicU32::new(0)));
        let state = if is_program { State::Waiting(What::Job, None) } else { State::Ready };
        Thread { state, turn, is_program, is_busy: false }
    }
}

impl World {
    fn can_run(&self, thread: &Thread) -> bool {
        let State::Waiting(what, until) = &thread.state else { return matches!(thread.state, State::Ready) };
        if until.is_some_and(|until| until <= self.now) {
            return true;
        }
        let programs = || self.threads.iter().filter(|thread| thread.is_program);
        match what {
            What::Time | What::Futex(_) => false,
            What::Poll(wanted) => wanted.iter().any(|(fd, events)| self.ready_events(*fd, *events) != 0),
            What::Job => thread.is_busy,
            What::IdleThread => programs().any(|thread| !thread.is_busy),
            What::AllIdle => programs().all(|thread| !thread.is_busy),
        }
    }

    /// Chooses the thread that runs next. If all wait, the clock goes on to the next event.
    fn choose(&mut self) -> usize {
        loop {
            self.happen();
            let able: Vec<usize> =
                (0..self.threads.len()).filter(|number| self.can_run(&self.threads[*number])).collect();
            if !able.is_empty() {
                return able[self.random.usize(..able.len())];
            }
            let deadlines = self.threads.iter().filter_map(|thread| match thread.state {
                State::Waiting(_, until) => until,
                _ => None,
            });
            match deadlines.chain(self.next_event()).min() {
                Some(next) => self.now = self.now.max(next),
                None => {
                    let states: Vec<_> = self.threads.iter().map(|thread| &thread.state).collect();
                    violation(&format!("deadlock: nothing will ever happen: {states:?}"));
                }
            }
        }
    }
}

/// Lets another thread run, or the same one.
fn hand_over(me: usize) {
    let turn = with(|world| {
        let next = world.choose();
        let thread = &mut world.threads[next];
        thread.state = State::Ready;
        world.running = next;
        (next != me).then(|| (world.threads[next].turn, world.threads[me].turn))
    });
    if let Some((next, own)) = turn {
        pass_turn(next);
        await_turn(own);
    }
}

fn pass_turn(next: &AtomicU32) {
    next.store(1, Ordering::Release);
    real::futex_wake(next);
}

fn await_turn(own: &AtomicU32) {
    while own.swap(0, Ordering::Acquire) == 0 {
        real::futex_wait(own, 0);
    }
}

fn me() -> usize {
    real::THREAD.get().expect("a simulated thread")
}

/// Waits for an event, at most until a time.
pub fn wait_for(what: What, until: Option<Time>) {
    really(|| {
        let me = me();
        with(|world| {
            world.threads[me].state = State::Waiting(what, until);
        });
        hand_over(me);
    });
}

/// Lets other threads run that can.
pub fn let_others_run() {
    really(|| hand_over(me()));
}

/// Lets other threads run now and then: the scheduler of a system may do that at any system call.
pub fn may_be_interrupted() {
    if with(|world| world.random.u8(..) < 64) {
        let_others_run();
    }
}

/// Begins the life of the calling thread: waits for its turn.
pub fn begin(number: usize) {
    real::THREAD.set(Some(number));
    really(|| await_turn(with(|world| world.threads[number].turn)));
}

/// Ends the life of the calling thread, which does not run on.
pub fn end() {
    really(|| {
        let me = me();
        let next = with(|world| {
            world.threads[me].state = State::Ended;
            let next = world.choose();
            world.threads[next].state = State::Ready;
            world.running = next;
            world.threads[next].turn
        });
        real::THREAD.set(None);
        pass_turn(next);
    });
}
