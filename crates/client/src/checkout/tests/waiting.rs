//! Waits at the limit.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;

use super::super::happy_eyeballs::HappyEyeballs;
use super::*;
use crate::hosts::HostMetrics;

/// A call on a context that allows one connection. It waits, and counts its attempts to connect.
#[derive(Default)]
struct WaitingCall {
    wait: Duration,
    /// True if the context allows one more whenever the call looks for room, but not when it connects.
    finds_room_taken: bool,
    looks_for_room: AtomicBool,
    rounds: AtomicUsize,
}

impl WaitingCall {
    fn new(milliseconds: u64) -> WaitingCall {
        WaitingCall { wait: Duration::from_millis(milliseconds), ..WaitingCall::default() }
    }
}

logs_nothing!(WaitingCall);

impl Call<Fake> for WaitingCall {
    fn settings(&self) -> Settings {
        let has_room = self.looks_for_room.swap(false, Ordering::Relaxed) && self.finds_room_taken;
        let connections = if has_room { 2 } else { 1 };
        Settings { connections, wait: Some(self.wait), ..FakeCall.settings() }
    }
    fn limits(&self) -> pool::Limits {
        FakeCall.limits()
    }
    /// Is asked before each look for room, and never between that and a connect.
    fn attention(&self) -> Option<Duration> {
        self.looks_for_room.store(true, Ordering::Relaxed);
        None
    }
    fn security(&self) -> Result<Option<Security>, Error> {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }
    fn wrap(&self, _: Stream, _: &Arc<Endpoint>) -> Result<Fake, Error> {
        unreachable!("no connect succeeds")
    }
}

impl Fixture {
    fn checkout_waiting(&self, call: &WaitingCall) -> Result<Fake, Error> {
        self.client.checkout(call, &self.hosts, &AtomicU32::new(0), None)
    }

    /// Parks an attempt without a socket and a permit: its address has refused, and it waits for a look-up that never
    /// ends. Returns its endpoint, which nobody else has.
    pub fn park_in_grace(&self, timeout: Duration) -> Weak<Endpoint> {
        // Nobody listens at the port of a client.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let permit = self.client.permits.acquire(1);
        let attempt = self.endless_attempt(&[taken.local_addr().unwrap()], permit, timeout);
        let parked = Arc::downgrade(&attempt.endpoint);
        let mut attempts = HappyEyeballs::default();
        attempts.add(attempt);
        let refused = (0..1000).any(|_| {
            // On a busy machine a look may be over before it has begun.
            assert!(attempts.next(Instant::now() + Duration::from_millis(1), 1).unwrap().is_none());
            self.client.permits.open() == 0
        });
        assert!(refused, "the address accepts");
        self.client.park(attempts);
        parked
    }
}

#[test]
fn an_attempt_without_a_permit_makes_no_room() {
    let fixture = Fixture::new(1);
    let parked = fixture.park_in_grace(Duration::from_secs(100));
    let in_use = fixture.client.permits.acquire(1);
    let call = WaitingCall::new(200);
    assert!(matches!(fixture.checkout_waiting(&call), Err(Error::Limit)));
    // Its first, before it waits.
    assert_eq!(call.rounds.load(Ordering::Relaxed), 1, "it tried to connect while there was no room");
    assert!(parked.upgrade().is_some());
    drop(in_use);
}

#[test]
fn a_call_that_finds_its_room_taken_pauses() {
    let fixture = Fixture::new(1);
    let in_use = fixture.client.permits.acquire(1);
    let call = WaitingCall { finds_room_taken: true, ..WaitingCall::new(300) };
    assert!(matches!(fixture.checkout_waiting(&call), Err(Error::Limit)));
    let rounds = call.rounds.load(Ordering::Relaxed);
    assert!((2..=20).contains(&rounds), "{rounds} rounds");
    drop(in_use);
}

#[test]
fn calls_that_wait_go_on_with_parked_attempts() {
    let fixture = Fixture::new(1);
    let parked = fixture.park_in_grace(Duration::from_millis(1000));
    let in_use = fixture.client.permits.acquire(1);
    assert!(matches!(fixture.checkout_waiting(&WaitingCall::new(2000)), Err(Error::Limit)));
    assert!(parked.upgrade().is_none(), "nobody saw that its time was over");
    drop(in_use);
}

#[test]
fn a_limit_in_the_way_is_no_attempt() {
    let fixture = Fixture::new(1);
    let in_use = fixture.client.permits.acquire(1);
    assert!(matches!(fixture.checkout_waiting(&WaitingCall::new(0)), Err(Error::Limit)));
    let call = WaitingCall { finds_room_taken: true, ..WaitingCall::new(10) };
    assert!(matches!(fixture.checkout_waiting(&call), Err(Error::Limit)));
    assert_eq!(fixture.host(1).record().metrics(), HostMetrics::default());
    drop(in_use);
}

#[test]
fn a_call_that_waits_for_a_probe_leaves_the_queue() {
    let fixture = Fixture::new(1);
    let waiters = fixture.client.permits.waiters();
    let eventually_waiting = |count| (0..400).any(|_| waiters.length() == count || pause());
    let in_use = fixture.client.permits.acquire(1);
    let call = WaitingCall::new(30_000);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| fixture.checkout_waiting(&call).err());
        assert!(eventually_waiting(1));
        let host = fixture.host(1);
        fixture.hosts.blacklist(&host, Moment::now(), Some(Duration::ZERO), Fault::Refused);
        let probe = fixture.hosts.begin_probe(Moment::now(), |_| true).expect("a probe");
        drop(in_use);
        let has_left = eventually_waiting(0) && !waiting.is_finished();
        fixture.hosts.blacklist(&host, Moment::now(), None, Fault::Refused);
        drop(probe);
        assert_eq!(waiting.join().unwrap(), Some(Error::Failure), "its only host is out");
        assert!(has_left, "those behind it waited for its probe");
    });
}

/// Sleeps for a moment. False, for the sake of `any`.
pub fn pause() -> bool {
    thread::sleep(Duration::from_millis(10));
    false
}
