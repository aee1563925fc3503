mod last_resort;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::net::authority::{Authority, parse_list};
use crate::net::resolve::Addresses;

/// The state that C would see: seconds of blacklisting, 0 for none, -1 for good.
#[derive(Clone, Default)]
struct Shown(Arc<Lock<i64>>);

impl Observer for Shown {
    fn show_blacklisted(&self, wait: Option<Duration>) {
        *self.0.lock() = wait.map_or(-1, |wait| wait.as_secs() as i64);
    }
    fn show_available(&self) {
        *self.0.lock() = 0;
    }
    fn show_addresses(&self, _: &[SocketAddr]) {}
}

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(1000 + seconds))
}

const TEN: Option<Duration> = Some(Duration::from_secs(10));

/// A list of hosts 127.0.0.1, 127.0.0.2 ..., and what each shows to C.
fn list(count: usize) -> (Arc<Hosts>, Vec<Arc<Host>>, Vec<Shown>) {
    let hosts = Hosts::new();
    let mut shown = Vec::new();
    for number in 1..=count {
        let name = format!("127.0.0.{number}");
        let addresses = Addresses::of(&name, 80);
        let host = Host::new(c"80".to_owned(), addresses, number);
        let observer = Shown::default();
        shown.push(observer.clone());
        hosts.insert(number - 1, host, Box::new(observer));
    }
    let all = hosts.all();
    (hosts, all, shown)
}

fn available(hosts: &Hosts) -> Vec<usize> {
    hosts.snapshot(at(0)).available.iter().map(|host| host.handle()).collect()
}

fn probe(hosts: &Arc<Hosts>, seconds: u64) -> Option<AttemptGuard> {
    hosts.begin_probe(at(seconds), |_| true)
}

#[test]
fn a_blacklisted_host_is_out_and_shown_as_such() {
    let (hosts, all, shown) = list(3);
    let before = hosts.version();
    assert_eq!(hosts.blacklist(&all[1], at(0), TEN, Fault::Refused), Some(true));
    assert_ne!(hosts.version(), before, "a snapshot taken before would be taken for current");
    assert_eq!(available(&hosts), [1, 3]);
    assert_eq!(hosts.snapshot(at(0)).probe_at, at(10));
    assert_eq!(*shown[1].0.lock(), 10);
    assert!(hosts.unblacklist(&all[1]));
    assert_eq!(available(&hosts), [1, 2, 3]);
    assert_eq!(*shown[1].0.lock(), 0);
}

#[test]
fn a_single_probe_begins_when_the_blacklisting_expires() {
    let (hosts, all, _) = list(2);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    assert!(probe(&hosts, 9).is_none(), "the blacklisting has not expired");
    let first = probe(&hosts, 10).expect("a probe");
    assert_eq!(first.host().handle(), 1);
    assert!(probe(&hosts, 10).is_none(), "a second probe at the same time");
    assert_eq!(available(&hosts), [2], "others use the rest meanwhile");
    first.succeeded();
    assert_eq!(available(&hosts), [1, 2]);
}

#[test]
fn a_failed_probe_blacklists_the_host_again() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    let first = probe(&hosts, 10).expect("a probe");
    hosts.blacklist(&all[0], at(11), TEN, Fault::Refused);
    drop(first);
    assert!(probe(&hosts, 20).is_none());
    assert!(probe(&hosts, 21).is_some());
}

#[test]
fn a_probe_without_a_result_leaves_it_to_the_next() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    drop(probe(&hosts, 10).expect("a probe"));
    assert!(available(&hosts).is_empty(), "the result is not known");
    assert!(probe(&hosts, 10).is_some());
}

fn attempt(hosts: &Arc<Hosts>, turn: u32, wanted: &[usize]) -> Option<AttemptGuard> {
    hosts.begin_attempt(turn, |host| wanted.contains(&host.handle()))
}

#[test]
fn attempts_take_turns_among_wanted_hosts() {
    let (hosts, all, _) = list(4);
    hosts.blacklist(&all[1], at(0), TEN, Fault::Refused);
    let turns = (0..4).map(|turn| attempt(&hosts, turn, &[1, 2, 4]).map(|it| it.host().handle()));
    assert_eq!(turns.collect::<Vec<_>>(), [Some(1), Some(4), Some(1), Some(4)]);
    assert!(attempt(&hosts, 0, &[2]).is_none());
}

#[test]
fn an_attempt_from_before_the_blacklisting_is_the_probe() {
    let (hosts, all, _) = list(1);
    let earlier = attempt(&hosts, 0, &[1]).expect("an attempt");
    let other = attempt(&hosts, 0, &[1]).expect("another beside it");
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    drop(other);
    assert!(attempt(&hosts, 0, &[1]).is_none(), "an attempt on a host that is out");
    assert!(probe(&hosts, 10).is_none(), "a second attempt");
    drop(earlier);
    assert!(probe(&hosts, 10).is_some());
}

#[test]
fn a_blacklisting_during_a_probe_begins_no_second_one() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    let first = probe(&hosts, 10).expect("a probe");
    hosts.blacklist(&all[0], at(10), Some(Duration::ZERO), Fault::Refused);
    assert!(probe(&hosts, 10).is_none(), "a second probe at the same time");
    drop(first);
    assert!(probe(&hosts, 10).is_some());
}

#[test]
fn a_probe_begins_only_on_a_wanted_host() {
    let (hosts, all, _) = list(2);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    assert!(hosts.begin_probe(at(10), |host| host.handle() != 1).is_none());
}

#[test]
fn a_host_blacklisted_for_good_is_not_probed() {
    let (hosts, all, shown) = list(1);
    hosts.blacklist(&all[0], at(0), None, Fault::Refused);
    assert_eq!(*shown[0].0.lock(), -1);
    assert_eq!(hosts.snapshot(at(0)).probe_at, Moment::NEVER);
    assert!(probe(&hosts, 1_000_000).is_none());
}

#[test]
fn c_counts_a_host_whose_blacklisting_has_expired() {
    let (hosts, all, shown) = list(2);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    assert_eq!(hosts.not_blacklisted(at(9)).len(), 1);
    assert_eq!(hosts.not_blacklisted(at(10)).len(), 2);
    assert_eq!(*shown[0].0.lock(), 0);
    assert!(probe(&hosts, 10).is_some(), "but it is probed before others use it");
}

#[test]
fn a_failure_that_is_noticed_late_is_shown_with_the_time_that_is_left() {
    let (hosts, _, shown) = list(1);
    let slow = attempt(&hosts, 0, &[1]).expect("an attempt");
    assert_eq!(slow.blacklist(at(0), at(3), TEN, Fault::TimedOut), Some(true));
    assert_eq!(*shown[0].0.lock(), 7);
    drop(slow);
    assert!(probe(&hosts, 9).is_none() && probe(&hosts, 10).is_some(), "which is the time that it is out");
}

#[test]
fn a_suspect_is_chosen_last_until_its_attempt_ends() {
    let (hosts, _, shown) = list(2);
    let mut slow = attempt(&hosts, 0, &[1]).expect("an attempt");
    slow.mark_slow();
    assert_eq!(available(&hosts), [2]);
    assert_eq!(attempt(&hosts, 0, &[1, 2]).map(|it| it.host().handle()), Some(2));
    assert_eq!(attempt(&hosts, 0, &[1]).map(|it| it.host().handle()), Some(1));
    assert_eq!(*shown[0].0.lock(), 0, "it is not blacklisted");
    drop(slow);
    assert_eq!(available(&hosts), [1, 2]);
}

#[test]
fn a_host_is_a_suspect_until_its_last_slow_attempt_ends() {
    let (hosts, _, _) = list(2);
    let [mut first, mut second] = [(); 2].map(|()| attempt(&hosts, 0, &[1]).expect("an attempt"));
    first.mark_slow();
    second.mark_slow();
    second.mark_slow();
    drop(first);
    assert_eq!(available(&hosts), [2], "the second still waits for an answer");
    drop(second);
    assert_eq!(available(&hosts), [1, 2]);
}

#[test]
fn a_connect_that_succeeds_clears_the_suspicion() {
    let (hosts, _, _) = list(2);
    let [mut slow, mut slower, quick] = [(); 3].map(|()| attempt(&hosts, 0, &[1]).expect("an attempt"));
    slow.mark_slow();
    quick.succeeded();
    assert_eq!(available(&hosts), [1, 2]);
    slow.mark_slow();
    assert_eq!(available(&hosts), [1, 2], "its suspicion is older than the success");
    slower.mark_slow();
    drop(slow);
    assert_eq!(available(&hosts), [2], "this suspicion is younger than the success");
    drop(slower);
    assert_eq!(available(&hosts), [1, 2]);
}

#[test]
fn a_success_does_not_lift_a_blacklisting_that_came_meanwhile() {
    let (hosts, all, _) = list(1);
    let [mut slow, quick] = [(); 2].map(|()| attempt(&hosts, 0, &[1]).expect("an attempt"));
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    quick.succeeded();
    slow.mark_slow();
    drop(slow);
    assert!(available(&hosts).is_empty());
}

#[test]
fn no_probe_begins_while_an_old_attempt_is_under_way() {
    let (hosts, all, _) = list(2);
    let earlier = attempt(&hosts, 0, &[1]).expect("an attempt");
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    assert_eq!(hosts.snapshot(at(0)).probe_at, Moment::NEVER, "the attempt is the probe");
    hosts.expire(at(10));
    assert_eq!(hosts.snapshot(at(0)).probe_at, Moment::NEVER, "also when the blacklisting has expired");
    let before = hosts.version();
    drop(earlier);
    assert_ne!(hosts.version(), before, "a snapshot taken before would be taken for current");
    assert!(hosts.snapshot(at(0)).probe_at <= at(10), "it is over, and another may probe");
}

#[test]
fn a_connect_without_a_guard_closes_a_half_open_circuit() {
    let (hosts, all, _) = list(1);
    hosts.blacklist(&all[0], at(0), TEN, Fault::Refused);
    hosts.connect_succeeded(&all[0]);
    assert!(available(&hosts).is_empty(), "its blacklisting still lasts");
    hosts.expire(at(10));
    hosts.connect_succeeded(&all[0]);
    assert_eq!(available(&hosts), [1]);
}

#[test]
fn names_match_in_either_case_and_removed_hosts_are_not_found() {
    let hosts = Hosts::new();
    let addresses = Addresses::of("Server", 80).name().clone();
    let addresses = Addresses::with_known(addresses, vec!["127.0.0.9:80".parse().unwrap()], 80);
    let host = Host::new(c"80".to_owned(), addresses, 7);
    hosts.insert(5, Arc::clone(&host), Box::new(Shown::default()));
    let named = |name, port| hosts.named(&Authority::new(name, port).unwrap());
    assert!(named(c"sERVER", c"80").is_some());
    assert!(named(c"server.", c"080").is_some());
    assert!(named(c"server", c"81").is_none());
    assert!(hosts.with_any(&["127.0.0.9:80".parse().unwrap()]).is_some());
    assert!(hosts.remove(7).is_some());
    assert!(hosts.remove(7).is_none());
    assert!(named(c"Server", c"80").is_none());
    assert_eq!(hosts.blacklist(&host, at(0), TEN, Fault::Refused), None, "it is not in the list any more");
}

#[test]
fn a_record_counts_attempts_failures_and_handshakes() {
    let (hosts, all, _) = list(3);
    assert_eq!(hosts.count(), 3);
    let record = all[0].record();
    record.attempt();
    record.attempt();
    record.failure(Fault::Refused);
    for resumed in [true, false, false] {
        record.handshake(resumed);
    }
    let metrics = all[0].record().metrics();
    assert_eq!((metrics.attempts, metrics.full_handshakes, metrics.resumed_handshakes), (2, 2, 1));
    assert_eq!((metrics.failures[Fault::Refused as usize], metrics.failures.iter().sum::<u64>()), (1, 1));
    assert_eq!(all[1].record().metrics(), Default::default(), "each host has its own");
    record.forget_parent();
    assert_eq!(record.metrics(), Default::default());
}

#[test]
fn a_success_of_a_suspect_makes_a_new_version() {
    let (hosts, _, _) = list(2);
    let mut slow = attempt(&hosts, 0, &[1]).expect("an attempt");
    slow.mark_slow();
    assert_eq!(available(&hosts), [2]);
    let before = hosts.version();
    slow.succeeded();
    assert_ne!(hosts.version(), before, "a snapshot taken before would be taken for current");
    assert_eq!(available(&hosts), [1, 2]);
}

#[test]
fn a_host_is_found_by_another_name_of_its_address() {
    let (hosts, _, _) = list(2);
    let found = |name: &str| {
        let authority =
            parse_list(name, c"80").next().and_then(|entry| entry.authority.ok()).expect("a name");
        hosts.find_by_look_up(&authority, Duration::from_secs(10)).map(|host| host.handle())
    };
    assert_eq!([found("127.2"), found("127.0.0.3")], [Some(2), None]);
}
