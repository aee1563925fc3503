//! The limit on open connections: each socket holds a [`Permit`] until it is closed.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::os::clock::Moment;
use crate::os::fork;
use crate::os::lock::Lock;
use crate::pool::waiters::Waiters;

/// A function that receives the number of open connections whenever it changes. It is called under a lock, so it
/// must not wait.
pub type Gauge = Box<dyn Fn(i32) + Send>;

/// Counts the open connections of one context.
pub struct Permits {
    count: Lock<Count>,
    waiters: Arc<Waiters>,
}

struct Count {
    open: i32,
    gauge: Option<Gauge>,
}

impl Permits {
    /// A count of zero, which is reported to `gauge`.
    pub fn new(gauge: Gauge) -> Arc<Permits> {
        let count = Lock::new(Count { open: 0, gauge: Some(gauge) });
        Arc::new(Permits { count, waiters: Arc::default() })
    }

    /// The calls that wait for a permit, or for an idle connection.
    pub fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// Returns a permit, unless `limit` permits are in use.
    pub fn acquire(self: &Arc<Self>, limit: i32) -> Option<Permit> {
        let acquired = Moment::now();
        let mut count = self.count.lock();
        if count.open >= limit {
            return None;
        }
        count.change(1);
        Some(Permit { permits: Arc::clone(self), forks: fork::generation(), acquired })
    }

    /// The number of permits in use.
    pub fn open(&self) -> u64 {
        self.count.lock().open.max(0) as u64
    }

    /// Forgets, in a forked child, the permits of the parent, which are not returned here.
    pub fn forget_parent(&self) {
        let mut count = self.count.lock();
        let parents = count.open;
        count.change(-parents);
        drop(count);
        self.waiters.forget_parent();
    }

    /// Stops reporting to the gauge, because its owner is about to be freed.
    pub fn detach(&self) {
        self.count.lock().gauge = None;
    }
}

impl Count {
    fn change(&mut self, by: i32) {
        self.open += by;
        if let Some(gauge) = &self.gauge {
            gauge(self.open);
        }
    }
}

/// The right to one open connection.
pub struct Permit {
    permits: Arc<Permits>,
    /// The fork generation it was acquired in.
    forks: u32,
    acquired: Moment,
}

impl Permit {
    /// Returns the time at which it was acquired.
    pub fn acquired(&self) -> Moment {
        self.acquired
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.forks == fork::generation() {
            self.permits.count.lock().change(-1);
            self.permits.waiters.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use super::*;

    fn counted() -> (Arc<Permits>, Arc<AtomicI32>) {
        let shown = Arc::new(AtomicI32::new(-1));
        let gauge = Arc::clone(&shown);
        (Permits::new(Box::new(move |open| gauge.store(open, Ordering::Relaxed))), shown)
    }

    #[test]
    fn no_permit_is_given_beyond_the_limit() {
        let (permits, shown) = counted();
        let first = permits.acquire(2);
        let second = permits.acquire(2);
        assert!(first.is_some() && second.is_some());
        assert!(permits.acquire(2).is_none(), "a third of two");
        assert_eq!(shown.load(Ordering::Relaxed), 2);
        drop(first);
        assert!(permits.acquire(2).is_some());
        assert_eq!(shown.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_limit_of_zero_or_less_gives_no_permit() {
        let (permits, _) = counted();
        assert!(permits.acquire(0).is_none());
        assert!(permits.acquire(-1).is_none());
    }

    #[test]
    fn nothing_is_reported_after_detach() {
        let (permits, shown) = counted();
        let permit = permits.acquire(1);
        permits.detach();
        drop(permit);
        assert_eq!(shown.load(Ordering::Relaxed), 1);
    }
}
