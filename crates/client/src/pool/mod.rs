//! The idle connections of a client: last in, first out, tested before they are handed out.
//!
//! The pool knows nothing of sockets: what it holds is [`Poolable`], each connection at the [`Place`] of
//! those that lead to the same peer. None of its locks is held while a connection is tested or closed.
//!
//! So that threads keep out of each other's way there are lanes, one a thread. A connection is given back
//! to the lane of the thread that checked it out, and a thread looks in its own lane first. With one
//! thread that is one stack a place; a thread whose lane has nothing left takes from the others' lanes.
#![forbid(unsafe_code)]

pub mod metrics;
pub mod permits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::os::shards::{LaneNumber, Lanes};
use crate::pool::metrics::Closing;

/// What the pool must know of a connection.
pub trait Poolable {
    /// Where it belongs while it is idle; nothing if it is never pooled.
    fn place(&self) -> Option<&Place>;

    /// The lane of the thread that last checked it out or made it.
    fn lane(&self) -> LaneNumber;

    /// Another thread checks it out.
    fn change_lane(&mut self, lane: LaneNumber);

    /// Whether it can be used again: the peer has neither closed it nor sent anything.
    fn is_good(&mut self) -> bool;

    /// How often it was reused so far.
    fn reuses(&self) -> u32;

    /// It is closed, for this reason.
    fn close(self, why: Closing);
}

/// How long, and how often, a connection may serve.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// An idle connection of this age is closed.
    pub idle_time: Duration,
    /// A connection that was reused this often is closed.
    pub reuses: u32,
}

/// Idle connections. Beside them each lane keeps a value of the pool's owner, `K`.
pub struct Pool<C, K = ()> {
    lanes: Lanes<Lane<C, K>>,
    /// Of those that were taken out, how many could not be used again.
    rejected: AtomicU64,
    /// Idle connections of a parent process.
    inherited: Lock<Vec<Idle<C>>>,
    places: Arc<Places>,
}

struct Lane<C, K> {
    kept: K,
    /// By the number of their place.
    stacks: Vec<Stack<C>>,
    /// How many connections were taken out to be used again.
    taken: u64,
}

/// Oldest first: release times never decrease from the first to the last.
type Stack<C> = Vec<Idle<C>>;

struct Idle<C> {
    connection: C,
    since: Moment,
}

/// The numbers of places: those given up are used again.
#[derive(Default)]
struct Places(Lock<FreeNumbers>);

#[derive(Default)]
struct FreeNumbers {
    given_up: Vec<usize>,
    next: usize,
}

/// Where connections to one peer are idle. Each of them holds on to it, so its number is nobody else's.
pub struct Place {
    number: usize,
    /// [`OPEN`], [`SUSPENDED`] or [`CLOSED`].
    state: AtomicU8,
    places: Arc<Places>,
}

/// The place takes connections back.
const OPEN: u8 = 0;
/// It takes none until a new one was made.
const SUSPENDED: u8 = 1;
/// It takes none any more.
const CLOSED: u8 = 2;

impl Place {
    /// A connection to its peer was made: it takes connections back again, unless it is closed.
    pub fn resume(&self) {
        self.change(SUSPENDED, OPEN);
    }

    /// Whether it takes no connections back because its host failed.
    pub fn is_suspended(&self) -> bool {
        self.state.load(Ordering::Relaxed) == SUSPENDED
    }

    fn change(&self, from: u8, to: u8) {
        let _ = self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.lock().given_up.push(self.number);
    }
}

impl<C: Poolable, K: Default> Pool<C, K> {
    /// A pool with nothing in it.
    pub fn new() -> Pool<C, K> {
        Pool {
            lanes: Lanes::new(|| Lane { kept: K::default(), stacks: Vec::new(), taken: 0 }),
            rejected: AtomicU64::new(0),
            inherited: Lock::default(),
            places: Arc::default(),
        }
    }
}

impl<C: Poolable, K> Pool<C, K> {
    /// A place for the connections to one more peer.
    pub fn add_place(&self) -> Place {
        let number = {
            let mut numbers = self.places.0.lock();
            let fresh = numbers.next;
            numbers.given_up.pop().unwrap_or_else(|| {
                numbers.next = fresh + 1;
                fresh
            })
        };
        Place { number, state: AtomicU8::new(OPEN), places: Arc::clone(&self.places) }
    }

    /// The connection that was released last in the calling thread's lane, if it is still good. `choose`
    /// names its place; it is called under the lane's lock.
    #[inline]
    pub fn checkout_own(
        &self,
        choose: impl FnOnce(&mut K) -> Option<&Place>,
        now: Moment,
        limits: Limits,
    ) -> Option<C> {
        let idle = {
            let mut lane = self.lanes.lane(LaneNumber::own());
            let number = choose(&mut lane.kept)?.number;
            lane.take_last(number)?
        };
        self.examine(idle, now, limits)
    }

    /// A connection that is still good, of the calling thread's lane if there is one, or of another.
    pub fn checkout(&self, place: &Place, now: Moment, limits: Limits) -> Option<C> {
        loop {
            let idle = self.lanes.own_first().find_map(|mut lane| lane.take_last(place.number))?;
            if let Some(mut good) = self.examine(idle, now, limits) {
                good.change_lane(LaneNumber::own());
                return Some(good);
            }
        }
    }

    /// What was taken out, if it can be used again; what cannot is closed.
    #[inline(always)]
    fn examine(&self, mut idle: Idle<C>, now: Moment, limits: Limits) -> Option<C> {
        if idle.since.after(limits.idle_time) <= now {
            self.reject_with_older(idle, Closing::Expired);
            return None;
        }
        if idle.connection.reuses() >= limits.reuses {
            self.reject(idle, Closing::UsedUp);
            return None;
        }
        if !idle.connection.is_good() {
            // The peer has gone away or restarted: the older ones met the same fate.
            self.reject_with_older(idle, Closing::Stale);
            return None;
        }
        Some(idle.connection)
    }

    #[cold]
    fn reject_with_older(&self, idle: Idle<C>, why: Closing) {
        if let Some(place) = idle.connection.place() {
            self.close_each(place, |other| other.since <= idle.since, why);
        }
        self.reject(idle, why);
    }

    #[cold]
    fn reject(&self, idle: Idle<C>, why: Closing) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        idle.connection.close(why);
    }

    /// Takes a connection back. It is returned if its place takes none, or memory is short: close it then.
    #[inline(always)]
    pub fn release(&self, connection: C, now: Moment) -> Result<(), C> {
        let Some(place) = connection.place() else { return Err(connection) };
        let mut lane = self.lanes.lane(connection.lane());
        // Asked under the lock: who closes the place closes what is idle afterwards, and finds this one.
        if place.state.load(Ordering::Relaxed) != OPEN {
            return Err(connection);
        }
        let Some(stack) = lane.room_at(place.number) else { return Err(connection) };
        // Two threads of a lane may have read the clock in one order and come here in the other.
        let since = stack.last().map_or(now, |top| top.since.max(now));
        stack.push(Idle { connection, since });
        Ok(())
    }

    /// Closes those of a place that `unwanted` names; it is called under a lane's lock.
    pub fn close_matching(&self, place: &Place, unwanted: impl Fn(&C) -> bool) {
        self.close_each(place, |idle| unwanted(&idle.connection), Closing::Left);
    }

    fn close_each(&self, place: &Place, unwanted: impl Fn(&Idle<C>) -> bool, why: Closing) {
        for mut lane in self.lanes.own_first() {
            let closing = lane.stacks.get_mut(place.number).map(|stack| take(stack, &unwanted));
            drop(lane);
            close_all(closing.into_iter().flatten(), why);
        }
    }

    /// Closes what has been idle for `idle_time` or longer.
    pub fn close_expired(&self, now: Moment, idle_time: Duration) {
        for mut lane in self.lanes.own_first() {
            let is_expired = |idle: &Idle<C>| idle.since.after(idle_time) <= now;
            let expired: Vec<_> = lane.stacks.iter_mut().flat_map(|stack| take(stack, is_expired)).collect();
            drop(lane);
            close_all(expired, Closing::Expired);
        }
    }

    /// Closes the connection that has been idle longest, wherever it is; false if there is none.
    pub fn close_oldest(&self) -> bool {
        let oldest = self.lanes.own_first().filter_map(|lane| lane.oldest()).min();
        let Some(oldest) = oldest else { return false };
        // Should it have found a user by now, the next oldest one goes, or the caller tries again.
        let closing = self.lanes.own_first().find_map(|mut lane| {
            let mut stacks = lane.stacks.iter_mut();
            let stack = stacks.find(|stack| stack.first().is_some_and(|idle| idle.since <= oldest))?;
            Some(stack.remove(0))
        });
        close_all(closing, Closing::Evicted);
        true
    }

    /// Closes what is idle at a place, which from now on takes none back.
    pub fn close(&self, place: &Place) {
        // A release that still reads the old state holds the lane's lock now: its connection is closed below.
        place.state.store(CLOSED, Ordering::Relaxed);
        self.close_each(place, |_| true, Closing::Left);
    }

    /// Closes what is idle at a place, because its host failed. It takes none back until [`Place::resume`].
    pub fn suspend(&self, place: &Place) {
        place.change(OPEN, SUSPENDED);
        self.close_each(place, |_| true, Closing::HostOut);
    }

    /// How many connections are idle.
    pub fn idle(&self) -> u64 {
        let counts = self.lanes.own_first().map(|lane| lane.stacks.iter().map(Vec::len).sum::<usize>());
        counts.sum::<usize>() as u64
    }

    /// How many are idle at one place.
    pub fn idle_at(&self, place: &Place) -> u64 {
        let counts = self.lanes.own_first().map(|lane| lane.stacks.get(place.number).map_or(0, Vec::len));
        counts.sum::<usize>() as u64
    }

    /// How often an idle connection was used again.
    pub fn reused(&self) -> u64 {
        let taken: u64 = self.lanes.own_first().map(|lane| lane.taken).sum();
        taken.saturating_sub(self.rejected.load(Ordering::Relaxed))
    }

    /// Puts aside, in a forked child, the idle connections of the parent, and counts from zero. They are closed by
    /// [`Pool::close_inherited`].
    pub fn forget_parent(&self) {
        let mut inherited = self.inherited.lock();
        for mut lane in self.lanes.own_first() {
            inherited.extend(lane.stacks.iter_mut().flat_map(|stack| stack.drain(..)));
            lane.taken = 0;
        }
        self.rejected.store(0, Ordering::Relaxed);
    }

    /// Closes what a forked child has of its parent's idle connections.
    pub fn close_inherited(&self) {
        let inherited = std::mem::take(&mut *self.inherited.lock());
        close_all(inherited, Closing::Left);
    }
}

impl<C: Poolable, K> Pool<C, K> {
    /// What `find` finds in what a lane keeps: the calling thread's, or else another.
    pub fn find_kept<R>(&self, find: impl Fn(&K) -> Option<R>) -> Option<R> {
        self.lanes.own_first().find_map(|lane| find(&lane.kept))
    }

    /// Changes what the calling thread's lane keeps. What `change` takes out is the caller's to drop: that
    /// may take long, and happens without the lock.
    pub fn change_own_kept<R>(&self, change: impl FnOnce(&mut K) -> R) -> R {
        change(&mut self.lanes.lane(LaneNumber::own()).kept)
    }

    /// Changes what every lane keeps that a thread has. What `change` takes out is the caller's to drop, without a
    /// lock.
    pub fn change_kept<R>(&self, change: impl Fn(&mut K) -> R) -> Vec<R> {
        self.lanes.own_first().map(|mut lane| change(&mut lane.kept)).collect()
    }
}

impl<C, K> Lane<C, K> {
    /// What was released last at a place.
    #[inline]
    fn take_last(&mut self, number: usize) -> Option<Idle<C>> {
        let idle = self.stacks.get_mut(number)?.pop()?;
        self.taken += 1;
        Some(idle)
    }

    /// A place's stack with room for one more; nothing if memory is short.
    #[inline]
    fn room_at(&mut self, number: usize) -> Option<&mut Stack<C>> {
        if number >= self.stacks.len() {
            self.add_stacks(number + 1)?;
        }
        let stack = self.stacks.get_mut(number)?;
        stack.try_reserve(1).ok()?;
        Some(stack)
    }

    #[cold]
    fn add_stacks(&mut self, count: usize) -> Option<()> {
        self.stacks.try_reserve(count - self.stacks.len()).ok()?;
        self.stacks.resize_with(count, Vec::new);
        Some(())
    }

    /// When the connection that has been idle longest was released.
    fn oldest(&self) -> Option<Moment> {
        self.stacks.iter().filter_map(|stack| stack.first()).map(|idle| idle.since).min()
    }
}

fn close_all<C: Poolable>(idle: impl IntoIterator<Item = Idle<C>>, why: Closing) {
    idle.into_iter().for_each(|idle| idle.connection.close(why));
}

/// Takes those out that `unwanted` names; the order of the rest is kept.
fn take<C>(stack: &mut Stack<C>, unwanted: impl Fn(&Idle<C>) -> bool) -> Vec<Idle<C>> {
    stack.extract_if(.., |idle| unwanted(idle)).collect()
}

#[cfg(test)]
mod tests;
