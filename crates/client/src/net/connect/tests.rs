mod handshakes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use openssl::ssl::{SslContext, SslMethod};

use super::*;
use crate::fault::Fault;
use crate::net::host_name::HostName;
use crate::net::resolve::{Current, LookUp, LookupError};
use crate::net::tls::{PeerName, Security};
use crate::os::sys::{self, Event, PollFd};
use crate::status;

const TIMEOUT: Duration = Duration::from_secs(5);
const LIMIT: i32 = 10;

/// A connect to a name under test, at `begun` and later.
struct Case {
    connecting: Connecting,
    addresses: Arc<Addresses>,
    look_up: Arc<LookUp>,
    permits: Arc<Permits>,
    begun: Instant,
}

impl Case {
    /// Connects to the address that is known. A look-up is under way that does not end.
    fn new(known: SocketAddr) -> Case {
        Case::with_tls(known, None)
    }

    fn with_tls(known: SocketAddr, tls: Option<TlsPlan>) -> Case {
        let name = HostName::new(c"name").unwrap();
        let look_up = LookUp::idle(&name);
        let addresses = Addresses::with_known(name, vec![known], known.port());
        let permits = Permits::new(Box::new(|_| ()));
        let plan = ConnectPlan {
            addresses: Arc::clone(&addresses),
            timeout: TIMEOUT,
            time_left: TIMEOUT,
            permits: Arc::clone(&permits),
            tls,
        };
        let current = Current { addresses: addresses.known(), look_up: Some(Arc::clone(&look_up)) };
        let begun = Instant::now();
        let connecting = Connecting::new(plan, current, permits.acquire(LIMIT), begun);
        Case { connecting, addresses, look_up, permits, begun }
    }

    /// Goes on at a time after the beginning, with what is ready by now.
    fn advance_after(&mut self, time: Duration) -> Option<Result<(), ConnectError>> {
        let mut ready: Vec<_> = self.connecting.watch().collect();
        sys::wait(&mut ready, Some(Instant::now())).unwrap();
        let outcome = self.connecting.advance(&ready, self.begun + time, LIMIT);
        outcome.map(|outcome| outcome.map(|_| ()))
    }

    /// Goes on as a call in passing does, with what is ready.
    fn look_after(&mut self, time: Duration) -> Option<Result<(), ConnectError>> {
        let mut ready: Vec<_> = self.connecting.watch().collect();
        sys::wait(&mut ready, Some(Instant::now())).unwrap();
        self.connecting.excuse_delay(&ready, self.begun + time);
        let outcome = self.connecting.advance(&ready, self.begun + time, LIMIT);
        outcome.map(|outcome| outcome.map(|_| ()))
    }

    /// Waits until there is something to do.
    fn wait_until_ready(&self) {
        let mut ready: Vec<_> = self.connecting.watch().collect();
        assert!(sys::wait(&mut ready, Some(Instant::now() + Duration::from_secs(20))).unwrap());
    }

    /// Goes on until the known address has failed.
    fn fail(&mut self) {
        let patience = Instant::now() + Duration::from_secs(20);
        while self.connecting.wake_at() != self.begun + TIMEOUT / 10 {
            assert!(Instant::now() < patience);
            assert!(self.advance_after(Duration::ZERO).is_none());
        }
    }
}

/// An address on which nobody listens. The port is taken as long as the listener lives, at another address.
fn refusing() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, SocketAddr::from(([127, 0, 0, 9], port)))
}

/// A connect whose known address has failed, and whose look-up has found another one, on which somebody listens.
fn with_another_address() -> (TcpListener, Case) {
    let (listener, refusing) = refusing();
    let mut case = Case::new(refusing);
    case.fail();
    let mut fresh = listener.local_addr().unwrap();
    fresh.set_ip([127, 0, 0, 1].into());
    case.addresses.end(&case.look_up, Ok(vec![fresh]));
    (listener, case)
}

#[test]
fn an_answer_late_in_the_grace_leaves_its_addresses_the_whole_timeout() {
    let (_listener, mut case) = with_another_address();
    assert!(
        case.connecting.advance(&[], case.begun + TIMEOUT * 9 / 100, LIMIT).is_none(),
        "it is connected to"
    );
    assert!(case.connecting.advance(&[], case.begun + TIMEOUT / 2, LIMIT).is_none(), "and slow");
    assert!(matches!(case.advance_after(TIMEOUT * 9 / 10), Some(Ok(()))), "but in time");
}

#[test]
fn a_look_up_is_waited_for_no_longer_than_the_grace() {
    let (_listener, refusing) = refusing();
    let mut case = Case::new(refusing);
    case.fail();
    assert!(case.advance_after(TIMEOUT * 9 / 100).is_none());
    let Some(Err(error)) = case.advance_after(TIMEOUT / 5) else { panic!("it goes on") };
    assert_eq!(error.causes[0].0, refusing, "the address is to blame");
    assert!(error.look_up.is_none());
}

#[test]
fn an_event_whose_descriptor_was_closed_is_replaced() {
    let (_listener, refusing) = refusing();
    let mut case = Case::new(refusing);
    case.fail();
    let lost = case.look_up.event().unwrap();
    // As poll(2) reports a descriptor that is not open: at once.
    let ready = Event::new().unwrap();
    ready.set();
    let mut fds = [PollFd::readable(&ready)];
    sys::wait(&mut fds, None).unwrap();
    assert!(case.connecting.advance(&fds, case.begun, LIMIT).is_none());
    assert!(!Arc::ptr_eq(&lost, &case.look_up.event().unwrap()), "the next wait would end at once, too");
    case.addresses.end(&case.look_up, Ok(vec![refusing]));
    case.wait_until_ready();
}

#[test]
fn a_limit_that_was_lowered_holds_for_the_next_address() {
    let (_listener, mut case) = with_another_address();
    assert!(case.connecting.advance(&[], case.begun, 0).is_none());
    assert!(case.connecting.is_suspended());
    assert_eq!(case.permits.open(), 0);
}

#[test]
fn a_suspended_connect_hands_its_permit_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut case = Case::new(listener.local_addr().unwrap());
    assert!(case.connecting.has_permit() && !case.connecting.was_held_up());
    let given_up = case.connecting.suspend();
    assert!(!case.connecting.has_permit() && case.connecting.was_held_up());
    assert_eq!(case.permits.open(), 1, "it is given back where no lock is held");
    drop(given_up);
    assert_eq!(case.permits.open(), 0);
}

#[test]
fn a_connect_that_waits_for_a_permit_ends_at_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut case = Case::new(listener.local_addr().unwrap());
    drop(case.connecting.suspend());
    let Some(Err(error)) = case.look_after(TIMEOUT) else { panic!("it goes on, or is open") };
    assert_eq!(error.status(), status::Error::Limit);
}

fn tls_plan() -> TlsPlan {
    let context = SslContext::builder(SslMethod::tls_client()).unwrap().build();
    TlsPlan {
        security: Security { context, read_timeout: None },
        peer: PeerName::new("name"),
        sessions: Arc::default(),
        without_session: None,
    }
}

/// A connect over TLS to a server that accepts, but does not speak. It is ready for the handshake.
fn accepted() -> (TcpListener, Case) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut case = Case::with_tls(address, Some(tls_plan()));
    case.addresses.end(&case.look_up, Ok(vec![address]));
    assert!(case.advance_after(Duration::ZERO).is_none());
    case.wait_until_ready();
    (listener, case)
}

fn is_anybody_to_blame(outcome: Option<Result<(), ConnectError>>) -> bool {
    let Some(Err(error)) = outcome else { panic!("it goes on, or is open") };
    error.causes.iter().any(|(_, kind)| kind.is_remote())
}

#[test]
fn a_server_is_not_to_blame_if_nobody_began_the_handshake_in_time() {
    let (_listener, mut case) = accepted();
    assert!(case.look_after(TIMEOUT + TIMEOUT / 5).is_none(), "the handshake has a head start");
    let over = TIMEOUT + TIMEOUT / 5 + CONNECTION_ATTEMPT_DELAY;
    assert!(!is_anybody_to_blame(case.look_after(over)), "it ends, so that the permit is not kept");
}

#[test]
fn a_server_is_not_to_blame_if_it_hangs_up_on_a_handshake_that_nobody_goes_on_with() {
    let (listener, mut case) = accepted();
    drop(listener.accept().unwrap());
    let first = case.look_after(TIMEOUT + TIMEOUT / 5);
    let ended = first.or_else(|| {
        case.wait_until_ready();
        case.look_after(TIMEOUT + TIMEOUT / 5)
    });
    assert!(!is_anybody_to_blame(ended));
}

#[test]
fn a_server_is_not_to_blame_for_a_reset_that_nobody_has_seen_for_some_time() {
    let (listener, mut case) = accepted();
    assert!(case.look_after(TIMEOUT / 100).is_none(), "the handshake begins");
    drop(listener.accept().unwrap());
    case.wait_until_ready();
    assert!(!is_anybody_to_blame(case.look_after(TIMEOUT / 2)));

    let (listener, mut case) = accepted();
    assert!(case.look_after(TIMEOUT / 100).is_none(), "the handshake begins");
    drop(listener.accept().unwrap());
    case.wait_until_ready();
    assert!(is_anybody_to_blame(case.look_after(TIMEOUT / 50)), "it is seen at once");
}

#[test]
fn a_host_is_not_to_blame_for_a_refusal_of_some_time_ago() {
    let watched_long = TIMEOUT / 2 - TIMEOUT / 50;
    for (pause, watched, is_blamed) in [
        (TIMEOUT / 50, Duration::ZERO, true),
        (TIMEOUT / 2, Duration::ZERO, false),
        (TIMEOUT / 2, watched_long, true),
    ] {
        let (_listener, refusing) = refusing();
        let mut case = Case::new(refusing);
        case.fail();
        case.connecting.was_watched(case.begun + watched);
        case.addresses.end(&case.look_up, Ok(vec![refusing]));
        let Some(Err(error)) = case.look_after(pause) else { panic!("it goes on, or is open") };
        let (_, kind) = &error.causes[0];
        assert_eq!(kind.is_remote(), is_blamed);
        assert!(kind.to_string().starts_with("Connection refused"), "the log has the reason: {kind}");
    }
}

#[test]
fn a_timeout_has_the_age_of_its_deadline() {
    let (_listener, mut case) = accepted();
    assert!(case.look_after(TIMEOUT / 10).is_none(), "the handshake begins");
    let Some(Err(error)) = case.look_after(3 * TIMEOUT) else { panic!("it goes on, or is open") };
    assert_eq!(error.age, 2 * TIMEOUT);
}

#[test]
fn a_server_that_does_not_answer_the_handshake_in_time_is_to_blame() {
    let (_listener, mut case) = accepted();
    assert!(case.look_after(TIMEOUT / 10).is_none(), "the handshake begins");
    assert!(is_anybody_to_blame(case.look_after(TIMEOUT + TIMEOUT / 5)), "there was time enough");
}

#[test]
fn head_starts_leave_time_for_all() {
    let milliseconds = Duration::from_millis;
    assert_eq!(head_start(milliseconds(5000), 4), CONNECTION_ATTEMPT_DELAY, "there is time enough");
    assert_eq!(head_start(milliseconds(1000), 4), milliseconds(200));
    assert_eq!(head_start(milliseconds(200), 0), milliseconds(200), "the last one has all that is left");
    assert_eq!(head_start(milliseconds(200), 1000), milliseconds(10), "not all at once");
    assert_eq!(head_start(Duration::ZERO, usize::MAX), milliseconds(10));
}

#[test]
fn an_address_has_a_head_start() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let both = [1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
    let mut case = Case::new(both[0]);
    case.addresses.end(&case.look_up, Ok(both.to_vec()));
    let mut sockets_after = |time| {
        assert!(case.connecting.advance(&[], case.begun + time, LIMIT).is_none());
        case.connecting.watch().count()
    };
    assert_eq!(sockets_after(Duration::ZERO), 1);
    assert_eq!(sockets_after(CONNECTION_ATTEMPT_DELAY - Duration::from_millis(1)), 1);
    assert_eq!(sockets_after(CONNECTION_ATTEMPT_DELAY), 2);
}

/// A connect to a name with three addresses, at all of which somebody listens.
fn with_three_addresses() -> (TcpListener, [SocketAddr; 3], Case) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = [1, 2, 3].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
    let case = Case::new(all[0]);
    case.addresses.end(&case.look_up, Ok(all.to_vec()));
    (listener, all, case)
}

#[test]
fn a_connect_that_has_a_socket_is_not_suspended_at_the_limit() {
    let (_listener, _, mut case) = with_three_addresses();
    let mut advance = |head_starts, limit| {
        assert!(
            case.connecting
                .advance(&[], case.begun + CONNECTION_ATTEMPT_DELAY * head_starts, limit)
                .is_none()
        );
        (case.connecting.watch().count(), case.connecting.is_suspended(), case.permits.open())
    };
    assert_eq!(advance(0, LIMIT), (1, false, 1));
    assert_eq!(advance(1, LIMIT), (2, false, 2));
    // As if other calls had taken all that is left, and took what it would give back.
    assert_eq!(advance(2, 1), (2, false, 2), "the third has the permit of the first");
}

#[test]
fn an_address_that_had_no_head_start_comes_first_after_a_suspension() {
    let (listener, all, mut case) = with_three_addresses();
    let next = || listener.accept().unwrap().0.local_addr().unwrap();
    assert!(case.connecting.advance(&[], case.begun, 1).is_none());
    assert_eq!(next(), all[0]);
    let later = case.begun + CONNECTION_ATTEMPT_DELAY;
    assert!(case.connecting.advance(&[], later, 1).is_none());
    assert_eq!(next(), all[1], "at the limit it takes turns");
    drop(case.connecting.suspend());
    case.connecting.resume(case.permits.acquire(1).unwrap(), later);
    assert!(case.connecting.advance(&[], later, 1).is_none());
    assert_eq!(next(), all[1]);
}

#[test]
fn a_host_is_not_to_blame_if_the_limit_took_its_time() {
    let (_listener, mut case) = accepted();
    assert!(case.connecting.has_permit(), "it is that of its socket");
    drop(case.connecting.suspend());
    let permit = case.permits.acquire(LIMIT).unwrap();
    let head_start = case.connecting.resume(permit, case.begun);
    assert_eq!(head_start, 2 * CONNECTION_ATTEMPT_DELAY, "otherwise no slow connect would ever end");
    assert!(case.advance_after(Duration::ZERO).is_none(), "it connects again");
    let Some(Err(error)) = case.advance_after(TIMEOUT) else { panic!("it goes on, or is open") };
    assert_eq!(error.status(), status::Error::Limit);
    assert!(!is_anybody_to_blame(Some(Err(error))));
}

#[test]
fn what_this_side_lacks_is_no_fault_of_a_host() {
    let address = SocketAddr::from(([127, 0, 0, 1], 80));
    let failed = |kind| ConnectError { causes: vec![(address, kind)], ..ConnectError::default() };
    let error = |number| io::Error::from_raw_os_error(number);
    let lack = failed(ConnectErrorKind::Call(error(libc::EMFILE)));
    assert!(lack.local_fault().is_some() && lack.fault() == Fault::Local);
    let refused = failed(ConnectErrorKind::Io(error(libc::ECONNREFUSED)));
    assert!(refused.local_fault().is_none() && refused.fault() == Fault::Refused);
    let looked_up = |look_up| ConnectError { look_up: Some(look_up), ..ConnectError::default() };
    let crowded = looked_up(LookupError::Crowded);
    assert!(crowded.local_fault().is_some() && crowded.fault() == Fault::Local);
    let unknown = looked_up(LookupError::TimedOut);
    assert!(unknown.local_fault().is_none() && unknown.fault() == Fault::Name);
}

#[test]
fn a_timeout_is_never_too_old() {
    let refused = ConnectErrorKind::Io(io::Error::from_raw_os_error(libc::ECONNREFUSED));
    assert!(refused.may_be_over(), "the host may be back");
    assert!(!ConnectErrorKind::TimedOut.may_be_over() && !refused.left_alone().may_be_over());
}
