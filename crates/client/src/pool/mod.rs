//! The idle connections of a client: last in, first out, tested before they are handed out.
//!
//! The pool is independent of sockets: it holds anything that is [`Poolable`]. Connections to the same
//! endpoint form an [`IdleSet`]. No lock of the pool is held while a connection is tested or closed.
//!
//! Threads are spread over shards, so that they do not contend for one lock. A connection is released to the
//! shard of the thread that checked it out, and a checkout searches the own shard first, then the others. A
//! shard has one stack of connections for each idle set.
#![forbid(unsafe_code)]

mod idle_set;
mod limits;
pub mod metrics;
pub mod permits;
mod server_limits;
pub mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use idle_set::{IdleSet, Known};
use limits::IdleTime;
pub use limits::Limits;
pub use server_limits::{Announced, Ending};

use idle_set::Numbers;

use crate::os::clock::Moment;
use crate::os::lock::Lock;
use crate::os::shards::{ShardNumber, Shards};
use crate::pool::metrics::CloseReason;

/// A connection that can be pooled.
pub trait Poolable {
    /// The idle set it belongs to; `None` if it is never pooled.
    fn idle_set(&self) -> Option<&IdleSet>;

    /// The shard of the thread that made it or last checked it out.
    fn shard(&self) -> ShardNumber;

    /// Sets the shard, when another thread checks it out.
    fn set_shard(&mut self, shard: ShardNumber);

    /// True if it can be reused: the peer has neither closed it nor sent anything. If it is `rested`, its descriptor must
    /// still lead to it as well.
    fn is_good(&mut self, rested: bool) -> bool;

    /// The number of times that it was reused so far.
    fn reuses(&self) -> u32;

    /// Notes the time at which it was released last, when it is checked out again.
    fn set_idle_since(&mut self, since: Moment);

    /// The end of an idle connection, if its peer has closed it in order. It was released at this time.
    fn ending(&self, since: Moment, now: Moment) -> Option<Ending>;

    /// Closes it for this reason.
    fn close(self, why: CloseReason);
}

/// The largest number of older connections that are asked how they ended.
const MOST_WITNESSES: usize = 8;

/// Idle connections. Each shard also holds a value of type `P` for the owner of the pool.
pub struct Pool<C, P = ()> {
    shards: Shards<Shard<C, P>>,
    /// The number of connections that were taken out and could not be reused.
    rejected: AtomicU64,
    /// Idle connections of the parent process, in a forked child.
    inherited: Lock<Vec<Idle<C>>>,
    numbers: Arc<Numbers>,
}

struct Shard<C, P> {
    per_shard: P,
    /// By the number of their idle set.
    stacks: Vec<Stack<C>>,
    /// The number of connections that were taken out for reuse.
    taken: u64,
}

/// Oldest first: release times never decrease from the first to the last.
type Stack<C> = Vec<Idle<C>>;

struct Idle<C> {
    connection: C,
    since: Moment,
}

impl<C: Poolable, P: Default> Pool<C, P> {
    /// An empty pool.
    pub fn new() -> Pool<C, P> {
        Pool {
            shards: Shards::new(|| Shard { per_shard: P::default(), stacks: Vec::new(), taken: 0 }),
            rejected: AtomicU64::new(0),
            inherited: Lock::default(),
            numbers: Arc::default(),
        }
    }
}

impl<C: Poolable, P> Pool<C, P> {
    /// An idle set for one more endpoint.
    pub fn add_idle_set(&self) -> IdleSet {
        IdleSet::new(&self.numbers)
    }

    /// Checks out the connection that was released last to the calling thread's shard, if it is still good.
    /// `choose` selects its idle set; it is called under the shard's lock.
    #[inline]
    pub fn checkout_own(
        &self,
        choose: impl FnOnce(&mut P) -> Option<&IdleSet>,
        now: Moment,
        limits: Limits,
    ) -> Option<C> {
        let (idle, allowed_nanoseconds) = {
            let mut shard = self.shards.shard(ShardNumber::own());
            let set = choose(&mut shard.per_shard)?;
            let (number, allowed_nanoseconds) = (set.number, set.idle_nanoseconds());
            (shard.take_last(number)?, allowed_nanoseconds)
        };
        self.examine(idle, now, limits, allowed_nanoseconds)
    }

    /// Checks out a connection that is still good, from the calling thread's shard or else from another.
    pub fn checkout(&self, set: &IdleSet, now: Moment, limits: Limits) -> Option<C> {
        loop {
            let idle = self.shards.own_first().find_map(|mut shard| shard.take_last(set.number))?;
            if let Some(mut good) = self.examine(idle, now, limits, set.idle_nanoseconds()) {
                good.set_shard(ShardNumber::own());
                return Some(good);
            }
        }
    }

    /// Returns a connection that was taken out, or closes it if it cannot be reused. `allowed_nanoseconds` is the time
    /// for which its server lets it be idle.
    #[inline(always)]
    fn examine(&self, mut idle: Idle<C>, now: Moment, limits: Limits, allowed_nanoseconds: i64) -> Option<C> {
        let idle_time = IdleTime::since(idle.since, now);
        if limits.are_over(idle_time, allowed_nanoseconds) {
            self.reject_expired(idle);
            return None;
        }
        if idle.connection.reuses() >= limits.reuses {
            self.reject(idle, CloseReason::UsedUp);
            return None;
        }
        if !idle.connection.is_good(idle_time.is_rest()) {
            self.reject_stale(idle, now);
            return None;
        }
        idle.connection.set_idle_since(idle.since);
        Some(idle.connection)
    }

    #[cold]
    fn reject_expired(&self, idle: Idle<C>) {
        close_all(self.take_older(&idle), CloseReason::Expired);
        self.reject(idle, CloseReason::Expired);
    }

    /// Closes a connection whose peer has gone away or restarted, and the older ones, which that ended too. What the
    /// endings say about the limits of the server is learned.
    #[cold]
    fn reject_stale(&self, idle: Idle<C>, now: Moment) {
        let older = self.take_older(&idle);
        if let (Some(set), Some(ending)) = (idle.connection.idle_set(), idle.ending(now)) {
            let served_more = |other: &Idle<C>| ending.is_contradicted_by_uses(other.connection.reuses() + 1);
            let contradicts =
                |other: &Idle<C>| ending.is_contradicted_by(other.ending(now), now.since(other.since));
            let is_void = older.iter().any(served_more) || older.iter().take(MOST_WITNESSES).any(contradicts);
            set.observe(ending, is_void);
        }
        close_all(older, CloseReason::Stale);
        self.reject(idle, CloseReason::Stale);
    }

    /// Takes out the connections of the same set that were released earlier.
    fn take_older(&self, idle: &Idle<C>) -> Vec<Idle<C>> {
        let set = idle.connection.idle_set();
        set.map_or_else(Vec::new, |set| self.take_each(set, |other| other.since <= idle.since))
    }

    #[cold]
    fn reject(&self, idle: Idle<C>, why: CloseReason) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        idle.connection.close(why);
    }

    /// Takes a connection back. The error is the connection itself, for the caller to close: its set takes none
    /// back, or memory ran out.
    #[inline(always)]
    pub fn release(&self, connection: C, now: Moment) -> Result<(), C> {
        let Some(set) = connection.idle_set() else { return Err(connection) };
        let mut shard = self.shards.shard(connection.shard());
        // Read under the lock: closing a set closes its idle connections afterwards, and finds this one.
        if !set.takes(connection.reuses()) {
            return Err(connection);
        }
        let Some(stack) = shard.room_at(set.number) else { return Err(connection) };
        // Two threads of a shard may read the clock in one order and arrive here in the other.
        let since = stack.last().map_or(now, |top| top.since.max(now));
        stack.push(Idle { connection, since });
        Ok(())
    }

    /// Closes the idle connections for which `unwanted` is true. It is called under a shard's lock.
    pub fn close_matching(&self, set: &IdleSet, unwanted: impl Fn(&C) -> bool) {
        self.close_each(set, |idle| unwanted(&idle.connection), CloseReason::Left);
    }

    fn close_each(&self, set: &IdleSet, unwanted: impl Fn(&Idle<C>) -> bool, why: CloseReason) {
        close_all(self.take_each(set, unwanted), why);
    }

    fn take_each(&self, set: &IdleSet, unwanted: impl Fn(&Idle<C>) -> bool) -> Vec<Idle<C>> {
        let mut taken = Vec::new();
        for mut shard in self.shards.own_first() {
            taken.extend(
                shard.stacks.get_mut(set.number).map(|stack| take(stack, &unwanted)).into_iter().flatten(),
            );
        }
        taken
    }

    /// Closes connections that have been idle for too long.
    pub fn close_expired(&self, now: Moment, limits: Limits) {
        for mut shard in self.shards.own_first() {
            let expired: Vec<_> =
                shard.stacks.iter_mut().flat_map(|stack| take_expired(stack, now, limits)).collect();
            drop(shard);
            close_all(expired, CloseReason::Expired);
        }
    }

    /// Closes the connection that has been idle longest, in any shard and set. False if none is idle.
    pub fn close_oldest(&self) -> bool {
        let oldest = self.shards.own_first().filter_map(|shard| shard.oldest()).min();
        let Some(oldest) = oldest else { return false };
        // If it was checked out meanwhile, the next oldest one is closed, or none and the caller tries again.
        let closing = self.shards.own_first().find_map(|mut shard| {
            let mut stacks = shard.stacks.iter_mut();
            let stack = stacks.find(|stack| stack.first().is_some_and(|idle| idle.since <= oldest))?;
            Some(stack.remove(0))
        });
        close_all(closing, CloseReason::Evicted);
        true
    }

    /// Closes the idle connections of a set, which takes none back from now on.
    pub fn close(&self, set: &IdleSet) {
        // A release that still reads the old state holds the shard's lock now: its connection is closed below.
        set.close();
        self.close_each(set, |_| true, CloseReason::Left);
    }

    /// Closes the idle connections of a set, because its host failed. It takes none back until
    /// [`IdleSet::resume`].
    pub fn suspend(&self, set: &IdleSet) {
        set.suspend();
        self.close_each(set, |_| true, CloseReason::HostOut);
    }

    /// The number of idle connections.
    pub fn idle(&self) -> u64 {
        let counts = self.shards.own_first().map(|shard| shard.stacks.iter().map(Vec::len).sum::<usize>());
        counts.sum::<usize>() as u64
    }

    /// The number of idle connections of a set.
    pub fn idle_in(&self, set: &IdleSet) -> u64 {
        let counts = self.shards.own_first().map(|shard| shard.stacks.get(set.number).map_or(0, Vec::len));
        counts.sum::<usize>() as u64
    }

    /// The number of times that an idle connection was reused.
    pub fn reused(&self) -> u64 {
        let taken: u64 = self.shards.own_first().map(|shard| shard.taken).sum();
        taken.saturating_sub(self.rejected.load(Ordering::Relaxed))
    }

    /// Sets aside, in a forked child, the idle connections of the parent, and restarts the counts.
    /// [`Pool::close_inherited`] closes them.
    pub fn forget_parent(&self) {
        let mut inherited = self.inherited.lock();
        for mut shard in self.shards.own_first() {
            inherited.extend(shard.stacks.iter_mut().flat_map(|stack| stack.drain(..)));
            shard.taken = 0;
        }
        self.rejected.store(0, Ordering::Relaxed);
    }

    /// Closes a forked child's copies of its parent's idle connections.
    pub fn close_inherited(&self) {
        let inherited = std::mem::take(&mut *self.inherited.lock());
        close_all(inherited, CloseReason::Left);
    }
}

impl<C: Poolable, P> Pool<C, P> {
    /// Returns the first result of `find` over the per-shard values, the calling thread's first.
    pub fn find_per_shard<R>(&self, find: impl Fn(&P) -> Option<R>) -> Option<R> {
        self.shards.own_first().find_map(|shard| find(&shard.per_shard))
    }

    /// Changes the value of the calling thread's shard. `change` returns what it replaces, so that the caller
    /// drops that without the lock.
    pub fn change_own_shard<R>(&self, change: impl FnOnce(&mut P) -> R) -> R {
        change(&mut self.shards.shard(ShardNumber::own()).per_shard)
    }

    /// Changes the values of all shards in use. `change` returns what it replaces, so that the caller drops
    /// that without the locks.
    pub fn change_every_shard<R>(&self, change: impl Fn(&mut P) -> R) -> Vec<R> {
        self.shards.own_first().map(|mut shard| change(&mut shard.per_shard)).collect()
    }
}

impl<C, P> Shard<C, P> {
    /// Takes out the connection of a set that was released last.
    #[inline]
    fn take_last(&mut self, number: usize) -> Option<Idle<C>> {
        let idle = self.stacks.get_mut(number)?.pop()?;
        self.taken += 1;
        Some(idle)
    }

    /// The stack of a set, with room for one more connection. `None` if memory runs out.
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

    /// The release time of the connection that has been idle longest.
    fn oldest(&self) -> Option<Moment> {
        self.stacks.iter().filter_map(|stack| stack.first()).map(|idle| idle.since).min()
    }
}

impl<C: Poolable> Idle<C> {
    fn ending(&self, now: Moment) -> Option<Ending> {
        self.connection.ending(self.since, now)
    }
}

/// Takes out the connections of a stack that have been idle for too long.
fn take_expired<C: Poolable>(stack: &mut Stack<C>, now: Moment, limits: Limits) -> Vec<Idle<C>> {
    let set = stack.first().and_then(|idle| idle.connection.idle_set());
    let allowed_nanoseconds = set.map_or(i64::MAX, IdleSet::idle_nanoseconds);
    take(stack, |idle| limits.are_over(IdleTime::since(idle.since, now), allowed_nanoseconds))
}

fn close_all<C: Poolable>(idle: impl IntoIterator<Item = Idle<C>>, why: CloseReason) {
    idle.into_iter().for_each(|idle| idle.connection.close(why));
}

/// Takes out the connections for which `unwanted` is true, and keeps the order of the rest.
fn take<C>(stack: &mut Stack<C>, unwanted: impl Fn(&Idle<C>) -> bool) -> Vec<Idle<C>> {
    let mut kept = 0;
    for index in 0..stack.len() {
        if !unwanted(&stack[index]) {
            stack.swap(kept, index);
            kept += 1;
        }
    }
    stack.split_off(kept)
}

#[cfg(all(test, model = "shuttle"))]
mod models;
#[cfg(all(test, not(model)))]
mod tests;
