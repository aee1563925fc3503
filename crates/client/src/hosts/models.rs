//! Models of the probe of a half-open circuit.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::net::resolve::Addresses;
use crate::os::sync::atomic::AtomicU32;
use crate::os::sync::model::{explore, spawn};

struct NoObserver;

impl Observer for NoObserver {
    fn show_blacklisted(&self, _: Option<Duration>) {}
    fn show_available(&self) {}
    fn show_addresses(&self, _: &[std::net::SocketAddr]) {}
}

fn at(seconds: u64) -> Moment {
    Moment::default().after(Duration::from_secs(1000 + seconds))
}

/// A list of one host, which is out, and whose blacklisting expires at second 10.
fn list_of_one_that_is_out() -> (Arc<Hosts>, Arc<Host>) {
    let hosts = Hosts::new();
    let host = Host::new(c"80".to_owned(), Addresses::of("127.0.0.1", 80), 1);
    hosts.insert(0, Arc::clone(&host), Box::new(NoObserver));
    hosts.blacklist(&host, at(0), Some(Duration::from_secs(10)), Fault::Refused);
    (hosts, host)
}

#[derive(Clone, Copy)]
enum End {
    Success,
    Failure,
    NoResult,
}

/// A call at second 10 that begins a probe, if one is due, or else waits for the probe of another. `under_way` counts the
/// attempts.
fn call(hosts: &Arc<Hosts>, under_way: &AtomicU32, end: End) {
    let Some(probe) = hosts.begin_probe(at(10), |_| true) else {
        // Ends when the probe does: time stands still, so that a wakeup that does not come is a deadlock.
        hosts.wait_for_probe(|_| true, Duration::from_secs(1));
        return;
    };
    assert_eq!(under_way.fetch_add(1, Ordering::SeqCst), 0, "two attempts probe one host");
    if matches!(end, End::Failure) {
        probe.blacklist(at(10), at(10), Some(Duration::from_secs(10)), Fault::Refused);
    }
    under_way.fetch_sub(1, Ordering::SeqCst);
    match end {
        End::Success => probe.succeeded(),
        End::Failure | End::NoResult => drop(probe),
    }
}

#[test]
fn one_attempt_at_a_time_probes_and_none_is_left_behind() {
    for end in [End::Success, End::Failure, End::NoResult] {
        explore("probe", move || {
            let (hosts, host) = list_of_one_that_is_out();
            let under_way = Arc::new(AtomicU32::new(0));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (hosts, under_way) = (Arc::clone(&hosts), Arc::clone(&under_way));
                    spawn(move || call(&hosts, &under_way, end))
                })
                .collect();
            call(&hosts, &under_way, end);
            others.into_iter().for_each(|other| other.join().unwrap());
            let state = hosts.statuses()[0].state;
            assert_ne!(state, CircuitState::HalfOpen { is_probing: true }, "a probe without an attempt");
            assert!(!hosts.wait_for_probe(|_| true, Duration::ZERO), "calls would wait for it");
            match end {
                End::Success => assert_eq!(state, CircuitState::Closed),
                End::Failure => assert!(hosts.begin_probe(at(19), |_| true).is_none(), "it is out"),
                End::NoResult => {}
            }
            let is_back = matches!(end, End::Success);
            assert!(is_back || hosts.begin_probe(at(20), |_| true).is_some(), "no probe ever begins again");
            drop(host);
        });
    }
}

/// The program blacklists the host and makes it available while an attempt probes it.
#[test]
fn an_order_amid_a_probe_leaves_no_probe_behind() {
    explore("probe and orders", || {
        let (hosts, host) = list_of_one_that_is_out();
        let under_way = Arc::new(AtomicU32::new(0));
        let calls: Vec<_> = [End::Success, End::NoResult]
            .into_iter()
            .map(|end| {
                let (hosts, under_way) = (Arc::clone(&hosts), Arc::clone(&under_way));
                spawn(move || call(&hosts, &under_way, end))
            })
            .collect();
        hosts.blacklist(&host, at(10), Some(Duration::from_secs(10)), Fault::Ordered);
        calls.into_iter().for_each(|call| call.join().unwrap());
        assert!(!hosts.wait_for_probe(|_| true, Duration::ZERO), "calls would wait for it");
        // Without a success afterwards it is out until second 20.
        assert_eq!(hosts.snapshot(at(10)).available.len(), 0, "an attempt from before the order undoes it");
        assert!(hosts.begin_probe(at(19), |_| true).is_none());
        assert!(hosts.begin_probe(at(20), |_| true).is_some());
    });
}

/// A shard keeps a snapshot and asks for the version only. So a change is never without a new version.
#[test]
fn a_snapshot_of_the_current_version_is_current() {
    explore("snapshot of the hosts", || {
        let (hosts, host) = list_of_one_that_is_out();
        hosts.unblacklist(&host);
        let reader = {
            let hosts = Arc::clone(&hosts);
            spawn(move || {
                let snapshot = hosts.snapshot(at(10));
                // Once more under the lock, if nothing has changed in between.
                let state = hosts.statuses()[0].state;
                if hosts.version() == snapshot.version {
                    let is_available = state == CircuitState::Closed;
                    assert_eq!(snapshot.available.len(), usize::from(is_available), "out of date");
                }
            })
        };
        hosts.blacklist(&host, at(0), None, Fault::Refused);
        reader.join().unwrap();
        assert_eq!(hosts.snapshot(at(10)).available.len(), 0);
    });
}
