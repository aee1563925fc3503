//! Models of the queue of calls that wait at the limit.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use super::permits::{Permit, Permits};
use super::waiters::{LONGEST_SLEEP, Place};
use crate::os::sync::model::{checker::sync::Barrier, explore, spawn, yield_now};

/// Waits in the queue for one of `limit` permits, as a checkout does (`checkout/waiting.rs`). Notes in `served` the order
/// in which calls are served, by their places in the queue.
fn wait_for_permit(permits: &Arc<Permits>, limit: i32, served: &Mutex<Vec<u64>>) -> Permit {
    let place = Place::new(permits.waiters());
    loop {
        place.enter();
        let room = i64::from(limit) - permits.open() as i64;
        let permit = if place.has_turn(room) { permits.acquire(limit) } else { None };
        if let Some(permit) = permit {
            served.lock().unwrap().push(place.number());
            place.leave();
            return permit;
        }
        place.sleep(LONGEST_SLEEP);
    }
}

/// Each call that stands in the queue is served before those that come later, also before one that does not wait yet.
#[test]
fn calls_are_served_in_their_order() {
    explore("queue at the limit of 1", || {
        let permits = Permits::new(Box::new(|_| {}));
        let held = permits.acquire(1);
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (1..=3)
            .map(|count| {
                let (of_call, served) = (Arc::clone(&permits), Arc::clone(&served));
                let call = spawn(move || drop(wait_for_permit(&of_call, 1, &served)));
                // The last one comes at any time.
                while count < 3 && permits.waiters().length() < count {
                    yield_now();
                }
                call
            })
            .collect();
        drop(held);
        waiting.into_iter().for_each(|call| call.join().unwrap());
        assert_eq!(*served.lock().unwrap(), [1, 2, 3]);
    });
}

/// Two permits are given back, and two calls wait: each gets one, though neither gives its own back before.
#[test]
fn nobody_sleeps_while_a_permit_is_free() {
    explore("queue at the limit of 2", || {
        let permits = Permits::new(Box::new(|_| {}));
        let held = [permits.acquire(2), permits.acquire(2)];
        let (served, both) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(2)));
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let (permits, served, both) = (Arc::clone(&permits), Arc::clone(&served), Arc::clone(&both));
                spawn(move || {
                    let permit = wait_for_permit(&permits, 2, &served);
                    assert!(permits.open() <= 2, "more than the limit");
                    both.wait();
                    drop(permit);
                })
            })
            .collect();
        drop(held);
        calls.into_iter().for_each(|call| call.join().unwrap());
        assert_eq!((permits.open(), permits.waiters().length()), (0, 0));
    });
}

/// However many calls come at a time, no more have a permit than the limit allows.
#[test]
fn the_limit_holds() {
    explore("limit of 2", || {
        let permits = Permits::new(Box::new(|_| {}));
        let served = Arc::new(Mutex::new(Vec::new()));
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let (permits, served) = (Arc::clone(&permits), Arc::clone(&served));
                spawn(move || {
                    let permit = wait_for_permit(&permits, 2, &served);
                    assert!(permits.open() <= 2, "more than the limit");
                    drop(permit);
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        assert_eq!(served.lock().unwrap().len(), 4);
    });
}

/// A call gives up its place, as one whose time is over does. Its wakeup is for the next.
#[test]
fn a_place_that_is_given_up_wakes_the_next() {
    explore("place given up", || {
        let permits = Permits::new(Box::new(|_| {}));
        let held = permits.acquire(1);
        let served = Arc::new(Mutex::new(Vec::new()));
        let gives_up = {
            let permits = Arc::clone(&permits);
            spawn(move || {
                let place = Place::new(permits.waiters());
                place.enter();
                // It may count as awake: its wakeup has come.
                drop(place);
            })
        };
        let waits = {
            let (permits, served) = (Arc::clone(&permits), Arc::clone(&served));
            spawn(move || drop(wait_for_permit(&permits, 1, &served)))
        };
        drop(held);
        gives_up.join().unwrap();
        waits.join().unwrap();
    });
}

/// Freeing the context ends all waits, and comes back once nobody has a place.
#[test]
fn closing_ends_all_waits() {
    explore("queue closed", || {
        let permits = Permits::new(Box::new(|_| {}));
        let held = permits.acquire(1);
        let waits = {
            let permits = Arc::clone(&permits);
            spawn(move || {
                let place = Place::new(permits.waiters());
                loop {
                    place.enter();
                    if permits.waiters().is_closed() {
                        return;
                    }
                    place.sleep(LONGEST_SLEEP);
                }
            })
        };
        assert!(permits.waiters().close(std::time::Duration::from_secs(1)));
        waits.join().unwrap();
        drop(held);
    });
}
