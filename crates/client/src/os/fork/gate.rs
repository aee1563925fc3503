//! A gate: a fork closes it, and waits until no other thread is inside.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::thread::{HELPERS, SHARDS, THREAD, is_shard_shared, own_shard};
use crate::os::sync::atomic::{AtomicU32, Ordering};
use crate::os::sync::{Instant, futex_wait, futex_wake, yield_now};
use crate::os::sys;

/// The number of counts of a gate: one for each shard, [`HELPERS`] included. A power of two, so that a remainder of it
/// costs one instruction.
const COUNTS: usize = 2 * SHARDS;

/// A gate. `KIND` is its index in the depths of a thread.
pub struct Gate<const KIND: usize> {
    /// The number of forks that keep the gate closed. Threads wait on it by futex(2).
    closed: AtomicU32,
    /// The number of threads inside, by shard.
    inside: [CachePadded<AtomicU32>; COUNTS],
    /// The longest wait of a fork for the threads inside, and of a thread for a fork.
    timeout: Duration,
}

impl<const KIND: usize> Gate<KIND> {
    /// Makes an open gate.
    pub const fn new(timeout: Duration) -> Self {
        let inside = [const { CachePadded::new(AtomicU32::new(0)) }; COUNTS];
        Gate { closed: AtomicU32::new(0), inside, timeout }
    }

    /// Enters. Waits for a fork that is under way, unless the calling thread is inside already or is the one that
    /// forks.
    #[inline(always)]
    pub fn enter(&self) {
        THREAD.with(|thread| {
            let depth = &thread.depths[KIND];
            if depth.get() == 0 {
                let inside = &self.inside[thread.shard() % COUNTS];
                // Sequentially consistent, as are the accesses in `close`: either this thread sees that the gate is
                // closed, or the fork sees that this thread is inside.
                inside.fetch_add(1, Ordering::SeqCst);
                if self.closed.load(Ordering::SeqCst) != 0 && !thread.is_forking.get() {
                    self.wait_for_fork(inside);
                }
            }
            depth.set(depth.get() + 1);
        });
    }

    /// Leaves.
    #[inline(always)]
    pub fn leave(&self) {
        THREAD.with(|thread| {
            let depth = &thread.depths[KIND];
            depth.set(depth.get() - 1);
            if depth.get() == 0 {
                self.inside[thread.shard() % COUNTS].fetch_sub(1, Ordering::Release);
            }
        });
    }

    /// Waits outside until the fork is over. Gives up after the timeout: a fork handler of the program may make the
    /// thread that forks wait for this one.
    #[cold]
    fn wait_for_fork(&self, inside: &AtomicU32) {
        let deadline = Instant::now() + self.timeout;
        while self.closed.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
            inside.fetch_sub(1, Ordering::SeqCst);
            loop {
                let forks = self.closed.load(Ordering::SeqCst);
                if forks == 0 || Instant::now() >= deadline {
                    break;
                }
                futex_wait(&self.closed, forks, Some(Duration::from_millis(10)));
            }
            inside.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Closes the gate and waits until no other thread is inside, but not longer than the timeout.
    pub fn close(&self) {
        // The thread that forks gets its shard first: it may be the one by which shards become shared.
        own_shard();
        self.closed.fetch_add(1, Ordering::SeqCst);
        // Read after the gate was closed: a thread that gets a shard from now on finds the gate closed.
        let is_shard_shared = is_shard_shared();
        let deadline = Instant::now() + self.timeout;
        let mut round = 0_u32;
        while self.is_another_inside(is_shard_shared) {
            if round > 10 && Instant::now() >= deadline {
                return;
            }
            pause(round);
            round = round.saturating_add(1);
        }
    }

    /// True if a thread other than the calling one is inside.
    ///
    /// The calling thread may be in a signal handler that has interrupted [`Gate::enter`] or [`Gate::leave`] between the
    /// change of the count and that of the depth. While every thread has a shard of its own, the counts of the other
    /// shards tell, and the depth is not needed. With more threads such a fork waits for the timeout.
    fn is_another_inside(&self, is_shard_shared: bool) -> bool {
        let own_shard = own_shard();
        let count = |shard: usize| self.inside[shard].load(Ordering::SeqCst);
        let own = THREAD.with(|thread| u32::from(thread.depths[KIND].get() > 0));
        (0..=HELPERS).any(|shard| shard != own_shard && count(shard) > 0)
            || is_shard_shared && count(own_shard) > own
    }

    /// Opens the gate after a fork, in the parent.
    pub fn open(&self) {
        self.closed.fetch_sub(1, Ordering::SeqCst);
        futex_wake(&self.closed, i32::MAX);
    }

    /// Opens the gate in a child, where the calling thread is the only one.
    pub fn open_in_child(&self) {
        self.closed.store(0, Ordering::SeqCst);
        self.forget_others(is_shard_shared());
    }

    /// Removes all threads but the calling one from the counts. If the calling thread has a shard of its own, the count
    /// of that is right, even if a signal handler forks in the middle of [`Gate::enter`] or [`Gate::leave`].
    fn forget_others(&self, is_shard_shared: bool) {
        let own_shard = own_shard();
        for (shard, count) in self.inside.iter().enumerate() {
            if shard != own_shard {
                count.store(0, Ordering::Relaxed);
            } else if is_shard_shared {
                let own = THREAD.with(|thread| u32::from(thread.depths[KIND].get() > 0));
                count.store(own, Ordering::Relaxed);
            }
        }
    }
}

/// Lets other threads run, for longer from round to round. A thread of higher priority must sleep in the end, so that
/// one of lower priority can go on.
pub fn pause(round: u32) {
    match round {
        _ if cfg!(model) => yield_now(),
        0..100 => std::hint::spin_loop(),
        100..110 => yield_now(),
        _ => sys::without_cancellation(|| thread::sleep(Duration::from_micros(50))),
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use super::*;

    const KIND: usize = 0;

    #[test]
    fn a_closed_gate_lets_nobody_in_and_everybody_out() {
        static GATE: Gate<KIND> = Gate::new(Duration::from_secs(20));
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel();
        let has_left = AtomicBool::new(false);
        thread::scope(|scope| {
            let has_left = &has_left;
            scope.spawn(move || {
                GATE.enter();
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
                // A thread that is inside may go on, and deeper.
                GATE.enter();
                GATE.leave();
                has_left.store(true, Ordering::Relaxed);
                GATE.leave();
            });
            has_entered.recv().unwrap();
            let closing = scope.spawn(|| GATE.close());
            while GATE.closed.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let (passed, has_passed) = mpsc::channel();
            scope.spawn(move || {
                GATE.enter();
                GATE.leave();
                passed.send(()).unwrap();
            });
            leave.send(()).unwrap();
            closing.join().unwrap();
            assert!(has_left.load(Ordering::Relaxed), "closed with a thread inside");
            assert!(has_passed.recv_timeout(Duration::from_millis(50)).is_err(), "let in while closed");
            GATE.open();
            assert_eq!(has_passed.recv_timeout(Duration::from_secs(20)), Ok(()));
        });
    }

    #[test]
    fn the_thread_that_forks_does_not_wait_for_itself() {
        static GATE: Gate<KIND> = Gate::new(Duration::from_secs(20));
        GATE.enter();
        let begin = Instant::now();
        GATE.close();
        assert!(begin.elapsed() < Duration::from_secs(20));
        GATE.open_in_child();
        GATE.leave();
        assert!(GATE.inside.iter().all(|count| count.load(Ordering::Relaxed) == 0));
    }

    /// The steps of [`Gate::enter`] and [`Gate::leave`] one by one, with a fork after the first: a signal handler can
    /// fork there. Shards are passed as not shared, since the test harness has any number of threads.
    #[test]
    fn a_fork_in_the_middle_of_enter_or_leave_keeps_the_count_right() {
        static GATE: Gate<KIND> = Gate::new(Duration::from_secs(20));
        let inside = &GATE.inside[own_shard()];
        let set_depth = |depth| THREAD.with(|thread| thread.depths[KIND].set(depth));
        let fork = || {
            assert!(!GATE.is_another_inside(false), "waits for itself");
            GATE.forget_others(false);
        };

        inside.fetch_add(1, Ordering::SeqCst);
        fork();
        set_depth(1);
        GATE.leave();
        assert_eq!(inside.load(Ordering::Relaxed), 0, "the count underflows");

        GATE.enter();
        set_depth(0);
        fork();
        inside.fetch_sub(1, Ordering::Release);
        assert_eq!(inside.load(Ordering::Relaxed), 0, "the count underflows");
    }

    #[test]
    fn a_fork_waits_no_longer_than_the_timeout() {
        static GATE: Gate<KIND> = Gate::new(Duration::from_millis(20));
        thread::scope(|scope| {
            let (leave, may_leave) = mpsc::channel::<()>();
            let (entered, has_entered) = mpsc::channel();
            scope.spawn(move || {
                GATE.enter();
                entered.send(()).unwrap();
                let _ = may_leave.recv();
                GATE.leave();
            });
            has_entered.recv().unwrap();
            GATE.close();
            GATE.open();
            drop(leave);
        });
    }
}
