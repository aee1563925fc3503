#[cfg(not(model))]
mod dialling;
#[cfg(not(model))]
mod endpoints;
#[cfg(model = "shuttle")]
mod models;
#[cfg(not(model))]
mod open_connection;
#[cfg(not(model))]
mod slow_hosts;
#[cfg(not(model))]
mod waiting;

use std::fmt;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::*;
use crate::fault::Fault;
use crate::hosts::{CircuitState, Observer};
use crate::log::{Level, Location};
use crate::net::resolve::Addresses;
use crate::os::shards::ShardNumber;
use crate::pool;
use crate::pool::permits::Permit;

/// A connection that is always good, and counts when it is dropped.
struct Fake {
    endpoint: Arc<Endpoint>,
    shard: ShardNumber,
    closed: Arc<AtomicUsize>,
    _permit: Option<Permit>,
    _stream: Option<Stream>,
}

impl Fake {
    /// A connection over a stream that was connected to an endpoint.
    fn over(stream: Stream, endpoint: &Arc<Endpoint>) -> Fake {
        Fake {
            endpoint: Arc::clone(endpoint),
            shard: ShardNumber::own(),
            closed: Arc::default(),
            _permit: None,
            _stream: Some(stream),
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Poolable for Fake {
    fn idle_set(&self) -> Option<&pool::IdleSet> {
        Some(self.endpoint.idle_set())
    }
    fn shard(&self) -> ShardNumber {
        self.shard
    }
    fn set_shard(&mut self, shard: ShardNumber) {
        self.shard = shard;
    }
    fn is_good(&mut self, _: bool) -> bool {
        true
    }
    fn reuses(&self) -> u32 {
        0
    }
    fn set_idle_since(&mut self, _: Moment) {}
    fn ending(&self, _: Moment, _: Moment) -> Option<pool::Ending> {
        None
    }
    fn close(self, _: CloseReason) {}
}

impl ClientConnection for Fake {
    fn begin_reuse(&mut self) {}
    fn end_use(&mut self) -> Result<(), CloseReason> {
        Ok(())
    }
    fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        Some(&self.endpoint)
    }
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

/// Lets a call log nothing.
macro_rules! logs_nothing {
    ($call:ty) => {
        impl Log for $call {
            fn log(&self, _: Level, _: Location, _: fmt::Arguments<'_>) {}
            fn note(&self, _: fmt::Arguments<'_>) {}
            fn trace(&self, _: Location, _: fmt::Arguments<'_>) {}
        }
    };
}
pub(super) use logs_nothing;

/// A call on a context that allows one connection. Every new connect fails.
struct FakeCall;

logs_nothing!(FakeCall);

impl Call<Fake> for FakeCall {
    fn settings(&self) -> Settings {
        Settings {
            connections: 1,
            connect_timeout: Duration::from_secs(5),
            blacklist: Some(Duration::from_secs(100)),
            wait: Some(Duration::ZERO),
        }
    }
    fn limits(&self) -> pool::Limits {
        pool::Limits::new(Duration::from_secs(100), 50)
    }
    fn security(&self) -> Result<Option<Security>, Error> {
        Err(Error::Invalid)
    }
    fn wrap(&self, _: Stream, _: &Arc<Endpoint>) -> Result<Fake, Error> {
        unreachable!("no connect succeeds")
    }
}

struct NoObserver;

impl Observer for NoObserver {
    fn show_blacklisted(&self, _: Option<Duration>) {}
    fn show_available(&self) {}
    fn show_addresses(&self, _: &[SocketAddr]) {}
}

/// A client whose hosts have the handles 1, 2, 3 ...
struct Fixture {
    client: Client<Fake>,
    hosts: Arc<Hosts>,
    closed: Arc<AtomicUsize>,
}

impl Fixture {
    fn new(hosts: usize) -> Fixture {
        let fixture =
            Fixture { client: Client::new(Box::new(|_| {})), hosts: Hosts::new(), closed: Arc::default() };
        (1..=hosts).for_each(|handle| fixture.insert(handle));
        fixture
    }

    fn insert(&self, handle: usize) {
        let name = format!("127.0.0.{handle}");
        let addresses = Addresses::of(&name, 80);
        let host = Host::new(c"80".to_owned(), addresses, handle);
        self.hosts.insert(handle - 1, host, Box::new(NoObserver));
    }

    fn host(&self, handle: usize) -> Arc<Host> {
        self.hosts.all().into_iter().find(|host| host.handle() == handle).unwrap()
    }

    /// Releases a new connection to this host.
    fn release_new(&self, handle: usize) {
        let endpoint = self.client.endpoint_of(&self.host(handle));
        self.client.release(&FakeCall, self.connection_to(endpoint));
    }

    fn connection_to(&self, endpoint: Arc<Endpoint>) -> Fake {
        Fake {
            endpoint,
            shard: ShardNumber::own(),
            closed: Arc::clone(&self.closed),
            _permit: self.client.permits.acquire(100),
            _stream: None,
        }
    }

    fn checkout(&self, turn: u32) -> Result<Fake, Error> {
        self.client.checkout(&FakeCall, &self.hosts, &AtomicU32::new(turn), None)
    }

    /// Checks a connection out and releases it. Returns the handle of its host.
    fn use_once(&self, turn: u32) -> Option<usize> {
        let connection = self.checkout(turn).ok()?;
        let handle = connection.endpoint.host().map(|host| host.handle());
        self.client.release(&FakeCall, connection);
        handle
    }

    fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }
}

#[test]
fn hosts_take_turns() {
    let fixture = Fixture::new(3);
    (1..=3).for_each(|handle| fixture.release_new(handle));
    let mut uses = [0; 4];
    (0..300).for_each(|turn| uses[fixture.use_once(turn).unwrap()] += 1);
    assert_eq!(uses, [0, 100, 100, 100]);
}

#[test]
fn other_threads_see_the_list_change() {
    let fixture = Fixture::new(2);
    fixture.release_new(1);
    fixture.release_new(2);
    let (ask, asked) = std::sync::mpsc::channel();
    let (answer, answered) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let fixture = &fixture;
        scope.spawn(move || asked.iter().for_each(|turn| answer.send(fixture.use_once(turn)).unwrap()));
        let elsewhere = |turn| {
            ask.send(turn).unwrap();
            answered.recv().unwrap()
        };
        assert_eq!((elsewhere(0), elsewhere(1)), (Some(1), Some(2)));
        assert_eq!((fixture.use_once(0), fixture.use_once(1)), (Some(1), Some(2)));
        fixture.hosts.remove(1);
        assert_eq!((elsewhere(0), elsewhere(1)), (Some(2), Some(2)));
        assert_eq!(fixture.closed(), 1, "closed with its host");
        fixture.insert(1);
        fixture.release_new(1);
        assert_eq!((elsewhere(0), elsewhere(1)), (Some(1), Some(2)));
        assert_eq!((fixture.use_once(0), fixture.use_once(1)), (Some(1), Some(2)));
        drop(ask);
    });
}

#[test]
fn another_list_has_another_rotation() {
    let mut fixture = Fixture::new(1);
    let rotation = || fixture.client.current_rotation(&fixture.hosts);
    assert!(Arc::ptr_eq(&rotation(), &rotation()), "it is made anew for each checkout");
    fixture.release_new(1);
    assert_eq!(fixture.use_once(0), Some(1));
    fixture.hosts = Hosts::new();
    fixture.insert(2);
    fixture.release_new(2);
    assert_eq!(fixture.use_once(0), Some(2));
}

#[test]
fn a_host_that_left_the_list_is_freed() {
    let fixture = Fixture::new(2);
    let host = Arc::downgrade(&fixture.host(1));
    (1..=2).for_each(|handle| fixture.release_new(handle));
    thread::scope(|scope| drop(scope.spawn(|| fixture.use_once(0))));
    let in_use = fixture.checkout(0).unwrap();
    fixture.hosts.remove(1);
    assert_eq!(fixture.use_once(0), Some(2));
    fixture.client.release(&FakeCall, in_use);
    assert_eq!(fixture.closed(), 1, "its connection was pooled");
    assert!(host.upgrade().is_none());
}

#[test]
fn nothing_outlives_the_client() {
    let fixture = Fixture::new(1);
    fixture.release_new(1);
    let ends: Vec<Weak<Endpoint>> = thread::scope(|scope| {
        let elsewhere = || Arc::downgrade(&fixture.checkout(0).unwrap().endpoint);
        let first = scope.spawn(elsewhere).join().unwrap();
        fixture.release_new(1);
        vec![first, Arc::downgrade(&fixture.checkout(0).unwrap().endpoint)]
    });
    fixture.release_new(1);
    drop(fixture.client);
    assert!(ends.iter().all(|endpoint| endpoint.upgrade().is_none()));
    assert_eq!(fixture.closed.load(Ordering::Relaxed), 3);
}

#[test]
fn a_connection_of_another_thread_is_reused_before_a_new_one_is_made() {
    let fixture = Fixture::new(1);
    for _ in 0..20 {
        thread::scope(|scope| drop(scope.spawn(|| fixture.release_new(1))));
        // A new connection would fail.
        drop(fixture.checkout(0).unwrap());
    }
}

#[test]
fn a_connection_of_another_thread_is_closed_at_the_limit() {
    let fixture = Fixture::new(2);
    for made_room in 1..=20 {
        thread::scope(|scope| drop(scope.spawn(|| fixture.release_new(1))));
        assert!(fixture.client.permit(1).is_some());
        assert_eq!(fixture.closed(), made_room);
    }
    let _in_use = fixture.client.permit(1);
    assert!(fixture.client.permit(1).is_none());
}

#[test]
fn a_negative_connect_timeout_is_no_limit() {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert!(Settings::connect_timeout(-1) > 10 * year);
    assert!(Instant::now().checked_add(Settings::connect_timeout(i32::MIN)).is_some());
    assert_eq!(Settings::connect_timeout(7), Duration::from_secs(7));
    assert_eq!(Settings::connect_timeout(0), Duration::from_secs(5));
}

#[test]
fn an_old_attempt_on_an_expired_host_delays_no_checkout() {
    let fixture = Fixture::new(2);
    let old = fixture.hosts.begin_attempt(0, |host| host.handle() == 1).expect("an attempt");
    fixture.hosts.blacklist(&fixture.host(1), Moment::now(), Some(Duration::ZERO), Fault::TimedOut);
    fixture.release_new(2);
    for turn in 0..100 {
        assert_eq!(fixture.use_once(turn), Some(2));
    }
    assert_eq!(fixture.client.metrics().counts().waits, 0, "a checkout searched for a better host");
    drop(old);
    assert!(fixture.hosts.begin_probe(Moment::now(), |_| true).is_some());
}

#[test]
fn a_host_that_failed_keeps_no_idle_connections() {
    let fixture = Fixture::new(2);
    (1..=2).for_each(|handle| fixture.release_new(handle));
    let in_use = fixture.checkout(0).unwrap();
    fixture.release_new(1);
    let blacklist = |fault| fixture.client.blacklist(&FakeCall, &fixture.hosts, &fixture.host(1), fault);
    blacklist(Fault::Ordered);
    blacklist(Fault::Replied);
    assert_eq!(fixture.closed(), 0, "it was closed although nothing failed");
    blacklist(Fault::Refused);
    assert_eq!(fixture.closed(), 1, "its idle connection was kept");
    fixture.client.release(&FakeCall, in_use);
    assert_eq!(fixture.closed(), 2, "a connection in use meanwhile was pooled");
    assert_eq!(fixture.use_once(0), Some(2));
}

#[test]
fn an_idle_connection_to_another_host_is_used_if_none_can_be_opened() {
    let fixture = Fixture::new(5);
    [2, 3, 4, 5].into_iter().for_each(|handle| fixture.release_new(handle));
    let blacklist = |handle, wait| {
        let host = fixture.host(handle);
        fixture.hosts.blacklist(&host, Moment::now(), Some(Duration::from_secs(wait)), Fault::Ordered);
    };
    blacklist(2, 100);
    blacklist(3, 0);
    blacklist(5, 0);
    // The probes of hosts 3 and 5 need a new connection, and so does host 1. Opening one fails on this side.
    for turn in 0..8 {
        assert_eq!(fixture.use_once(turn), Some(4), "turn {turn}");
    }
    let states: Vec<_> = fixture.hosts.statuses().into_iter().map(|status| status.state).collect();
    assert!(matches!(states[1], CircuitState::Open { .. }), "{:?}", states[1]);
    assert_eq!(states[0], CircuitState::Closed, "a host was blamed for what this side lacks");
    for state in [states[2], states[4]] {
        assert!(
            matches!(state, CircuitState::Open { .. } | CircuitState::HalfOpen { is_probing: false }),
            "{state:?}"
        );
    }
    let is_due = |handle| fixture.hosts.begin_probe(Moment::now(), |host| host.handle() == handle).is_some();
    assert!(is_due(3) && is_due(5), "a probe was used up");
    fixture.hosts.remove(4);
    assert!(matches!(fixture.checkout(0), Err(Error::Invalid)), "the reason is lost");
    assert_eq!(fixture.closed(), 1);
}

#[test]
fn the_use_of_an_idle_connection_does_not_clear_a_suspicion() {
    let fixture = Fixture::new(1);
    fixture.release_new(1);
    let mut slow = fixture.hosts.begin_attempt(0, |_| true).expect("an attempt");
    slow.mark_slow();
    assert_eq!(fixture.use_once(0), Some(1), "a suspect is used if no other host is left");
    assert!(fixture.hosts.snapshot(Moment::now()).available.is_empty(), "but it stays a suspect");
    drop(slow);
    assert_eq!(fixture.hosts.snapshot(Moment::now()).available.len(), 1);
}
