//! Models of the locks, the condition variable, the shards and the fork gate.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::lock::{Condvar, Futex, Lock, LockBy, Spin};
use crate::os::sync::model::{Arc, Exclusive, explore, spawn};

use parking_lot::lock_api::RawMutex;

/// The number of threads beside the first. Loom takes all orders, so that more would take hours.
const OTHERS: usize = if cfg!(model = "loom") { 1 } else { 2 };

/// Has threads use data behind a lock.
fn excludes<R: RawMutex + Send + Sync + 'static>() {
    let data = Arc::new(LockBy::<R, Exclusive>::new(Exclusive::new()));
    // For loom, a variable must exist before the threads that share it: it does from its first use.
    drop(data.lock());
    let others: Vec<_> = (0..OTHERS)
        .map(|_| {
            let data = Arc::clone(&data);
            spawn(move || {
                data.lock().use_it();
            })
        })
        .collect();
    data.lock().use_it();
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(data.lock().use_it() as usize, OTHERS + 2);
}

#[test]
fn one_thread_at_a_time_holds_a_spin_lock() {
    explore("spin lock", excludes::<Spin>);
}

#[test]
fn one_thread_at_a_time_holds_a_futex_lock_and_each_gets_it() {
    explore("futex lock", excludes::<Futex>);
}

/// A thread that waits for the condition goes on once it is true, and sees what was changed before.
#[test]
fn no_notification_is_lost() {
    explore("condition variable", || {
        let shared = Arc::new((Lock::new(0), Condvar::default(), Exclusive::new()));
        // As in `excludes`.
        drop(shared.1.wait_timeout(shared.0.lock(), Duration::ZERO));
        let other = Arc::clone(&shared);
        let waiting = spawn(move || {
            let (lock, change, data) = &*other;
            let mut count = lock.lock();
            while *count == 0 {
                count = change.wait_timeout(count, Duration::from_secs(1));
            }
            data.use_it();
        });
        let (lock, change, data) = &*shared;
        data.use_it();
        *lock.lock() += 1;
        change.notify_all();
        waiting.join().unwrap();
    });
}

#[cfg(model = "shuttle")]
mod of_forks {
    use super::*;
    use crate::os::fork::SHARDS;
    use crate::os::fork::model::{Gate, as_if_forking};
    use crate::os::shards::{ShardNumber, Shards};
    use crate::os::sync::atomic::{AtomicBool, Ordering};

    /// Data behind a lock, and a shard's.
    struct Data {
        lock: Lock<()>,
        of_lock: Exclusive,
        shards: Shards<()>,
        of_shard: [Exclusive; 3],
    }

    impl Data {
        fn new() -> Arc<Data> {
            let of_shard = [Exclusive::new(), Exclusive::new(), Exclusive::new()];
            Arc::new(Data {
                lock: Lock::new(()),
                of_lock: Exclusive::new(),
                shards: Shards::new(|| ()),
                of_shard,
            })
        }

        fn change(&self, number: usize) {
            {
                let _locked = self.lock.lock();
                self.of_lock.use_it();
            }
            let _locked = self.shards.shard(ShardNumber::own());
            self.of_shard[number].use_it();
        }

        /// Fails if a child that is forked now would be stuck, or would find a change half made. It takes no lock.
        fn look_at_fork(&self) {
            assert!(
                !self.lock.is_locked() && !self.shards.is_any_locked(),
                "a lock is held for ever in the child"
            );
            let mut all = self.of_shard.iter().chain([&self.of_lock]);
            assert!(!all.any(Exclusive::is_torn), "the fork tears a change");
        }
    }

    /// At the moment of a fork no thread is in the middle of a change, and no lock is held: a child would have the change
    /// torn and the lock held for ever.
    #[test]
    fn a_fork_sees_no_change_half_made() {
        explore("fork gate", || {
            let data = Data::new();
            let threads: Vec<_> = (0..2)
                .map(|number| {
                    let data = Arc::clone(&data);
                    spawn(move || (0..2).for_each(|_| data.change(number)))
                })
                .collect();
            (0..2).for_each(|_| as_if_forking(|| data.look_at_fork()));
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(data.of_lock.use_it(), 5);
        });
    }

    /// No thread is inside while the gate is closed, also one that comes at the moment when it closes.
    #[test]
    fn nobody_is_inside_a_closed_gate() {
        static GATE: Gate<0> = Gate::new(Duration::from_secs(1));
        explore("closed gate", || {
            let is_closed = Arc::new(AtomicBool::new(false));
            let comes = {
                let is_closed = Arc::clone(&is_closed);
                spawn(move || {
                    GATE.enter();
                    assert!(!is_closed.load(Ordering::SeqCst), "it is inside during a fork");
                    GATE.leave();
                })
            };
            GATE.close();
            is_closed.store(true, Ordering::SeqCst);
            is_closed.store(false, Ordering::SeqCst);
            GATE.open();
            comes.join().unwrap();
        });
    }

    /// With more threads than shards, threads share a count of the gate, also with the one that forks.
    #[test]
    fn a_fork_waits_for_threads_of_its_own_shard() {
        explore("fork gate, shared shards", || {
            let data = Data::new();
            ShardNumber::own();
            // These get all other shards, and end.
            let first: Vec<_> = (1..SHARDS).map(|_| spawn(ShardNumber::own)).collect();
            for thread in first {
                thread.join().unwrap();
            }
            let sharing = {
                let data = Arc::clone(&data);
                spawn(move || data.change(0))
            };
            as_if_forking(|| data.look_at_fork());
            sharing.join().unwrap();
        });
    }

    /// Two threads that fork at a time keep all others out until both are done.
    #[test]
    fn two_forks_at_a_time_keep_others_out() {
        explore("two forks", || {
            let data = Data::new();
            let (forks, changes) = (Arc::clone(&data), Arc::clone(&data));
            let forking = spawn(move || as_if_forking(|| forks.look_at_fork()));
            let changing = spawn(move || (0..2).for_each(|_| changes.change(0)));
            as_if_forking(|| data.look_at_fork());
            forking.join().unwrap();
            changing.join().unwrap();
            assert_eq!(data.of_lock.use_it(), 3);
        });
    }

    /// Each thread has a shard of its own while there are enough, and a walk over the shards misses none that a thread
    /// has used.
    #[test]
    fn each_thread_has_a_shard_and_all_are_found() {
        explore("shards", || {
            let shards = Arc::new(Shards::new(Exclusive::new));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let shards = Arc::clone(&shards);
                    spawn(move || {
                        let own = ShardNumber::own();
                        shards.shard(own).use_it();
                        assert!(
                            shards.own_first().next().is_some_and(|first| first.use_it() == 2),
                            "not its own"
                        );
                        own
                    })
                })
                .collect();
            let numbers: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
            assert_ne!(numbers[0], numbers[1]);
            let uses: u32 = shards.own_first().map(|shard| shard.use_it() - 1).sum();
            assert_eq!(uses, 4);
        });
    }
}
