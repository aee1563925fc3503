mod closing;
mod learned;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread;
use std::time::Duration;

use super::*;

/// The connections that were closed, and why.
type Closed = Arc<Mutex<Vec<(u32, CloseReason)>>>;

fn limits() -> Limits {
    Limits::new(Duration::from_secs(100), 50)
}

struct Fake {
    id: u32,
    set: Arc<IdleSet>,
    shard: ShardNumber,
    good: bool,
    reuses: u32,
    /// The idle time after which its peer closes it.
    ended_after: Option<Duration>,
    tests: Arc<AtomicU32>,
    closed: Closed,
}

impl Poolable for Fake {
    fn idle_set(&self) -> Option<&IdleSet> {
        Some(&self.set)
    }
    fn shard(&self) -> ShardNumber {
        self.shard
    }
    fn set_shard(&mut self, shard: ShardNumber) {
        self.shard = shard;
    }
    fn is_good(&mut self, _: bool) -> bool {
        self.tests.fetch_add(1, Ordering::Relaxed);
        self.good
    }
    fn reuses(&self) -> u32 {
        self.reuses
    }
    fn set_idle_since(&mut self, _: Moment) {}
    fn ending(&self, since: Moment, now: Moment) -> Option<Ending> {
        let idle = self.ended_after?;
        let at = since.after(idle);
        let round_trip = Duration::ZERO;
        (at <= now).then_some(Ending {
            at,
            opened: Moment::default(),
            idle,
            uses: self.reuses + 1,
            round_trip,
        })
    }
    fn close(self, why: CloseReason) {
        self.closed.lock().unwrap().push((self.id, why));
    }
}

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(seconds))
}

/// A pool with one idle set, which is also the per-shard value.
struct Fixture {
    pool: Pool<Fake, Option<Arc<IdleSet>>>,
    set: Arc<IdleSet>,
    closed: Closed,
}

impl Fixture {
    fn new() -> Fixture {
        let pool = Pool::new();
        let set = Arc::new(pool.add_idle_set());
        pool.change_every_shard(|shard: &mut Option<_>| shard.replace(Arc::clone(&set)));
        Fixture { pool, set, closed: Closed::default() }
    }

    fn good(&self, id: u32) -> Fake {
        Fake {
            id,
            set: Arc::clone(&self.set),
            shard: ShardNumber::own(),
            good: true,
            reuses: 0,
            ended_after: None,
            tests: Arc::default(),
            closed: Arc::clone(&self.closed),
        }
    }

    fn release(&self, connection: Fake, seconds: u64) {
        assert!(self.pool.release(connection, at(seconds)).is_ok());
    }

    /// Releases a connection to the shard of another thread.
    fn release_elsewhere(&self, connection: Fake, seconds: u64) {
        let shard = loop {
            let shard = thread::scope(|scope| scope.spawn(ShardNumber::own).join().unwrap());
            if shard != ShardNumber::own() {
                break shard;
            }
        };
        self.release(Fake { shard, ..connection }, seconds);
    }

    fn with_good(ids: impl IntoIterator<Item = u32>) -> Fixture {
        let fixture = Fixture::new();
        for (second, id) in ids.into_iter().enumerate() {
            fixture.release(fixture.good(id), second as u64);
        }
        fixture
    }

    fn own(&self, seconds: u64) -> Option<u32> {
        self.pool.checkout_own(|shard| shard.as_deref(), at(seconds), limits()).map(|fake| fake.id)
    }

    fn any(&self, seconds: u64) -> Option<u32> {
        self.pool.checkout(&self.set, at(seconds), limits()).map(|fake| fake.id)
    }

    fn all(&self, seconds: u64) -> Vec<u32> {
        std::iter::from_fn(|| self.any(seconds)).collect()
    }
}

#[test]
fn the_last_released_comes_first() {
    let fixture = Fixture::with_good([1, 2, 3]);
    assert_eq!(fixture.own(3), Some(3));
    assert_eq!(fixture.own(3), Some(2));
    assert_eq!(fixture.any(3), Some(1));
    assert_eq!((fixture.own(3), fixture.any(3)), (None, None));
}

#[test]
fn each_set_has_its_own_connections() {
    let fixture = Fixture::with_good([1]);
    let other =
        Fixture { set: Arc::new(fixture.pool.add_idle_set()), pool: fixture.pool, closed: fixture.closed };
    other.release(other.good(2), 0);
    assert_eq!(other.all(0), [2]);
    let first = Fixture { set: fixture.set, pool: other.pool, closed: Closed::default() };
    assert_eq!(first.all(0), [1]);
}

#[test]
fn the_number_of_a_dropped_set_is_used_again() {
    let pool = Pool::<Fake>::new();
    let (first, second) = (pool.add_idle_set(), pool.add_idle_set());
    assert_ne!(first.number, second.number);
    let number = first.number;
    drop(first);
    assert_eq!(pool.add_idle_set().number, number);
}

#[test]
fn idle_for_the_limit_is_too_long() {
    assert_eq!(Fixture::with_good([1]).own(100), None);
    assert_eq!(Fixture::with_good([1]).own(99), Some(1));
}

#[test]
fn an_expired_connection_ends_the_older_ones() {
    let fixture = Fixture::with_good([1, 2]);
    assert_eq!(fixture.own(101), None);
    assert_eq!(fixture.all(2), []);
}

#[test]
fn a_connection_at_the_limit_of_reuses_is_skipped() {
    let fixture = Fixture::with_good([1]);
    fixture.release(Fake { reuses: 50, ..fixture.good(2) }, 1);
    assert_eq!(fixture.all(2), [1]);
}

#[test]
fn a_stale_connection_ends_the_older_ones_untested() {
    let fixture = Fixture::new();
    let (older, elsewhere) = (fixture.good(1), fixture.good(2));
    let tests = [Arc::clone(&older.tests), Arc::clone(&elsewhere.tests)];
    fixture.release(older, 0);
    fixture.release_elsewhere(elsewhere, 1);
    fixture.release(Fake { good: false, ..fixture.good(3) }, 2);
    fixture.release_elsewhere(fixture.good(4), 3);
    assert_eq!(fixture.own(3), None);
    assert_eq!(tests.map(|tests| tests.load(Ordering::Relaxed)), [0, 0], "an older one was tested");
    assert_eq!(fixture.all(3), [4]);
}

#[test]
fn release_times_out_of_order_are_put_in_order() {
    let fixture = Fixture::new();
    fixture.release(fixture.good(1), 5);
    fixture.release(fixture.good(2), 4);
    fixture.pool.close_expired(at(104), limits());
    assert_eq!(fixture.all(5), [2, 1]);
}

#[test]
fn expired_connections_are_closed_without_a_checkout() {
    let fixture = Fixture::with_good([1, 2, 3]);
    fixture.release_elsewhere(fixture.good(4), 1);
    fixture.release_elsewhere(fixture.good(5), 2);
    fixture.pool.close_expired(at(101), limits());
    assert_eq!(fixture.all(3), [3, 5]);
}

#[test]
fn a_connection_in_the_shard_of_another_thread_is_found() {
    let fixture = Fixture::new();
    fixture.release_elsewhere(fixture.good(1), 0);
    assert_eq!(fixture.own(0), None);
    assert_eq!(fixture.any(0), Some(1));
}

#[test]
fn a_connection_returns_to_the_thread_that_checked_it_out() {
    let fixture = Fixture::new();
    fixture.release_elsewhere(fixture.good(1), 0);
    let connection = fixture.pool.checkout(&fixture.set, at(0), limits()).unwrap();
    thread::scope(|scope| drop(scope.spawn(|| fixture.release(connection, 0))));
    assert_eq!(fixture.own(0), Some(1));
}

#[test]
fn the_own_shard_comes_first() {
    let fixture = Fixture::with_good([1]);
    fixture.release_elsewhere(fixture.good(2), 1);
    assert_eq!(fixture.all(1), [1, 2]);
}

#[test]
fn the_oldest_of_all_shards_and_sets_is_closed_first() {
    let fixture = Fixture::new();
    let other = Arc::new(fixture.pool.add_idle_set());
    fixture.release(fixture.good(1), 1);
    fixture.release_elsewhere(fixture.good(2), 0);
    fixture.release(Fake { set: Arc::clone(&other), ..fixture.good(3) }, 2);
    assert!(fixture.pool.close_oldest());
    assert_eq!(fixture.any(2), Some(1));
    assert!(fixture.pool.close_oldest());
    assert!(!fixture.pool.close_oldest());
}

#[test]
fn unwanted_connections_are_closed_and_the_order_of_the_rest_is_kept() {
    let fixture = Fixture::with_good([1, 2, 3]);
    fixture.release_elsewhere(fixture.good(4), 0);
    fixture.pool.close_matching(&fixture.set, |fake| fake.id % 2 == 0);
    assert_eq!(fixture.all(3), [3, 1]);
}

#[test]
fn a_closed_set_takes_no_connection_back() {
    let fixture = Fixture::with_good([1]);
    fixture.release_elsewhere(fixture.good(2), 0);
    fixture.pool.close(&fixture.set);
    assert_eq!(fixture.all(0), []);
    assert!(fixture.pool.release(fixture.good(3), at(1)).is_err());
}

#[test]
fn a_suspended_set_takes_no_connection_back_until_it_is_resumed() {
    let fixture = Fixture::with_good(0..2);
    fixture.pool.suspend(&fixture.set);
    assert_eq!(fixture.all(0), []);
    assert!(fixture.pool.release(fixture.good(2), at(1)).is_err());
    fixture.set.resume();
    fixture.release(fixture.good(3), 1);
    assert_eq!(fixture.all(1), [3]);
    fixture.pool.close(&fixture.set);
    fixture.pool.suspend(&fixture.set);
    fixture.set.resume();
    assert!(fixture.pool.release(fixture.good(4), at(1)).is_err(), "closed for good");
}

#[test]
fn every_shard_has_its_value() {
    let pool = Pool::<Fake, u32>::new();
    pool.change_every_shard(|value| *value = 7);
    let find = |wanted| pool.find_per_shard(|value| (*value == wanted).then_some(*value));
    assert_eq!((find(7), find(8)), (Some(7), None));
    let others: Vec<u32> = pool.shards.own_first().map(|shard| shard.per_shard).collect();
    assert!(others.iter().all(|value| *value == 7), "{others:?}");
}

#[test]
fn every_connection_has_one_user_at_a_time() {
    const THREADS: u32 = 4;
    let fixture = Fixture::with_good(0..THREADS);
    let in_use: Vec<AtomicBool> = (0..THREADS).map(|_| AtomicBool::new(false)).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let own = fixture.pool.checkout_own(|shard| shard.as_deref(), at(0), limits());
                    let any = own.or_else(|| fixture.pool.checkout(&fixture.set, at(0), limits()));
                    // There are as many connections as threads, so one is free again soon.
                    let Some(fake) = any else { continue };
                    let taken = in_use[fake.id as usize].swap(true, Ordering::Relaxed);
                    assert!(!taken, "{} has two users", fake.id);
                    in_use[fake.id as usize].store(false, Ordering::Relaxed);
                    fixture.release(fake, 0);
                }
            });
        }
    });
    let mut left = fixture.all(0);
    left.sort_unstable();
    assert_eq!(left, (0..THREADS).collect::<Vec<_>>());
}

#[test]
fn a_set_with_a_learned_idle_time_gives_no_older_connection() {
    let fixture = Fixture::with_good([1, 2]);
    fixture.set.announce(
        Announced { idle: Some(Duration::from_secs(10)), uses: None },
        || Duration::ZERO,
        at(1),
    );
    assert_eq!(fixture.own(9), Some(2), "idle for 8 s of 9");
    fixture.release(fixture.good(3), 9);
    assert_eq!(fixture.own(18), None);
    fixture.release(fixture.good(4), 18);
    fixture.pool.close_expired(at(26), limits());
    assert_eq!(fixture.any(26), Some(4));
    fixture.release(fixture.good(5), 26);
    fixture.pool.close_expired(at(35), limits());
    assert_eq!(fixture.pool.idle(), 0, "closed without a checkout");
}

#[test]
fn the_context_limits_more_than_the_server() {
    let fixture = Fixture::with_good([1]);
    fixture.set.announce(
        Announced { idle: Some(Duration::MAX), uses: Some(u32::MAX) },
        || Duration::ZERO,
        at(0),
    );
    assert_eq!(fixture.own(100), None);
    fixture.release(Fake { reuses: 50, ..fixture.good(2) }, 100);
    assert_eq!(fixture.own(100), None);
}

#[test]
fn a_set_with_a_learned_number_of_uses_takes_no_more_back() {
    let fixture = Fixture::new();
    fixture.set.announce(Announced { idle: None, uses: Some(3) }, || Duration::ZERO, at(0));
    fixture.release(Fake { reuses: 1, ..fixture.good(1) }, 0);
    assert!(fixture.pool.release(Fake { reuses: 2, ..fixture.good(2) }, at(0)).is_err());
    fixture.pool.suspend(&fixture.set);
    fixture.set.resume();
    assert!(fixture.pool.release(Fake { reuses: 2, ..fixture.good(2) }, at(0)).is_err(), "still");
    fixture.set.review(at(601));
    fixture.release(Fake { reuses: 2, ..fixture.good(2) }, 601);
}

#[test]
fn a_negative_idle_time_is_over_at_once() {
    for (seconds, is_used) in [(-1, false), (i32::MIN, false), (0, false), (1, true), (i32::MAX, true)] {
        let fixture = Fixture::with_good([1]);
        let idle = fixture.pool.checkout(&fixture.set, at(0), Limits::from_seconds(seconds, 50));
        assert_eq!(idle.is_some(), is_used, "{seconds}");
    }
}
