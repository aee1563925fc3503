//! The idle connections to one peer: last in, first out, tested before they are handed out.
//!
//! The pool knows nothing of sockets: what it holds is [`Poolable`]. Its lock is never held while a
//! connection is tested or closed.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::Duration;

use crate::lock::{Fork, Lock};

use crate::clock::Moment;

/// What the pool must know of a connection.
pub trait Poolable {
    /// Whether it can be used again: the peer has neither closed it nor sent anything.
    fn is_good(&mut self) -> bool;

    /// How often it was reused so far.
    fn reuses(&self) -> u32;
}

/// How long, and how often, a connection may serve.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// An idle connection of this age is closed.
    pub idle_time: Duration,
    /// A connection that was reused this often is closed.
    pub reuses: u32,
}

/// Idle connections, the one released last on top.
pub struct Pool<C> {
    stack: Lock<Stack<C>>,
}

struct Stack<C> {
    /// Oldest first. Release times never decrease from front to back.
    idle: VecDeque<Idle<C>>,
    closed: bool,
}

struct Idle<C> {
    connection: C,
    since: Moment,
}

impl<C: Poolable> Pool<C> {
    /// A pool with nothing in it.
    pub fn new() -> Pool<C> {
        Pool { stack: Lock::new(Stack { idle: VecDeque::new(), closed: false }) }
    }

    /// The connection released last, if it is still good; what is not is closed on the way.
    #[inline]
    pub fn checkout(&self, now: Moment, limits: Limits) -> Option<C> {
        loop {
            let mut top = self.stack.lock().idle.pop_back()?;
            if top.since.after(limits.idle_time) <= now {
                self.close_released_until(top.since);
                return None;
            }
            if top.connection.reuses() >= limits.reuses {
                continue;
            }
            if top.connection.is_good() {
                return Some(top.connection);
            }
            // The peer has gone away or restarted: the older ones met the same fate.
            self.close_released_until(top.since);
            return None;
        }
    }

    /// Takes a connection back. It is returned if the pool is closed or memory is short: close it then.
    #[inline]
    pub fn release(&self, connection: C, now: Moment) -> Result<(), C> {
        let mut stack = self.stack.lock();
        if stack.closed || stack.idle.try_reserve(1).is_err() {
            return Err(connection);
        }
        // Two threads may have read the clock in one order and come here in the other.
        let since = stack.idle.back().map_or(now, |top| top.since.max(now));
        stack.idle.push_back(Idle { connection, since });
        Ok(())
    }

    /// Closes what was released at `moment` or earlier.
    pub fn close_released_until(&self, moment: Moment) {
        let old: Vec<_> = {
            let mut stack = self.stack.lock();
            let count = stack.idle.partition_point(|idle| idle.since <= moment);
            stack.idle.drain(..count).collect()
        };
        drop(old);
    }

    /// Closes what has been idle for `idle_time` or longer.
    pub fn close_expired(&self, now: Moment, idle_time: Duration) {
        let expired: Vec<_> = {
            let mut stack = self.stack.lock();
            let count = stack.idle.partition_point(|idle| idle.since.after(idle_time) <= now);
            stack.idle.drain(..count).collect()
        };
        drop(expired);
    }

    /// Closes the connections that `unwanted` names; it is called under the pool's lock.
    pub fn close_matching(&self, unwanted: impl Fn(&C) -> bool) {
        let mut closing = Vec::new();
        {
            let mut stack = self.stack.lock();
            for idle in std::mem::take(&mut stack.idle) {
                if unwanted(&idle.connection) {
                    closing.push(idle);
                } else {
                    stack.idle.push_back(idle);
                }
            }
        }
        drop(closing);
    }

    /// When the connection that has been idle longest was released.
    pub fn oldest(&self) -> Option<Moment> {
        self.stack.lock().idle.front().map(|idle| idle.since)
    }

    /// Closes the connection that has been idle longest; false if there is none.
    pub fn close_oldest(&self) -> bool {
        let oldest = self.stack.lock().idle.pop_front();
        oldest.is_some()
    }

    /// Closes every idle connection, and from now on takes none back.
    pub fn close(&self) {
        let idle = {
            let mut stack = self.stack.lock();
            stack.closed = true;
            std::mem::take(&mut stack.idle)
        };
        drop(idle);
    }

    /// See [`Lock::at_fork`].
    pub fn at_fork(&self, phase: Fork) {
        self.stack.at_fork(phase, |_| {});
    }

    /// Whether nothing is idle here.
    pub fn is_empty(&self) -> bool {
        self.stack.lock().idle.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    const LIMITS: Limits = Limits { idle_time: Duration::from_secs(100), reuses: 50 };

    struct Fake {
        id: u32,
        good: bool,
        reuses: u32,
        tests: Rc<Cell<u32>>,
    }

    impl Poolable for Fake {
        fn is_good(&mut self) -> bool {
            self.tests.set(self.tests.get() + 1);
            self.good
        }
        fn reuses(&self) -> u32 {
            self.reuses
        }
    }

    fn good(id: u32) -> Fake {
        Fake { id, good: true, reuses: 0, tests: Rc::default() }
    }

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(seconds))
    }

    fn filled(connections: impl IntoIterator<Item = Fake>) -> Pool<Fake> {
        let pool = Pool::new();
        for (second, connection) in connections.into_iter().enumerate() {
            assert!(pool.release(connection, at(second as u64)).is_ok());
        }
        pool
    }

    fn checkout(pool: &Pool<Fake>, seconds: u64) -> Option<u32> {
        pool.checkout(at(seconds), LIMITS).map(|fake| fake.id)
    }

    #[test]
    fn the_last_released_comes_first() {
        let pool = filled([good(1), good(2), good(3)]);
        assert_eq!(checkout(&pool, 3), Some(3));
        assert_eq!(checkout(&pool, 3), Some(2));
        assert_eq!(checkout(&pool, 3), Some(1));
        assert_eq!(checkout(&pool, 3), None);
    }

    #[test]
    fn idle_for_the_limit_is_too_long() {
        let pool = filled([good(1)]);
        assert_eq!(checkout(&pool, 100), None);
        let pool = filled([good(1)]);
        assert_eq!(checkout(&pool, 99), Some(1));
    }

    #[test]
    fn an_expired_top_takes_the_older_ones_with_it() {
        let pool = filled([good(1), good(2)]);
        assert_eq!(checkout(&pool, 101), None);
        assert!(pool.is_empty());
    }

    #[test]
    fn one_that_served_often_enough_is_skipped() {
        let pool = filled([good(1), Fake { reuses: 50, ..good(2) }]);
        assert_eq!(checkout(&pool, 2), Some(1));
        assert!(pool.is_empty());
    }

    #[test]
    fn a_stale_one_takes_the_older_ones_with_it_untested() {
        let older = good(1);
        let tests = Rc::clone(&older.tests);
        let pool = filled([older, Fake { good: false, ..good(2) }]);
        assert_eq!(checkout(&pool, 2), None);
        assert!(pool.is_empty());
        assert_eq!(tests.get(), 0, "the older one was tested");
    }

    #[test]
    fn release_times_out_of_order_are_put_in_order() {
        let pool = filled([]);
        assert!(pool.release(good(1), at(5)).is_ok());
        assert!(pool.release(good(2), at(4)).is_ok());
        pool.close_released_until(at(4));
        assert_eq!(checkout(&pool, 5), Some(2));
        assert_eq!(checkout(&pool, 5), Some(1));
    }

    #[test]
    fn expired_ones_are_closed_without_a_checkout() {
        let pool = filled([good(1), good(2), good(3)]);
        pool.close_expired(at(101), LIMITS.idle_time);
        assert_eq!(pool.oldest(), Some(at(2)));
        assert_eq!(checkout(&pool, 3), Some(3));
        assert!(pool.is_empty());
    }

    #[test]
    fn the_oldest_makes_room_first() {
        let pool = filled([good(1), good(2)]);
        assert!(pool.close_oldest());
        assert_eq!(checkout(&pool, 2), Some(2));
        assert!(!pool.close_oldest());
    }

    #[test]
    fn the_unwanted_are_closed_and_the_order_of_the_rest_is_kept() {
        let pool = filled([good(1), good(2), good(3)]);
        pool.close_matching(|fake| fake.id == 2);
        assert_eq!(checkout(&pool, 3), Some(3));
        assert_eq!(checkout(&pool, 3), Some(1));
        assert_eq!(checkout(&pool, 3), None);
    }

    #[test]
    fn a_closed_pool_takes_nothing_back() {
        let pool = filled([good(1)]);
        pool.close();
        assert!(pool.is_empty());
        assert!(pool.release(good(2), at(1)).is_err());
    }
}
