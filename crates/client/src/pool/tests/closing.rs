//! Tests of why connections are closed, and of what is counted.

use super::*;

impl Fixture {
    /// The connections that were closed since the last call, in the order of their numbers.
    fn closed(&self) -> Vec<(u32, CloseReason)> {
        let mut closed = std::mem::take(&mut *self.closed.lock().unwrap());
        closed.sort_unstable_by_key(|(id, _)| *id);
        closed
    }
}

#[test]
fn connections_are_closed_for_their_reasons() {
    let fixture = Fixture::with_good([1, 2]);
    assert_eq!(fixture.own(101), None, "both were idle for 100 s");
    assert_eq!(fixture.closed(), [(1, CloseReason::Expired), (2, CloseReason::Expired)]);

    fixture.release(fixture.good(3), 101);
    fixture.release(Fake { good: false, ..fixture.good(4) }, 102);
    assert_eq!(fixture.own(102), None, "a stale one ends the older one");
    assert_eq!(fixture.closed(), [(3, CloseReason::Stale), (4, CloseReason::Stale)]);

    fixture.release(Fake { reuses: 50, ..fixture.good(5) }, 103);
    assert_eq!(fixture.own(103), None);
    assert_eq!(fixture.closed(), [(5, CloseReason::UsedUp)]);

    fixture.release(fixture.good(6), 104);
    fixture.pool.close_expired(at(204), limits());
    assert_eq!(fixture.closed(), [(6, CloseReason::Expired)]);

    fixture.release(fixture.good(7), 205);
    assert!(fixture.pool.close_oldest());
    assert_eq!(fixture.closed(), [(7, CloseReason::Evicted)]);
    assert!(!fixture.pool.close_oldest(), "there is none");

    fixture.release(fixture.good(8), 206);
    fixture.release(fixture.good(9), 206);
    fixture.pool.close_matching(&fixture.set, |fake| fake.id == 8);
    assert_eq!(fixture.closed(), [(8, CloseReason::Left)]);
    fixture.pool.suspend(&fixture.set);
    assert_eq!(fixture.closed(), [(9, CloseReason::HostOut)]);

    fixture.set.resume();
    fixture.release(fixture.good(10), 207);
    fixture.pool.close(&fixture.set);
    assert_eq!(fixture.closed(), [(10, CloseReason::Left)]);
}

#[test]
fn a_child_closes_what_it_inherited_and_counts_from_zero() {
    let fixture = Fixture::with_good([1, 2, 3]);
    assert_eq!(fixture.own(3), Some(3));
    fixture.pool.forget_parent();
    assert_eq!((fixture.pool.idle(), fixture.pool.reused()), (0, 0));
    assert_eq!(fixture.any(3), None, "it uses none of its parent's");
    assert_eq!(fixture.closed(), [], "the fork itself closes nothing");
    fixture.pool.close_inherited();
    assert_eq!(fixture.closed(), [(1, CloseReason::Left), (2, CloseReason::Left)]);
    fixture.pool.close_inherited();
    assert_eq!(fixture.closed(), [], "once");
}

#[test]
fn idle_connections_and_reuses_are_counted() {
    let fixture = Fixture::with_good([1, 2, 3, 4]);
    let other = fixture.pool.add_idle_set();
    let counts = || (fixture.pool.idle(), fixture.pool.idle_in(&fixture.set), fixture.pool.idle_in(&other));
    assert_eq!(counts(), (4, 4, 0));
    fixture.release_elsewhere(Fake { set: Arc::new(fixture.pool.add_idle_set()), ..fixture.good(5) }, 4);
    assert_eq!(counts(), (5, 4, 0));
    assert_eq!((fixture.own(4), fixture.any(4)), (Some(4), Some(3)));
    assert_eq!((counts(), fixture.pool.reused()), ((3, 2, 0), 2));
    fixture.release(Fake { good: false, ..fixture.good(6) }, 5);
    assert_eq!(fixture.own(5), None);
    assert_eq!((counts(), fixture.pool.reused()), ((1, 0, 0), 2), "a stale one was not reused");
}

#[test]
fn a_set_is_open_or_suspended_or_closed() {
    let set = Fixture::new().set;
    let state = || (set.is_open(), set.is_suspended());
    assert_eq!(state(), (true, false));
    set.suspend();
    assert_eq!(state(), (false, true));
    set.resume();
    assert_eq!(state(), (true, false));
    set.close();
    assert_eq!(state(), (false, false));
    set.suspend();
    set.resume();
    assert_eq!(state(), (false, false), "closed for good");
}

#[test]
fn the_narrower_of_known_limits_counts() {
    let known = |idle: Option<u64>, uses| Known { idle: idle.map(Duration::from_secs), uses };
    assert_eq!(known(Some(2), Some(7)).least(known(Some(3), Some(6))), known(Some(2), Some(6)));
    assert_eq!(known(None, Some(7)).least(known(Some(3), None)), known(Some(3), Some(7)));
    assert_eq!(known(None, None).to_string(), "no idle timeout is known, no limit on requests is known");
    assert_eq!(
        known(Some(2), Some(7)).to_string(),
        "idle connections are used within 2.000 s, a connection is used 7 times at most"
    );
}

/// The number of uses that is known after two connections were ended at once after 5 requests. `beside`: the uses of an
/// older one that lives on. `served`: the uses of others before.
fn known_uses(beside: Option<u32>, served: &[u32]) -> Option<u32> {
    let fixture = Fixture::new();
    for uses in served {
        fixture.set.note_served(*uses, at(0));
    }
    for round in 1..=2 {
        let begin = round * 10;
        if let Some(uses) = beside {
            fixture.release(Fake { reuses: uses - 1, ..fixture.good(1) }, begin);
        }
        let ended = Some(Duration::ZERO);
        fixture.release(Fake { good: false, reuses: 4, ended_after: ended, ..fixture.good(2) }, begin + 1);
        assert_eq!(fixture.any(begin + 2), None);
    }
    fixture.set.known().uses
}

#[test]
fn a_connection_that_served_more_shows_that_requests_are_not_limited() {
    assert_eq!(known_uses(None, &[]), Some(5));
    assert_eq!(known_uses(Some(5), &[]), Some(5));
    assert_eq!(known_uses(Some(6), &[]), None);
    assert_eq!(known_uses(None, &[5]), Some(5));
    for served in [&[6][..], &[6, 3], &[3, 6]] {
        assert_eq!(known_uses(None, served), None, "{served:?}");
    }
}
