//! Waits at the limit.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;

use super::super::happy_eyeballs::HappyEyeballs;
use super::*;
use crate::hosts::HostMetrics;
use crate::net::resolve::{LookUp, LookupError};
use crate::pool::waiters::Place;

const LONG: Duration = Duration::from_secs(20);

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

/// A client, at whose port nobody listens.
fn connected_client() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

impl Fixture {
    fn checkout_waiting(&self, call: &WaitingCall) -> Result<Fake, Error> {
        self.client.checkout(call, &self.hosts, &AtomicU32::new(0), None)
    }

    /// Parks an attempt without a socket and a permit: its address has refused, and it waits for a look-up that never
    /// ends. Returns its endpoint, which nobody else has.
    pub fn park_in_grace(&self, timeout: Duration) -> Weak<Endpoint> {
        let client = connected_client();
        let permit = self.client.permits.acquire(1);
        let attempt = self.endless_attempt(&[client.local_addr().unwrap()], permit, timeout);
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
    // The grace is a tenth of it.
    let parked = fixture.park_in_grace(Duration::from_secs(10));
    let in_use = fixture.client.permits.acquire(1);
    assert!(matches!(fixture.checkout_waiting(&WaitingCall::new(3000)), Err(Error::Limit)));
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

#[test]
fn a_call_that_waits_takes_the_room_of_an_attempt_that_is_parked() {
    let refusing = connected_client();
    let fixture = Fixture::at(&[refusing.local_addr().unwrap()]);
    let waiters = fixture.client.permits.waiters();
    let mut attempts = HappyEyeballs::default();
    attempts.add(fixture.endless_attempt(&[], fixture.client.permits.acquire(1), LONG));
    let call = WaitingCall::new(5000);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| fixture.checkout_waiting(&call).err());
        assert!((0..400).any(|_| waiters.length() == 1 || pause()));
        fixture.client.park(attempts);
        assert_eq!(waiting.join().unwrap(), Some(Error::Failure), "it has tried its host, which refuses");
    });
}

#[test]
fn a_release_wakes_the_first_that_waits() {
    let fixture = Fixture::new(1);
    let place = Place::new(fixture.client.permits.waiters());
    place.enter();
    fixture.client.maintenance.note_waiting();
    fixture.release_new(1);
    let begin = Instant::now();
    place.sleep(LONG);
    assert!(begin.elapsed() < LONG / 2, "it sleeps beside an idle connection");
}

#[test]
fn a_call_has_no_work_once_no_attempt_is_parked_and_nobody_waits() {
    for (timeout, goes_on) in [(Duration::ZERO, false), (LONG, true)] {
        let fixture = Fixture::new(1);
        let client = &fixture.client;
        let mut attempts = HappyEyeballs::default();
        attempts.add(fixture.endless_attempt(&[], None, timeout));
        client.park(attempts);
        let place = Place::new(client.permits.waiters());
        place.enter();
        client.maintenance.note_waiting();
        let now = Moment::now();
        assert_eq!(
            client.maintain(&FakeCall, now),
            Moment::NEVER,
            "a checkout must not take what others wait for"
        );
        assert!(client.maintenance.has_work());
        drop(place);
        assert_eq!(client.maintain(&FakeCall, now), now);
        assert_eq!(client.maintenance.has_work(), goes_on);
    }
}

#[test]
fn parked_attempts_go_on_once_a_clock_tick() {
    let fixture = Fixture::new(1);
    let in_use = fixture.client.permits.acquire(1);
    let mut attempts = HappyEyeballs::default();
    attempts.add(fixture.endless_attempt(&[], None, LONG));
    fixture.client.park(attempts);
    let now = Moment::now();
    let goes_on = |now| {
        fixture.client.maintain(&FakeCall, now);
        fixture.client.permits.open() == 1
    };
    goes_on(now);
    drop(in_use);
    assert!(!goes_on(now), "each call of this tick polls");
    assert!(goes_on(now.after(clock::TICK)));
}

#[test]
fn a_call_does_not_wait_behind_others_if_each_host_is_out() {
    let fixture = Fixture::new(1);
    let place = Place::new(fixture.client.permits.waiters());
    place.enter();
    fixture.hosts.blacklist(&fixture.host(1), Moment::now(), Some(LONG), Fault::Ordered);
    assert_eq!(fixture.checkout_waiting(&WaitingCall::new(2000)).err(), Some(Error::Failure));
}

#[test]
fn no_connection_makes_room_for_a_name_without_an_address() {
    let fixture = Fixture::new(1);
    fixture.release_new(1);
    let authority = Authority::new(c"h.example", c"80").unwrap();
    let stranger = fixture.client.endpoint_named(&fixture.hosts, &authority, Moment::now());
    let look_up = LookUp::idle(stranger.host_name());
    stranger.addresses().end(&look_up, Err(LookupError::Resolver("unknown".into())));
    let outcome = fixture.client.checkout_from(&WaitingCall::new(0), &fixture.hosts, &authority);
    assert_eq!(outcome.err(), Some(Error::Failure));
    assert_eq!(fixture.closed(), 0, "the idle connection to another host is closed");
}

/// Sleeps for a moment. False, for the sake of `any`.
pub fn pause() -> bool {
    thread::sleep(Duration::from_millis(10));
    false
}
