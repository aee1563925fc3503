//! The attempts of a call, side by side, and what becomes of them.

use std::ffi::CString;
use std::net::TcpListener;
use std::sync::atomic::AtomicI32;

use super::super::attempt::Attempt;
use super::super::happy_eyeballs::HappyEyeballs;
use super::super::outcomes::combined;
use super::waiting::pause;
use super::*;
use crate::net::connect::{CONNECTION_ATTEMPT_DELAY, ConnectPlan, Connecting};
use crate::net::resolve::Current;

const LONG: Duration = Duration::from_secs(100);

/// A call that looks for an interruption every 10 ms, and whose connects succeed.
struct AttentiveCall;

logs_nothing!(AttentiveCall);

impl Call<Fake> for AttentiveCall {
    fn settings(&self) -> Settings {
        FakeCall.settings()
    }
    fn limits(&self) -> pool::Limits {
        FakeCall.limits()
    }
    fn attention(&self) -> Option<Duration> {
        Some(Duration::from_millis(10))
    }
    fn security(&self) -> Result<Option<Security>, Error> {
        Ok(None)
    }
    fn wrap(&self, stream: Stream, endpoint: &Arc<Endpoint>) -> Result<Fake, Error> {
        Ok(Fake::over(stream, endpoint))
    }
}

impl Fixture {
    /// Makes an attempt on an endpoint outside the list. Its look-up never ends.
    pub fn endless_attempt(
        &self,
        known: &[SocketAddr],
        permit: Option<Permit>,
        timeout: Duration,
    ) -> Attempt {
        let addresses = Addresses::of("endless.invalid", 80);
        let endpoint = Endpoint::unlisted(c"80".to_owned(), addresses, self.client.pool.add_idle_set());
        let plan = ConnectPlan {
            addresses: Arc::clone(endpoint.addresses()),
            timeout,
            time_left: timeout,
            permits: Arc::clone(&self.client.permits),
            tls: None,
        };
        let current = Current::with_endless_look_up(known);
        let connecting = Connecting::new(plan, current, permit, Instant::now());
        Attempt { endpoint, guard: None, connecting }
    }
}

#[test]
fn attempts_take_turns_at_the_limit() {
    let fixture = Fixture::new(1);
    let client = &fixture.client;
    let (begin, mut attempts) = (Instant::now(), HappyEyeballs::default());
    let first = fixture.endless_attempt(&[], client.permits.acquire(1), LONG);
    let second = fixture.endless_attempt(&[], None, LONG);
    let (first_endpoint, second_endpoint) = (Arc::clone(&first.endpoint), Arc::clone(&second.endpoint));
    let runs_alone = |attempts: &mut HappyEyeballs, endpoint| {
        let running: Vec<_> = attempts.running().collect();
        running.len() == 1 && Arc::ptr_eq(&running[0].endpoint, endpoint)
    };
    attempts.add(first);
    assert!(client.resume_suspended(&mut attempts, 1, None).is_none(), "none waits");
    assert!(!attempts.are_held_up());
    attempts.add(second);
    assert!(attempts.are_held_up());
    assert_eq!(attempts.count_with_permit(), 1);
    assert_eq!(attempts.names(), "endless.invalid:80, endless.invalid:80");

    let head_start_ends = Some(begin + LONG);
    assert_eq!(client.resume_suspended(&mut attempts, 1, head_start_ends), head_start_ends);
    assert!(runs_alone(&mut attempts, &first_endpoint), "it has a head start");

    let next = client.resume_suspended(&mut attempts, 1, Some(begin)).expect("a time");
    assert!(runs_alone(&mut attempts, &second_endpoint), "it is the turn of the second");
    assert!(next >= begin + CONNECTION_ATTEMPT_DELAY, "that has a head start, too");

    let next = client.resume_suspended(&mut attempts, 0, None).expect("a time");
    assert_eq!(attempts.running().count(), 0, "the limit was lowered");
    assert!(next >= begin + CONNECTION_ATTEMPT_DELAY, "the call would not sleep");

    client.resume_suspended(&mut attempts, 1, head_start_ends);
    assert_eq!(attempts.running().count(), 1, "there is a permit that nobody has");
}

#[test]
fn a_call_that_looks_for_an_interruption_waits_as_long_as_any_other() {
    let fixture = Fixture::new(1);
    let mut attempts = HappyEyeballs::default();
    let wait_until = |attempts: &mut HappyEyeballs, until| {
        let event = fixture.client.next_event(&AttentiveCall, attempts, until);
        event.expect("no failure of poll")
    };
    assert!(wait_until(&mut attempts, Instant::now() + LONG).is_none(), "nothing is under way");
    attempts.add(fixture.endless_attempt(&[], fixture.client.permits.acquire(1), LONG));
    let until = Instant::now() + Duration::from_millis(100);
    assert!(wait_until(&mut attempts, until).is_none());
    assert!(Instant::now() >= until, "the next host would be tried too early");
    attempts.add(fixture.endless_attempt(&[], fixture.client.permits.acquire(2), Duration::ZERO));
    assert!(wait_until(&mut attempts, Instant::now() + LONG).is_some(), "the end of an attempt is lost");
}

#[test]
fn a_connect_by_name_shows_that_the_host_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = listener.local_addr().unwrap().port();
    let port = CString::new(number.to_string()).unwrap();
    let fixture = Fixture::new(0);
    let host = Host::new(port.clone(), Addresses::of("127.0.0.1", number), 1);
    fixture.hosts.insert(0, host, Box::new(NoObserver));
    fixture.hosts.blacklist(&fixture.host(1), Moment::now(), Some(Duration::ZERO), Fault::Refused);
    fixture.hosts.expire(Moment::now());
    let authority = Authority::new(c"127.0.0.1", &port).unwrap();
    let connection = fixture.client.checkout_from(&AttentiveCall, &fixture.hosts, &authority);
    assert!(connection.is_ok());
    assert_eq!(fixture.hosts.statuses()[0].state, CircuitState::Closed);
}

#[test]
fn a_checkout_probes_one_host_before_it_tries_those_that_work() {
    let fixture = Fixture::new(4);
    for handle in [1, 2, 4] {
        let host = fixture.host(handle);
        fixture.hosts.blacklist(&host, Moment::now(), Some(Duration::ZERO), Fault::TimedOut);
    }
    let mut untried = Untried::hosts(&fixture.client, &fixture.hosts, 0, None);
    let mut guards = Vec::new();
    for (handle, left) in [(1, 3), (3, 2), (2, 1), (4, 0)] {
        let (_, guard) = untried.next().expect("a host is left");
        guards.extend(guard);
        assert_eq!(guards.last().unwrap().host().handle(), handle);
        assert_eq!(untried.count(), left);
    }
    assert!(untried.next().is_none());
}

#[test]
fn no_idle_connection_serves_as_a_probe() {
    let fixture = Fixture::new(2);
    (1..=2).for_each(|handle| fixture.release_new(handle));
    let host = fixture.host(1);
    fixture.client.blacklist(&FakeCall, &fixture.hosts, &host, Fault::Replied);
    fixture.hosts.blacklist(&host, Moment::now(), Some(Duration::ZERO), Fault::Replied);
    // The probe needs a new connection, which fails.
    assert_eq!(fixture.use_once(0), Some(2), "the other host's connection is used");
    fixture.hosts.remove(2);
    assert_eq!(fixture.use_once(0), None);
    assert_eq!(fixture.closed(), 1, "its own connection was closed");
}

#[test]
fn a_child_closes_the_attempts_of_its_parent_in_its_next_call() {
    let fixture = Fixture::new(1);
    let parked = fixture.park_in_grace(LONG);
    fixture.client.forget_parent();
    assert!(parked.upgrade().is_some(), "closed by the handler of the fork");
    fixture.client.maintain(&FakeCall, Moment::now());
    assert!(parked.upgrade().is_none());
}

#[test]
fn a_parked_attempt_goes_on_once_there_is_a_permit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fixture = Fixture::new(1);
    let mut attempts = HappyEyeballs::default();
    attempts.add(fixture.endless_attempt(&[listener.local_addr().unwrap()], None, LONG));
    fixture.client.park(attempts);
    let becomes_idle = || {
        fixture.client.maintain(&AttentiveCall, Moment::now());
        fixture.client.pool.idle() == 1
    };
    assert!((0..400).any(|_| becomes_idle() || pause()));
}

#[test]
fn a_client_whose_owner_is_freed_reports_to_nobody() {
    let shown = Arc::new(AtomicI32::new(0));
    let gauge = Arc::clone(&shown);
    let client: Client<Fake> = Client::new(Box::new(move |open| gauge.store(open, Ordering::Relaxed)));
    let permit = client.permits.acquire(1);
    assert_eq!(shown.load(Ordering::Relaxed), 1);
    client.detach();
    drop(permit);
    assert_eq!(shown.load(Ordering::Relaxed), 1);
}

#[test]
fn the_limit_is_named_whatever_else_has_failed() {
    use Error::{Failure, Limit, System};
    for (so_far, error, expected) in [
        (None, System, System),
        (Some(System), System, System),
        (Some(System), Failure, Failure),
        (Some(Failure), System, Failure),
        (Some(Limit), System, Limit),
        (Some(System), Limit, Limit),
    ] {
        assert_eq!(combined(so_far, error), expected, "{so_far:?} and {error:?}");
    }
}
