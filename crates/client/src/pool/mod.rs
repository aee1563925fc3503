//! The idle connections of a client: last in, first out, tested before they are handed out.
//!
//! The pool knows nothing of sockets: what it holds is [`Poolable`], each connection at the [`IdleSet`] of
//! those that lead to the same peer. None of its locks is held while a connection is tested or closed.
//!
//! So that threads keep out of each other's way there are shards, one a thread. A connection is given back
//! to the shard of the thread that checked it out, and a thread looks in its own shard first. With one
//! thread that is one stack a place; a thread whose shard has nothing left takes from the others' shards.
#![forbid(unsafe_code)]

pub mod metrics;
pub mod permits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::os::shards::{ShardNumber, Shards};
use crate::pool::metrics::CloseReason;

/// What the pool must know of a connection.
pub trait Poolable {
    /// Where it belongs while it is idle; nothing if it is never pooled.
    fn place(&self) -> Option<&IdleSet>;

    /// The shard of the thread that last checked it out or made it.
    fn shard(&self) -> ShardNumber;

    /// Another thread checks it out.
    fn set_shard(&mut self, shard: ShardNumber);

    /// Whether it can be used again: the peer has neither closed it nor sent anything.
    fn is_good(&mut self) -> bool;

    /// How often it was reused so far.
    fn reuses(&self) -> u32;

    /// It is closed, for this reason.
    fn close(self, why: CloseReason);
}

/// How long, and how often, a connection may serve.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// An idle connection of this age is closed.
    pub idle_time: Duration,
    /// A connection that was reused this often is closed.
    pub reuses: u32,
}

/// Idle connections. Beside them each shard keeps a value of the pool's owner, `K`.
pub struct Pool<C, K = ()> {
    shards: Shards<Shard<C, K>>,
    /// Of those that were taken out, how many could not be used again.
    rejected: AtomicU64,
    /// Idle connections of a parent process.
    inherited: Lock<Vec<Idle<C>>>,
    places: Arc<Places>,
}

struct Shard<C, K> {
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
pub struct IdleSet {
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

impl IdleSet {
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

impl Drop for IdleSet {
    fn drop(&mut self) {
        self.places.0.lock().given_up.push(self.number);
    }
}

impl<C: Poolable, K: Default> Pool<C, K> {
    /// A pool with nothing in it.
    pub fn new() -> Pool<C, K> {
        Pool {
            shards: Shards::new(|| Shard { kept: K::default(), stacks: Vec::new(), taken: 0 }),
            rejected: AtomicU64::new(0),
            inherited: Lock::default(),
            places: Arc::default(),
        }
    }
}

impl<C: Poolable, K> Pool<C, K> {
    /// A place for the connections to one more peer.
    pub fn add_place(&self) -> IdleSet {
        let number = {
            let mut numbers = self.places.0.lock();
            let fresh = numbers.next;
            numbers.given_up.pop().unwrap_or_else(|| {
                numbers.next = fresh + 1;
                fresh
            })
        };
        IdleSet { number, state: AtomicU8::new(OPEN), places: Arc::clone(&self.places) }
    }

    /// The connection that was released last in the calling thread's shard, if it is still good. `choose`
    /// names its place; it is called under the shard's lock.
    #[inline]
    pub fn checkout_own(
        &self,
        choose: impl FnOnce(&mut K) -> Option<&IdleSet>,
        now: Moment,
        limits: Limits,
    ) -> Option<C> {
        let idle = {
            let mut shard = self.shards.shard(ShardNumber::own());
            let number = choose(&mut shard.kept)?.number;
            shard.take_last(number)?
        };
        self.examine(idle, now, limits)
    }

    /// A connection that is still good, of the calling thread's shard if there is one, or of another.
    pub fn checkout(&self, place: &IdleSet, now: Moment, limits: Limits) -> Option<C> {
        loop {
            let idle = self.shards.own_first().find_map(|mut shard| shard.take_last(place.number))?;
            if let Some(mut good) = self.examine(idle, now, limits) {
                good.set_shard(ShardNumber::own());
                return Some(good);
            }
        }
    }

    /// What was taken out, if it can be used again; what cannot is closed.
    #[inline(always)]
    fn examine(&self, mut idle: Idle<C>, now: Moment, limits: Limits) -> Option<C> {
        if idle.since.after(limits.idle_time) <= now {
            self.reject_with_older(idle, CloseReason::Expired);
            return None;
        }
        if idle.connection.reuses() >= limits.reuses {
            self.reject(idle, CloseReason::UsedUp);
            return None;
        }
        if !idle.connection.is_good() {
            // The peer has gone away or restarted: the older ones met the same fate.
            self.reject_with_older(idle, CloseReason::Stale);
            return None;
        }
        Some(idle.connection)
    }

    #[cold]
    fn reject_with_older(&self, idle: Idle<C>, why: CloseReason) {
        if let Some(place) = idle.connection.place() {
            self.close_each(place, |other| other.since <= idle.since, why);
        }
        self.reject(idle, why);
    }

    #[cold]
    fn reject(&self, idle: Idle<C>, why: CloseReason) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        idle.connection.close(why);
    }

    /// Takes a connection back. It is returned if its place takes none, or memory is short: close it then.
    #[inline(always)]
    pub fn release(&self, connection: C, now: Moment) -> Result<(), C> {
        let Some(place) = connection.place() else { return Err(connection) };
        let mut shard = self.shards.shard(connection.shard());
        // Asked under the lock: who closes the place closes what is idle afterwards, and finds this one.
        if place.state.load(Ordering::Relaxed) != OPEN {
            return Err(connection);
        }
        let Some(stack) = shard.room_at(place.number) else { return Err(connection) };
        // Two threads of a shard may have read the clock in one order and come here in the other.
        let since = stack.last().map_or(now, |top| top.since.max(now));
        stack.push(Idle { connection, since });
        Ok(())
    }

    /// Closes those of a place that `unwanted` names; it is called under a shard's lock.
    pub fn close_matching(&self, place: &IdleSet, unwanted: impl Fn(&C) -> bool) {
        self.close_each(place, |idle| unwanted(&idle.connection), CloseReason::Left);
    }

    fn close_each(&self, place: &IdleSet, unwanted: impl Fn(&Idle<C>) -> bool, why: CloseReason) {
        for mut shard in self.shards.own_first() {
            let closing = shard.stacks.get_mut(place.number).map(|stack| take(stack, &unwanted));
            drop(shard);
            close_all(closing.into_iter().flatten(), why);
        }
    }

    /// Closes what has been idle for `idle_time` or longer.
    pub fn close_expired(&self, now: Moment, idle_time: Duration) {
        for mut shard in self.shards.own_first() {
            let is_expired = |idle: &Idle<C>| idle.since.after(idle_time) <= now;
            let expired: Vec<_> = shard.stacks.iter_mut().flat_map(|stack| take(stack, is_expired)).collect();
            drop(shard);
            close_all(expired, CloseReason::Expired);
        }
    }

    /// Closes the connection that has been idle longest, wherever it is; false if there is none.
    pub fn close_oldest(&self) -> bool {
        let oldest = self.shards.own_first().filter_map(|shard| shard.oldest()).min();
        let Some(oldest) = oldest else { return false };
        // Should it have found a user by now, the next oldest one goes, or the caller tries again.
        let closing = self.shards.own_first().find_map(|mut shard| {
            let mut stacks = shard.stacks.iter_mut();
            let stack = stacks.find(|stack| stack.first().is_some_and(|idle| idle.since <= oldest))?;
            Some(stack.remove(0))
        });
        close_all(closing, CloseReason::Evicted);
        true
    }

    /// Closes what is idle at a place, which from now on takes none back.
    pub fn close(&self, place: &IdleSet) {
        // A release that still reads the old state holds the shard's lock now: its connection is closed below.
        place.state.store(CLOSED, Ordering::Relaxed);
        self.close_each(place, |_| true, CloseReason::Left);
    }

    /// Closes what is idle at a place, because its host failed. It takes none back until [`IdleSet::resume`].
    pub fn suspend(&self, place: &IdleSet) {
        place.change(OPEN, SUSPENDED);
        self.close_each(place, |_| true, CloseReason::HostOut);
    }

    /// How many connections are idle.
    pub fn idle(&self) -> u64 {
        let counts = self.shards.own_first().map(|shard| shard.stacks.iter().map(Vec::len).sum::<usize>());
        counts.sum::<usize>() as u64
    }

    /// How many are idle at one place.
    pub fn idle_at(&self, place: &IdleSet) -> u64 {
        let counts = self.shards.own_first().map(|shard| shard.stacks.get(place.number).map_or(0, Vec::len));
        counts.sum::<usize>() as u64
    }

    /// How often an idle connection was used again.
    pub fn reused(&self) -> u64 {
        let taken: u64 = self.shards.own_first().map(|shard| shard.taken).sum();
        taken.saturating_sub(self.rejected.load(Ordering::Relaxed))
    }

    /// Puts aside, in a forked child, the idle connections of the parent, and counts from zero. They are closed by
    /// [`Pool::close_inherited`].
    pub fn forget_parent(&self) {
        let mut inherited = self.inherited.lock();
        for mut shard in self.shards.own_first() {
            inherited.extend(shard.stacks.iter_mut().flat_map(|stack| stack.drain(..)));
            shard.taken = 0;
        }
        self.rejected.store(0, Ordering::Relaxed);
    }

    /// Closes what a forked child has of its parent's idle connections.
    pub fn close_inherited(&self) {
        let inherited = std::mem::take(&mut *self.inherited.lock());
        close_all(inherited, CloseReason::Left);
    }
}

impl<C: Poolable, K> Pool<C, K> {
    /// What `find` finds in what a shard keeps: the calling thread's, or else another.
    pub fn find_kept<R>(&self, find: impl Fn(&K) -> Option<R>) -> Option<R> {
        self.shards.own_first().find_map(|shard| find(&shard.kept))
    }

    /// Changes what the calling thread's shard keeps. What `change` takes out is the caller's to drop: that
    /// may take long, and happens without the lock.
    pub fn change_own_kept<R>(&self, change: impl FnOnce(&mut K) -> R) -> R {
        change(&mut self.shards.shard(ShardNumber::own()).kept)
    }

    /// Changes what every shard keeps that a thread has. What `change` takes out is the caller's to drop, without a
    /// lock.
    pub fn change_kept<R>(&self, change: impl Fn(&mut K) -> R) -> Vec<R> {
        self.shards.own_first().map(|mut shard| change(&mut shard.kept)).collect()
    }
}

impl<C, K> Shard<C, K> {
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

fn close_all<C: Poolable>(idle: impl IntoIterator<Item = Idle<C>>, why: CloseReason) {
    idle.into_iter().for_each(|idle| idle.connection.close(why));
}

/// Takes those out that `unwanted` names; the order of the rest is kept.
fn take<C>(stack: &mut Stack<C>, unwanted: impl Fn(&Idle<C>) -> bool) -> Vec<Idle<C>> {
    stack.extract_if(.., |idle| unwanted(idle)).collect()
}

#[cfg(test)]
mod tests;
