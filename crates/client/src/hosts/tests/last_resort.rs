//! The last resort: hosts that are out for a reply, and early probes of those that failed.

use std::thread;
use std::time::Instant;

use super::*;
use crate::hosts::attempt_guard::AttemptKind;

fn later(milliseconds: u64) -> Moment {
    at(0).after(Duration::from_millis(milliseconds))
}

/// An attempt that has begun before the blacklisting of the only host.
fn attempt_from_before(hosts: &Arc<Hosts>, host: &Arc<Host>) -> AttemptGuard {
    let mut breakers = hosts.breakers.lock();
    let breaker = breakers.iter_mut().find(|breaker| Arc::ptr_eq(&breaker.host, host)).expect("in the list");
    AttemptGuard::begin(hosts, breaker, AttemptKind::Ordinary)
}

/// The host of a checkout that has no other one left.
fn last_resort(hosts: &Arc<Hosts>, turn: u32, now: Moment) -> Option<AttemptGuard> {
    hosts.begin_last_resort(turn, now, true, |_| true)
}

#[test]
fn hosts_out_for_a_reply_take_turns_if_no_other_is_left() {
    let (hosts, all, shown) = list(3);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Replied);
    hosts.blacklist(&all[1], at(0), TEN, Fault::Reported);
    assert_eq!(available(&hosts), [3]);
    let turns = (0..3).map(|turn| last_resort(&hosts, turn, at(1)).map(|it| it.host().handle()));
    assert_eq!(turns.collect::<Vec<_>>(), [Some(1), Some(2), Some(1)]);
    hosts.blacklist(&all[2], at(0), TEN, Fault::Refused);
    assert_eq!(available(&hosts), [1, 2]);
    assert_eq!(*shown[0].0.lock(), 10, "C still sees it as blacklisted");
    assert_eq!(hosts.not_blacklisted(at(1)).len(), 0);
}

#[test]
fn a_suspect_comes_before_hosts_out_for_a_reply() {
    let (hosts, all, _) = list(2);
    let mut slow = attempt(&hosts, 1, &[1, 2]).expect("an attempt");
    hosts.blacklist(&all[0], at(0), TEN, Fault::Replied);
    slow.mark_slow();
    assert!(available(&hosts).is_empty());
    assert_eq!(attempt(&hosts, 0, &[1, 2]).expect("the suspect").host().handle(), 2);
}

#[test]
fn a_host_that_fails_after_a_reply_is_no_last_resort() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Replied);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    assert!(available(&hosts).is_empty());
    assert!(last_resort(&hosts, 0, later(40)).is_none());
    hosts.blacklist(&all[0], later(10), TEN, Fault::Replied);
    assert!(available(&hosts).is_empty(), "a late reply does not show that it accepts connections");
    assert!(last_resort(&hosts, 0, later(70)).expect("due").is_early_probe());
}

#[test]
fn a_host_that_the_program_took_out_stays_out() {
    for wait in [TEN, None] {
        let (hosts, all, _) = list(1);
        hosts.blacklist(&all[0], at(0), wait, Fault::Ordered);
        hosts.blacklist(&all[0], at(0), Some(Duration::from_secs(5)), Fault::Refused);
        assert!(available(&hosts).is_empty());
        assert!(last_resort(&hosts, 0, at(9)).is_none());
        assert!(probe(&hosts, 9).is_none(), "a failure does not shorten what was ordered");
        assert_eq!(probe(&hosts, 10).is_some(), wait.is_some());
    }
}

#[test]
fn early_probes_are_one_at_a_time_and_back_off() {
    let (hosts, all, shown) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    *shown[0].0.lock() = 7;
    let mut now = 0;
    for delay in [50, 100, 200, 400, 800, 1600] {
        assert!(last_resort(&hosts, 0, later(now + delay - 1)).is_none(), "early by {delay} ms");
        // The jitter is at most a quarter.
        now += delay * 5 / 4 + 1;
        let probe = last_resort(&hosts, 0, later(now)).expect("a probe");
        assert!(last_resort(&hosts, 0, later(now)).is_none(), "a second one beside it");
        assert_eq!(probe.blacklist(later(now), later(now), TEN, Fault::Refused), Some(false));
        drop(probe);
    }
    assert!(last_resort(&hosts, 0, at(9)).is_none(), "another one, shortly before the ordinary one");
    assert_eq!(*shown[0].0.lock(), 7, "what C sees has not changed");
    assert!(probe(&hosts, 10).is_some(), "nor has the end of the blacklisting");
}

#[test]
fn an_early_probe_that_succeeds_makes_the_host_available() {
    let (hosts, all, shown) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    last_resort(&hosts, 0, later(63)).expect("a probe").succeeded();
    assert_eq!(available(&hosts), [1]);
    assert_eq!(*shown[0].0.lock(), 0);
    hosts.blacklist(&all[0], later(100), TEN, Fault::Refused);
    assert!(last_resort(&hosts, 0, later(163)).is_some(), "the back-off begins anew");
}

#[test]
fn other_failures_say_nothing_about_an_early_probe() {
    for fault in [Fault::Write, Fault::Reported, Fault::Replied] {
        let (hosts, all, _) = list(1);
        hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
        let probe = last_resort(&hosts, 0, later(63)).expect("a probe");
        hosts.blacklist(&all[0], later(64), TEN, fault);
        probe.succeeded();
        assert_eq!(available(&hosts), [1]);
    }
}

#[test]
fn a_longer_failure_does_not_lift_an_order() {
    for fault in [Fault::Refused, Fault::Replied] {
        let (hosts, all, shown) = list(1);
        hosts.blacklist(&all[0], at(0), Some(Duration::from_secs(5)), Fault::Ordered);
        hosts.blacklist(&all[0], at(0), TEN, fault);
        assert_eq!(*shown[0].0.lock(), 10);
        assert!(available(&hosts).is_empty());
        assert!(last_resort(&hosts, 0, at(4)).is_none(), "{fault:?}");
        assert!(probe(&hosts, 10).is_some(), "its time is over");
        hosts.unblacklist(&all[0]);
        hosts.blacklist(&all[0], at(20), TEN, Fault::Replied);
        assert_eq!(available(&hosts), [1], "the order was for once");
    }
}

#[test]
fn after_an_order_a_longer_failure_is_as_any_other() {
    for fault in [Fault::Refused, Fault::Replied] {
        let (hosts, all, _) = list(1);
        hosts.blacklist(&all[0], at(0), Some(Duration::from_secs(2)), Fault::Ordered);
        hosts.blacklist(&all[0], at(1), TEN, fault);
        assert!(last_resort(&hosts, 0, later(1999)).is_none(), "{fault:?}");
        assert!(hosts.may_be_tried(at(2), |_| true), "{fault:?}");
        let guard = last_resort(&hosts, 0, at(2)).expect("the order is over");
        assert_eq!(guard.is_early_probe(), fault == Fault::Refused);
    }
}

#[test]
fn a_failure_of_some_time_ago_is_probed_at_once() {
    let (hosts, all, _) = list(1);
    let old = attempt(&hosts, 0, &[1]).expect("an attempt");
    old.blacklist(at(1), at(1), TEN, Fault::TimedOut);
    drop(old);
    assert!(last_resort(&hosts, 0, at(4)).expect("due since 1.06 s").is_early_probe());
    hosts.unblacklist(&all[0]);
    let older = attempt(&hosts, 0, &[1]).expect("an attempt");
    older.blacklist(at(5), at(5), TEN, Fault::TimedOut);
    drop(older);
    assert!(probe(&hosts, 16).is_some(), "its time is over");
}

#[test]
fn an_old_failure_shortens_neither_an_order_nor_a_blacklisting() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Ordered);
    let old = attempt_from_before(&hosts, &all[0]);
    hosts.blacklist(&all[0], at(5), TEN, Fault::TimedOut);
    assert_eq!(old.blacklist(at(1), at(6), Some(Duration::from_secs(2)), Fault::TimedOut), Some(false));
    assert!(last_resort(&hosts, 0, at(9)).is_none() && probe(&hosts, 9).is_none());
    assert_eq!(old.blacklist(at(4), at(6), TEN, Fault::Refused), Some(false));
    drop(old);
    assert!(probe(&hosts, 14).is_none() && probe(&hosts, 15).is_some());
}

#[test]
fn an_order_during_an_early_probe_prevails() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    let probe = last_resort(&hosts, 0, later(63)).expect("a probe");
    hosts.blacklist(&all[0], later(64), None, Fault::Ordered);
    probe.succeeded();
    assert!(available(&hosts).is_empty());
    assert!(last_resort(&hosts, 0, at(100)).is_none());
}

#[test]
fn an_early_probe_without_a_result_leaves_it_to_the_next() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    drop(last_resort(&hosts, 0, later(63)).expect("a probe"));
    assert!(available(&hosts).is_empty());
    assert!(last_resort(&hosts, 0, later(63)).is_some());
}

#[test]
fn a_failed_early_probe_that_outlasts_the_blacklisting_begins_another() {
    let (hosts, all, shown) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::TimedOut);
    let early = last_resort(&hosts, 0, at(3)).expect("a probe");
    assert_eq!(hosts.not_blacklisted(at(11)).len(), 1);
    assert!(probe(&hosts, 11).is_none(), "a second probe beside it");
    *shown[0].0.lock() = 0;
    assert_eq!(early.blacklist(at(12), at(12), TEN, Fault::TimedOut), Some(true));
    drop(early);
    assert_eq!(*shown[0].0.lock(), 10);
    assert!(probe(&hosts, 21).is_none());
    assert!(probe(&hosts, 22).is_some());
}

#[test]
fn the_snapshot_knows_when_an_early_probe_is_due() {
    let (hosts, all, _) = list(2);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    assert_eq!(hosts.snapshot(at(0)).probe_at, at(10), "no early probe while another host is available");
    hosts.blacklist(&all[1], later(0), TEN, Fault::Replied);
    let due = hosts.snapshot(at(0)).probe_at;
    assert!(due >= later(50) && due <= later(63), "{due:?}");
}

#[test]
fn a_call_waits_for_the_result_of_a_probe() {
    let (hosts, all, _) = list(2);
    let long = Duration::from_secs(60);
    assert!(!hosts.wait_for_probe(|_| true, long), "no probe is under way");
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    let probe = last_resort(&hosts, 0, later(63)).expect("a probe");
    assert!(!hosts.wait_for_probe(|host| host.handle() != 1, long), "none that is wanted");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let begin = Instant::now();
            while hosts.wait_for_probe(|_| true, long) {}
            begin.elapsed()
        });
        while hosts.change.waiting() == 0 {
            thread::yield_now();
        }
        probe.succeeded();
        assert!(waiter.join().unwrap() < long, "it was told");
    });
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    let ordinary = super::probe(&hosts, 10).expect("a probe");
    assert!(hosts.wait_for_probe(|_| true, Duration::ZERO), "an ordinary probe too");
    drop(ordinary);
}

#[test]
fn a_child_forgets_the_early_probe_of_its_parent() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    let parents = last_resort(&hosts, 0, later(63)).expect("a probe");
    hosts.forget_parent();
    assert!(!hosts.wait_for_probe(|_| true, Duration::from_secs(60)));
    assert!(last_resort(&hosts, 0, later(63)).is_some());
    std::mem::forget(parents);
}

#[test]
fn a_list_says_whether_any_host_may_be_tried() {
    let (hosts, all, _) = list(1);
    assert!(hosts.may_be_tried(at(0), |_| true));
    hosts.blacklist(&all[0], at(0), TEN, Fault::Ordered);
    assert!(!hosts.may_be_tried(at(9), |_| true) && hosts.may_be_tried(at(10), |_| true));
    hosts.unblacklist(&all[0]);
    hosts.blacklist(&all[0], at(20), TEN, Fault::Replied);
    assert!(hosts.may_be_tried(at(20), |_| true));
    hosts.blacklist(&all[0], at(20), TEN, Fault::Refused);
    assert!(!hosts.may_be_tried(at(20), |_| true) && hosts.may_be_tried(at(21), |_| true));
    let probe = last_resort(&hosts, 0, at(21)).expect("due");
    assert!(hosts.may_be_tried(at(21), |_| true), "its result is waited for");
    drop(probe);
    assert!(!Hosts::new().may_be_tried(at(0), |_| true));
}

#[test]
fn the_reason_names_each_host_its_fault_and_the_time_left() {
    let (hosts, all, _) = list(3);
    let now = at(0);
    assert_eq!(Hosts::new().why_none_is_left(now, |_| true).as_deref(), Some("the list of hosts is empty"));
    hosts.blacklist(&all[0], now, TEN, Fault::Refused);
    hosts.blacklist(&all[1], now, None, Fault::Ordered);
    assert_eq!(
        hosts.why_none_is_left(now, |host| host.handle() < 3).as_deref(),
        Some(
            "no host is left: 127.0.0.1:80 is out for 10 s (refused), 127.0.0.2:80 is out for good (ordered)"
        )
    );
    assert_eq!(hosts.why_none_is_left(now, |_| false), None);
}

#[test]
fn a_failure_that_is_no_probe_leaves_the_back_off_as_it_is() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    hosts.blacklist(&all[0], later(10), TEN, Fault::Refused);
    assert!(last_resort(&hosts, 0, later(70)).is_some(), "the first back-off, and its jitter, are over");
}

#[test]
fn an_order_counts_while_an_early_probe_is_under_way() {
    let (hosts, all, shown) = list(1);
    hosts.blacklist(&all[0], later(0), TEN, Fault::Refused);
    let probe = last_resort(&hosts, 0, later(70)).expect("a probe");
    let hundred = Some(Duration::from_secs(100));
    assert_eq!(hosts.blacklist(&all[0], later(71), hundred, Fault::Ordered), Some(true));
    assert_eq!(*shown[0].0.lock(), 100);
    probe.succeeded();
    assert!(available(&hosts).is_empty(), "its success does not lift the order");
}

#[test]
fn a_probe_of_a_host_whose_time_is_over_is_no_early_one() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    let due = probe(&hosts, 10).expect("a probe");
    assert!(due.is_probe() && !due.is_early_probe());
    drop(due);
    let ordinary = {
        hosts.unblacklist(&all[0]);
        attempt(&hosts, 0, &[1]).expect("an attempt")
    };
    assert!(!ordinary.is_probe() && !ordinary.is_early_probe());
}
