//! The calls that wait for a connection at the limit, in the order of their arrival.
//!
//! A call that waits has a [`Place`] in the queue. Whoever makes room wakes the first call that sleeps. Nothing is
//! handed over: a call tries to get a connection if there is room for more calls than stand before it, so that nobody
//! takes what is meant for those ahead. It leaves the queue as soon as it has got an idle connection or a permit. What
//! takes long, such as a connect, comes afterwards.
//!
//! No wakeup is lost. A call first marks itself as asleep, then counts the room, and then sleeps unless it was woken
//! meanwhile. Who makes room does so first, and then wakes. In between both hold the lock that guards the room, so one
//! of them sees what the other did. What makes room without a sign, such as a higher limit, is found by a look every
//! [`LONGEST_SLEEP`].
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use crate::os::fork;
use crate::os::lock::Lock;
use crate::os::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::os::sync::{Instant, futex_wait, futex_wake};

/// The longest time that a call sleeps before it looks for room by itself.
pub const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// The queue of one context.
#[derive(Default)]
pub struct Waiters {
    queue: Lock<Queue>,
    /// The number of calls in the queue, to be read without the lock.
    length: AtomicUsize,
    /// The number of places. [`Waiters::close`] waits on it by futex(2).
    places: AtomicU32,
    is_closed: AtomicBool,
}

#[derive(Default)]
struct Queue {
    /// In order of their numbers.
    waiting: Vec<Arc<Waiter>>,
    next_number: u64,
}

struct Waiter {
    number: u64,
    /// [`ASLEEP`] or [`AWAKE`]; the call sleeps on it by futex(2).
    state: AtomicU32,
}

const ASLEEP: u32 = 0;
const AWAKE: u32 = 1;

impl Waiters {
    /// Returns the number of calls in the queue.
    pub fn length(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Wakes the first call that sleeps. To be called without a lock, after room was made.
    pub fn wake_first(&self) {
        if self.length() == 0 {
            return;
        }
        let sleeper = self.queue.lock().waiting.iter().find(|waiter| waiter.mark_awake()).cloned();
        if let Some(sleeper) = sleeper {
            futex_wake(&sleeper.state, 1);
        }
    }

    /// Ends all waits, and lets no call wait any more. Returns true once each call has given up its place. The time is
    /// limited: what frees the context may be called by the log callback of a call that waits.
    pub fn close(&self, timeout: Duration) -> bool {
        self.is_closed.store(true, Ordering::SeqCst);
        let all = self.queue.lock().waiting.clone();
        for waiter in all.iter().filter(|waiter| waiter.mark_awake()) {
            futex_wake(&waiter.state, 1);
        }
        let deadline = Instant::now() + timeout;
        loop {
            let places = self.places.load(Ordering::SeqCst);
            let left = deadline.saturating_duration_since(Instant::now());
            if places == 0 || left.is_zero() {
                return places == 0;
            }
            futex_wait(&self.places, places, Some(left));
        }
    }

    /// Returns whether the owner of the connections is about to be freed.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Forgets, in a forked child, the calls of the parent.
    pub fn forget_parent(&self) {
        self.queue.lock().waiting.clear();
        self.length.store(0, Ordering::Relaxed);
        self.places.store(0, Ordering::Relaxed);
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue.lock();
        change(&mut queue);
        self.length.store(queue.waiting.len(), Ordering::SeqCst);
    }
}

impl Waiter {
    /// Returns whether the call slept until now.
    fn mark_awake(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == ASLEEP
    }
}

/// The place of one call, behind all calls that got theirs before. It is given up when it is dropped.
pub struct Place {
    waiters: Arc<Waiters>,
    waiter: Arc<Waiter>,
    /// The fork generation it belongs to.
    forks: u32,
}

impl Place {
    /// Makes a place behind all others. It stands in the queue from [`Place::enter`] on.
    pub fn new(waiters: &Arc<Waiters>) -> Place {
        waiters.places.fetch_add(1, Ordering::SeqCst);
        let number = {
            let mut queue = waiters.queue.lock();
            queue.next_number += 1;
            queue.next_number
        };
        let waiter = Arc::new(Waiter { number, state: AtomicU32::new(AWAKE) });
        Place { waiters: Arc::clone(waiters), waiter, forks: fork::generation() }
    }

    /// Enters the queue, unless the call stands there already, and marks the call as asleep. The caller counts the
    /// room afterwards.
    pub fn enter(&self) {
        self.waiter.state.store(ASLEEP, Ordering::SeqCst);
        self.waiters.change(|queue| {
            if let Err(position) = self.position_in(queue) {
                queue.waiting.insert(position, Arc::clone(&self.waiter));
            }
        });
    }

    /// Returns whether it is the turn of the call, if there is room for so many. If it is, the call counts as awake.
    pub fn has_turn(&self, room: i64) -> bool {
        let position = self.position_in(&self.waiters.queue.lock());
        let has_turn = position.is_ok_and(|position| room > position as i64);
        if has_turn {
            self.waiter.mark_awake();
        }
        has_turn
    }

    /// Returns its number. Those of later places are higher.
    #[cfg(all(test, model))]
    pub fn number(&self) -> u64 {
        self.waiter.number
    }

    /// Returns whether the call is the first in the queue.
    pub fn is_first(&self) -> bool {
        self.position_in(&self.waiters.queue.lock()) == Ok(0)
    }

    /// Sleeps until the call is woken or the time is over. May return earlier.
    pub fn sleep(&self, time: Duration) {
        futex_wait(&self.waiter.state, ASLEEP, Some(time));
    }

    /// Leaves the queue, because the call has got what it waited for. Returns whether the call stood in the queue.
    pub fn leave(&self) -> bool {
        let mut was_there = false;
        self.waiters.change(|queue| {
            if let Ok(position) = self.position_in(queue) {
                queue.waiting.remove(position);
                was_there = true;
            }
        });
        was_there
    }

    /// Returns its position in the queue, or where it would stand.
    fn position_in(&self, queue: &Queue) -> Result<usize, usize> {
        queue.waiting.binary_search_by_key(&self.waiter.number, |waiter| waiter.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The room that the call did not take is for the next one.
        if self.leave() {
            self.waiters.wake_first();
        }
        if self.forks == fork::generation() {
            self.waiters.places.fetch_sub(1, Ordering::SeqCst);
            futex_wake(&self.waiters.places, i32::MAX);
        }
    }
}
