//! Whose turn it is, when many threads take turns at once.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Moment;

/// How many turns a busy thread takes at a time beside the one it counts first: 17 in all, a prime, so that
/// threads which go through theirs side by side are not all at the same host.
const BLOCK: u32 = 16;

/// The turns that a lane has to give. A counter that two processors keep writing made a checkout of each take 1.4
/// times as long: a thread that is not alone, and busy, takes several turns at once. While a single thread counts,
/// each turn is counted when it is given.
#[derive(Default)]
pub struct Turns {
    next: u32,
    left: u32,
    /// When one was last counted.
    counted_at: Moment,
}

impl Turns {
    /// The next turn; `calls` counts those of all lanes.
    #[inline]
    pub fn take(&mut self, calls: &AtomicU32, now: Moment) -> u32 {
        if self.left == 0 {
            return self.count(calls, now);
        }
        let turn = self.next;
        self.next = turn.wrapping_add(1);
        self.left -= 1;
        turn
    }

    #[inline]
    fn count(&mut self, calls: &AtomicU32, now: Moment) -> u32 {
        let turn = calls.fetch_add(1, Ordering::Relaxed);
        let is_alone = turn == self.next;
        let is_busy = now == self.counted_at;
        self.counted_at = now;
        self.next = turn.wrapping_add(1);
        if is_busy && !is_alone {
            self.next = calls.fetch_add(BLOCK, Ordering::Relaxed);
            self.left = BLOCK;
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::default().after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_single_thread_counts_each_turn() {
        let (calls, mut turns) = (AtomicU32::new(u32::MAX - 10), Turns::default());
        for call in 0..1000_u32 {
            assert_eq!(turns.take(&calls, at(1)), (u32::MAX - 10).wrapping_add(call));
            assert_eq!(calls.load(Ordering::Relaxed), (u32::MAX - 10).wrapping_add(call + 1));
        }
    }

    #[test]
    fn threads_that_take_their_time_count_each_turn() {
        let (calls, mut lanes) = (AtomicU32::new(0), [Turns::default(), Turns::default()]);
        for call in 0..1000 {
            assert_eq!(lanes[call as usize % 2].take(&calls, at(call.into())), call);
        }
    }

    #[test]
    fn busy_threads_take_blocks_and_give_each_turn_once() {
        const CALLS: u32 = 1700;
        let (calls, mut lanes) = (AtomicU32::new(0), [Turns::default(), Turns::default()]);
        let mut given: Vec<u32> =
            (0..CALLS).map(|call| lanes[call as usize % 2].take(&calls, at(1))).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len() as u32, CALLS, "a turn was given twice");
        let left = lanes.iter().map(|lane| lane.left).sum::<u32>();
        assert_eq!(calls.load(Ordering::Relaxed), CALLS + left, "a turn was lost");
        assert!(left > 0, "no blocks were taken");
    }

    #[test]
    fn a_thread_that_is_alone_again_counts_each_turn() {
        let (calls, mut lanes) = (AtomicU32::new(0), [Turns::default(), Turns::default()]);
        for call in 0..100 {
            lanes[call % 2].take(&calls, at(1));
        }
        for _ in 0..3 * BLOCK {
            lanes[0].take(&calls, at(1));
        }
        let counted = calls.load(Ordering::Relaxed);
        assert_eq!(lanes[0].take(&calls, at(1)), counted);
        assert_eq!(calls.load(Ordering::Relaxed), counted + 1);
    }
}
