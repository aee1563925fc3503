use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::{env, iter};

use openssl::ssl::SslVersion;

use super::*;
use crate::net::tls::tests::{connect_by, plan, server_of_many};

/// A connect over TLS to two addresses of a server that accepts, but does not speak. The handshake with the first one
/// begins at the time `connected`.
fn to_two_addresses(plan: TlsPlan, connected: Duration) -> (TcpListener, [SocketAddr; 2], Case) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let both = [1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
    let mut case = Case::with_tls(both[0], Some(plan));
    case.addresses.end(&case.look_up, Ok(both.to_vec()));
    connect_next(&mut case, Duration::ZERO, connected);
    (listener, both, case)
}

/// Connects to the next address, and begins its handshake later.
fn connect_next(case: &mut Case, begin: Duration, connected: Duration) {
    assert!(case.advance_after(begin).is_none());
    case.wait_until_ready();
    assert!(case.advance_after(connected).is_none());
}

#[test]
fn a_handshake_has_a_head_start_of_its_own() {
    let connected = CONNECTION_ATTEMPT_DELAY * 4 / 5;
    let (_listener, _, mut case) = to_two_addresses(tls_plan(), connected);
    let mut sockets_after = |time| {
        assert!(case.advance_after(time).is_none());
        case.connecting.watch().count()
    };
    assert_eq!(sockets_after(connected), 1);
    assert_eq!(sockets_after(connected + CONNECTION_ATTEMPT_DELAY - Duration::from_millis(1)), 1);
    assert_eq!(sockets_after(connected + CONNECTION_ATTEMPT_DELAY), 2);
}

#[test]
fn handshakes_go_on_side_by_side() {
    // What the first server sends meanwhile: nothing, or the begin of a record.
    for part in [&b""[..], &[22, 3, 3]] {
        let (listener, both, mut case) = to_two_addresses(tls_plan(), Duration::ZERO);
        connect_next(&mut case, CONNECTION_ATTEMPT_DELAY, CONNECTION_ATTEMPT_DELAY);
        let [mut first, second] = [(); 2].map(|()| listener.accept().unwrap().0);
        assert_eq!([&first, &second].map(|stream| stream.local_addr().unwrap()), both);
        first.write_all(part).unwrap();
        drop(second);
        let ready_ones = if part.is_empty() { 1 } else { 2 };
        let patience = Instant::now() + Duration::from_secs(20);
        let are_ready = |case: &Case| {
            let mut fds: Vec<_> = case.connecting.watch().collect();
            sys::wait(&mut fds, Some(Instant::now())).unwrap();
            fds.iter().filter(|fd| fd.is_ready()).count() == ready_ones
        };
        while !are_ready(&case) {
            assert!(Instant::now() < patience);
        }
        assert!(case.advance_after(CONNECTION_ATTEMPT_DELAY).is_none(), "the first goes on");
        assert_eq!(case.connecting.watch().count(), 1);
        drop(first);
        case.wait_until_ready();
        let Some(Err(error)) = case.advance_after(CONNECTION_ATTEMPT_DELAY) else { panic!("no error") };
        let failed: Vec<_> = error.causes.iter().map(|(address, _)| *address).collect();
        assert_eq!(failed, [both[1], both[0]]);
    }
}

#[test]
fn an_address_that_hangs_up_on_a_session_has_a_head_start_without_it() {
    let plan = plan(SslVersion::TLS1_2);
    drop(connect_by(&plan, server_of_many(drop)));
    let (listener, both, mut case) = to_two_addresses(plan, Duration::ZERO);
    drop(listener.accept().unwrap());
    case.wait_until_ready();
    assert!(case.advance_after(Duration::ZERO).is_none());
    assert_eq!(case.connecting.watch().count(), 1, "the other address has to wait");
    assert_eq!(listener.accept().unwrap().0.local_addr().unwrap(), both[0]);
}

#[test]
fn a_server_is_to_blame_for_what_it_sends_to_a_handshake_that_was_left_alone() {
    for (answer, is_blamed) in [("", false), ("HTTP/1.1 400 Bad Request\r\n\r\n", true)] {
        let (listener, mut case) = accepted();
        let late = TIMEOUT + TIMEOUT / 5;
        assert!(case.look_after(late).is_none(), "the handshake has a head start");
        let mut server = listener.accept().unwrap().0;
        if answer.is_empty() {
            drop(server);
        } else {
            server.write_all(answer.as_bytes()).unwrap();
        }
        case.wait_until_ready();
        assert_eq!(is_anybody_to_blame(case.look_after(late)), is_blamed, "{answer:?}");
    }
}

/// Runs a test of this module again in a process that may have few descriptors. Returns whether this is that process.
fn is_short_of_descriptors(test: &str) -> bool {
    const SHORT: &str = "DROPLET_TEST_SHORT_OF_DESCRIPTORS";
    if env::var_os(SHORT).is_some() {
        return true;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{test}")])
        .env(SHORT, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
    false
}

#[test]
fn a_look_up_that_cannot_be_watched_makes_no_busy_loop() {
    if !is_short_of_descriptors("a_look_up_that_cannot_be_watched_makes_no_busy_loop") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut case = Case::with_tls(listener.local_addr().unwrap(), Some(tls_plan()));
    connect_next(&mut case, Duration::ZERO, Duration::ZERO);
    let all: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for nth in 1..=2 {
        let time = CONNECTION_ATTEMPT_DELAY * nth;
        assert!(case.advance_after(time).is_none(), "the handshake goes on");
        assert_eq!(case.connecting.wake_at(), case.begun + time + CONNECTION_ATTEMPT_DELAY);
    }
    drop(all);
    assert!(case.advance_after(CONNECTION_ATTEMPT_DELAY * 3).is_none());
    assert_eq!(case.connecting.wake_at(), case.begun + TIMEOUT, "it is watched");
}
