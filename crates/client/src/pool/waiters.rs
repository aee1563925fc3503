//! The calls that wait for a connection at the limit, in the order of their arrival.
//!
//! A call that waits has a [`Place`] in the queue. Whoever makes room wakes the first call that sleeps. Nothing is
//! handed over. A call tries only if the room is larger than the number of calls ahead of it, so that nobody takes what
//! is meant for those ahead. It leaves the queue as soon as it has got an idle connection or a permit. What takes long,
//! such as a connect, comes afterwards.
//!
//! No wakeup is lost. A call first marks itself as asleep, then counts the room, and then sleeps unless it was woken
//! meanwhile. Who makes room does so first, and then wakes. In between both hold the lock that guards the room, so one
//! of them sees what the other did. A call that leaves the queue wakes, too: until then those behind it count it as well
//! as what it has taken. What makes room without a sign, such as a higher limit, is found by a look every
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

    /// Leaves the queue, because the call has got what it waited for, or needs it no more. Those behind move up, so that
    /// there may be room for one of them: it is woken. No effect if the call does not stand in the queue.
    pub fn leave(&self) {
        let mut was_there = false;
        self.waiters.change(|queue| {
            if let Ok(position) = self.position_in(queue) {
                queue.waiting.remove(position);
                was_there = true;
            }
        });
        if was_there {
            self.waiters.wake_first();
        }
    }

    /// Returns its position in the queue, or where it would stand.
    fn position_in(&self, queue: &Queue) -> Result<usize, usize> {
        queue.waiting.binary_search_by_key(&self.waiter.number, |waiter| waiter.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
        if self.forks == fork::generation() {
            self.waiters.places.fetch_sub(1, Ordering::SeqCst);
            futex_wake(&self.waiters.places, i32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns places in the queue, in their order.
    fn places<const COUNT: usize>(waiters: &Arc<Waiters>) -> [Place; COUNT] {
        std::array::from_fn(|_| {
            let place = Place::new(waiters);
            place.enter();
            place
        })
    }

    /// True if the call of a place was woken: then it does not sleep.
    fn is_awake(place: &Place) -> bool {
        place.waiter.state.load(Ordering::SeqCst) == AWAKE
    }

    #[test]
    fn the_first_that_sleeps_is_woken() {
        let waiters = Arc::default();
        let [first, second, third] = places(&waiters);
        assert_eq!((waiters.length(), first.is_first(), second.is_first()), (3, true, false));
        waiters.wake_first();
        assert_eq!([&first, &second, &third].map(is_awake), [true, false, false]);
        waiters.wake_first();
        assert_eq!([&first, &second, &third].map(is_awake), [true, true, false]);
        second.sleep(Duration::from_secs(3600));
        assert!(first.has_turn(1) && !second.has_turn(1) && second.has_turn(2));
    }

    #[test]
    fn a_place_that_is_given_up_leaves_its_room_to_the_next() {
        let waiters = Arc::default();
        let [first, second] = places(&waiters);
        drop(first);
        assert!(is_awake(&second) && second.is_first());
        second.leave();
        second.leave();
        assert_eq!(waiters.length(), 0);
    }

    #[test]
    fn an_end_wakes_all_and_waits_for_them() {
        let waiters: Arc<Waiters> = Arc::default();
        let [first, second] = places(&waiters);
        assert!(!waiters.is_closed());
        assert!(!waiters.close(Duration::from_millis(1)), "both still have a place");
        assert!(waiters.is_closed() && is_awake(&first) && is_awake(&second));
        drop(first);
        let slow = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(second);
        });
        assert!(waiters.close(Duration::from_secs(3600)), "the last one gives it up");
        slow.join().unwrap();
    }

    #[test]
    fn a_child_has_no_place_of_its_parent() {
        let waiters: Arc<Waiters> = Arc::default();
        let [first] = places(&waiters);
        waiters.forget_parent();
        assert_eq!(waiters.length(), 0);
        assert!(waiters.close(Duration::from_secs(3600)), "nobody is waited for");
        // Its destructor would count it once more.
        std::mem::forget(first);
    }
}
