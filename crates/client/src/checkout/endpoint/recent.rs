//! Endpoints by name. Each is kept while a connection leads to it, and for some time after its last use, so
//! that later connections find its addresses and TLS sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Endpoint;
use crate::os::clock::Moment;

/// An endpoint that was not used for this long is forgotten.
pub const UNUSED_FOR: Duration = Duration::from_secs(300);

/// The largest number of endpoints to keep beside those in use, so that made-up names cannot fill the memory.
const MOST: usize = 1024;

/// Endpoints that were used recently.
pub struct Recent {
    by_key: BTreeMap<Box<[u8]>, Used>,
    /// The number of endpoints at which some are forgotten.
    limit: usize,
    /// The time of the next search for unused ones.
    next_look: Moment,
}

struct Used {
    endpoint: Arc<Endpoint>,
    last: Moment,
}

impl Used {
    /// True if anything but the table refers to it. Only the table hands endpoints out, so an unused one stays
    /// unused while the table is locked.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.endpoint) > 1
    }
}

/// Endpoints that were forgotten. Drop them without holding a lock, since that frees TLS sessions.
#[must_use]
pub struct Forgotten {
    _endpoints: Vec<Arc<Endpoint>>,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { by_key: BTreeMap::new(), limit: MOST, next_look: Moment::default() }
    }
}

impl Recent {
    /// The endpoint of this key. Counts as a use.
    pub fn get(&mut self, key: &[u8], now: Moment) -> Option<Arc<Endpoint>> {
        let used = self.by_key.get_mut(key)?;
        used.last = now;
        Some(Arc::clone(&used.endpoint))
    }

    /// The endpoint of this key. Does not count as a use.
    pub fn peek(&self, key: &[u8]) -> Option<&Arc<Endpoint>> {
        self.by_key.get(key).map(|used| &used.endpoint)
    }

    /// Inserts an endpoint, unless there is one of this key already. Returns the one in the table, which counts
    /// as a use, and those that were forgotten to make room.
    pub fn insert(&mut self, key: &[u8], endpoint: Arc<Endpoint>, now: Moment) -> (Arc<Endpoint>, Forgotten) {
        if let Some(known) = self.get(key, now) {
            return (known, Forgotten { _endpoints: vec![endpoint] });
        }
        let forgotten = if self.by_key.len() < self.limit { Forgotten::none() } else { self.make_room() };
        self.by_key.insert(key.into(), Used { endpoint: Arc::clone(&endpoint), last: now });
        (endpoint, forgotten)
    }

    /// Forgets endpoints that were not used for some time. Searches only once in a while.
    pub fn forget_unused(&mut self, now: Moment) -> Forgotten {
        if now < self.next_look {
            return Forgotten::none();
        }
        self.next_look = now.after(UNUSED_FOR / 10);
        self.forget(|used| used.last.after(UNUSED_FOR) <= now)
    }

    /// Forgets the endpoints whose last use is longest ago, except those in use, down to half of the limit.
    fn make_room(&mut self) -> Forgotten {
        let mut last: Vec<Moment> = self.by_key.values().map(|used| used.last).collect();
        let mut surplus = last.len() - MOST / 2;
        let (_, &mut latest, _) = last.select_nth_unstable(surplus - 1);
        // Among those used at the same clock tick, no more than necessary are forgotten.
        let forgotten = self.forget(|used| {
            let goes = used.last <= latest && surplus > 0;
            surplus -= usize::from(goes);
            goes
        });
        // If many are in use, the limit rises, so that not every insertion searches.
        self.limit = MOST.max(self.by_key.len() + MOST / 2);
        forgotten
    }

    fn forget(&mut self, mut is_old: impl FnMut(&Used) -> bool) -> Forgotten {
        let mut forgotten = Forgotten::none();
        self.by_key.retain(|_, used| {
            let goes = !used.is_in_use() && is_old(used);
            if goes {
                forgotten._endpoints.push(Arc::clone(&used.endpoint));
            }
            !goes
        });
        forgotten
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_key.values().map(|used| &used.endpoint)
    }
}

impl Forgotten {
    fn none() -> Forgotten {
        Forgotten { _endpoints: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::host_name::HostName;
    use crate::net::resolve::Addresses;
    use crate::os::shards::ShardNumber;
    use crate::pool::metrics::CloseReason;
    use crate::pool::{Ending, IdleSet, Pool, Poolable};

    /// A connection that is never made.
    enum Never {}

    impl Poolable for Never {
        fn idle_set(&self) -> Option<&IdleSet> {
            match *self {}
        }
        fn shard(&self) -> ShardNumber {
            match *self {}
        }
        fn set_shard(&mut self, _: ShardNumber) {}
        fn is_good(&mut self, _: bool) -> bool {
            match *self {}
        }
        fn reuses(&self) -> u32 {
            match *self {}
        }
        fn set_idle_since(&mut self, _: Moment) {
            match *self {}
        }
        fn ending(&self, _: Moment, _: Moment) -> Option<Ending> {
            match *self {}
        }
        fn close(self, _: CloseReason) {}
    }

    fn at(second: u64) -> Moment {
        Moment::default().after(Duration::from_secs(second))
    }

    /// An endpoint with a pool of its own.
    fn endpoint() -> Arc<Endpoint> {
        let name = HostName::new(c"name").unwrap();
        let pool: Pool<Never> = Pool::new();
        Endpoint::unlisted(c"80".to_owned(), Addresses::new(name, 80), pool.add_idle_set())
    }

    fn insert(recent: &mut Recent, key: &[u8], second: u64) -> (Arc<Endpoint>, usize) {
        let (endpoint, forgotten) = recent.insert(key, endpoint(), at(second));
        (endpoint, forgotten._endpoints.len())
    }

    #[test]
    fn an_endpoint_is_kept_for_some_time_after_its_last_use() {
        let mut recent = Recent::default();
        let made = insert(&mut recent, b"a", 1000).0;
        insert(&mut recent, b"b", 1000);
        let whole = UNUSED_FOR.as_secs();
        assert!(Arc::ptr_eq(&recent.get(b"a", at(1000 + whole / 2)).unwrap(), &made));
        drop(made);
        assert!(recent.forget_unused(at(1000 + whole - 1))._endpoints.is_empty());
        assert!(recent.forget_unused(at(1000 + whole))._endpoints.is_empty(), "it has just searched");
        assert_eq!(recent.forget_unused(at(1000 + 3 * whole / 2 - 1))._endpoints.len(), 1, "b is gone");
        assert!(recent.peek(b"a").is_some());
        assert_eq!(recent.forget_unused(at(1000 + 2 * whole))._endpoints.len(), 1);
        assert!(recent.peek(b"a").is_none());
    }

    #[test]
    fn an_endpoint_in_use_is_kept() {
        let mut recent = Recent::default();
        let made = insert(&mut recent, b"a", 1000).0;
        assert!(recent.forget_unused(at(1_000_000))._endpoints.is_empty());
        assert!(Arc::ptr_eq(recent.peek(b"a").unwrap(), &made));
    }

    #[test]
    fn a_key_has_one_endpoint() {
        let mut recent = Recent::default();
        let (first, second) = (insert(&mut recent, b"a", 1000).0, insert(&mut recent, b"a", 1001).0);
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn the_number_is_bounded() {
        for seconds in [1, 0] {
            let mut recent = Recent::default();
            let in_use = insert(&mut recent, b"in use", 1000).0;
            for number in 0..20 * MOST as u64 {
                insert(&mut recent, &number.to_ne_bytes(), 1000 + seconds * number);
                assert!(recent.by_key.len() <= MOST + 1);
            }
            assert!(recent.all().count() >= MOST / 2);
            assert!(Arc::ptr_eq(recent.peek(b"in use").unwrap(), &in_use));
            let newest = 20 * MOST as u64 - 1;
            assert!(seconds == 0 || recent.peek(&newest.to_ne_bytes()).is_some(), "the oldest went");
        }
    }

    #[test]
    fn endpoints_in_use_are_not_searched_at_every_insertion() {
        let mut recent = Recent::default();
        let (mut in_use, mut searches) = (Vec::new(), 0);
        for number in 0..4 * MOST {
            let before = recent.limit;
            in_use.push(insert(&mut recent, &number.to_ne_bytes(), 1000).0);
            searches += usize::from(recent.limit != before);
        }
        assert_eq!(recent.all().count(), in_use.len());
        assert!(searches <= 8, "{searches}");
        drop(in_use);
        for number in 4 * MOST..5 * MOST {
            insert(&mut recent, &number.to_ne_bytes(), 1001);
        }
        assert!(recent.all().count() <= MOST, "unused, they make room");
    }
}
