//! Tests of the Rust interface (package droplet-client) against HTTP servers on loopback.

mod common;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::empty_folder;
use common::loopback::{DeadHost, Server, certificate_in};
use droplet_client::{Connection, Context, ErrorKind, Level, Options};
use socket2::SockRef;

/// Returns a profile with these hosts and further lines.
fn profile(hosts: &[SocketAddr], more: &str) -> String {
    let hosts: Vec<_> = hosts.iter().map(SocketAddr::to_string).collect();
    format!("host = {}\n{more}", hosts.join(","))
}

fn context_over(server: &Server) -> Context {
    Context::from_profile(&profile(&[server.address], "")).expect("a good profile")
}

/// Sends a request and reads the reply. Returns its body: the number of the request on its connection.
fn request(connection: &mut Connection) -> io::Result<u32> {
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\n") || reply.ends_with(b"\r\n") {
        let mut some = [0; 16];
        let count = connection.read(&mut some)?;
        assert_ne!(count, 0, "the connection ended before the reply did");
        reply.extend_from_slice(&some[..count]);
    }
    connection.reply_complete();
    let text = String::from_utf8(reply).expect("text");
    Ok(text.rsplit("\r\n\r\n").next().and_then(|body| body.trim().parse().ok()).expect("a number"))
}

/// Waits for a condition, up to 20 s. Returns whether it became true.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match condition() {
            true => return true,
            false if Instant::now() >= deadline => return false,
            false => thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn dropped_connections_are_reused() {
    let server = Server::plain();
    let context = context_over(&server);
    for number in 1..=3 {
        let mut connection = context.connect().expect("connected");
        assert_eq!(request(&mut connection).expect("answered"), number);
        assert_eq!(connection.reused(), number - 1);
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_connection_with_an_unread_reply_is_closed() {
    let server = Server::plain();
    let context = context_over(&server);
    let dropped = |leave: fn(&mut Connection)| {
        let mut connection = context.connect().expect("connected");
        leave(&mut connection);
        drop(connection);
        assert!(eventually(|| server.open() == 0), "it is closed");
    };
    dropped(|asked| asked.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written"));
    dropped(|half_read| {
        half_read.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
        half_read.read_exact(&mut [0; 10]).expect("read");
    });
    dropped(|asked_again| {
        request(asked_again).expect("answered");
        asked_again.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    });
    dropped(|hasty| {
        hasty.write_all(b"GET / HTTP/1.1\r\n").expect("written");
        hasty.reply_complete();
    });
    let mut whole = context.connect().expect("connected");
    request(&mut whole).expect("answered");
    drop(whole);
    drop(context.connect().expect("connected"));
    assert!(eventually(|| server.open() == 1), "the last one is kept");
    assert_eq!(server.accepted(), 5);
}

#[test]
fn dead_hosts_are_skipped_and_named_if_all_are_dead() {
    let server = Server::plain();
    let (first, second) = (DeadHost::new(), DeadHost::new());
    let context =
        Context::from_profile(&profile(&[first.address, server.address], "")).expect("a good profile");
    for _ in 0..4 {
        assert_eq!(context.connect().expect("connected").peer(), server.address);
    }
    let context =
        Context::from_profile(&profile(&[first.address, second.address], "")).expect("a good profile");
    let error = context.connect().expect_err("both are dead");
    assert_eq!(error.kind(), ErrorKind::NoHost);
    for host in [first, second] {
        let reason = format!("connect to {}: Connection refused", host.address);
        assert!(error.to_string().contains(&reason), "{error}");
    }
    let error = context.connect().expect_err("both are blacklisted");
    let text = error.to_string();
    assert!(
        text.starts_with("no host is left: 127.0.0.1:") && text.contains("(refused), 127.0.0.1:"),
        "{text}"
    );
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::HostUnreachable);
}

#[test]
fn a_connection_is_usable_after_a_read_timeout() {
    let server = Server::plain();
    let context = context_over(&server);
    let mut connection = context.connect().expect("connected");
    connection.set_read_timeout(Some(Duration::from_millis(50)));
    let error = connection.read(&mut [0]).expect_err("there is no reply");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), format!("read from {}: timed out", server.address));
    connection.set_read_timeout(Some(Duration::MAX));
    assert_eq!(request(&mut connection).expect("answered"), 1);
    drop(connection);
    assert_eq!(context.connect().expect("connected").reused(), 1);
}

#[test]
fn options_limit_connections_and_their_reuse() {
    let server = Server::plain();
    let options = Options { connections: 1, reuses: 1, ..Options::default() };
    let context = Context::new(&profile(&[server.address], ""), options).expect("a good profile");
    let only = context.connect().expect("connected");
    let error = context.connect().expect_err("the limit is 1");
    assert_eq!(error.kind(), ErrorKind::Limit);
    let text = "n_conn_max (1) reached: 1 connections are in use, 0 are being opened";
    assert_eq!(error.to_string(), text);
    drop(only);
    assert_eq!(context.connect().expect("connected").reused(), 1);
    assert_eq!(context.connect().expect("connected").reused(), 0, "the limit of reuses is reached");
}

#[test]
fn a_call_waits_at_the_limit_for_as_long_as_the_options_say() {
    let server = Server::plain();
    let wait = |wait| {
        let options = Options { connections: 1, wait, ..Options::default() };
        Context::new(&profile(&[server.address], ""), options).expect("a good profile")
    };
    let context = wait(Some(Duration::from_millis(200)));
    let only = context.connect().expect("connected");
    let begin = Instant::now();
    let error = context.connect().expect_err("the only connection is in use");
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("; waited 2"), "{error}");
    let statistics = context.statistics();
    assert_eq!((statistics.limit_waits, statistics.limit_timeouts, statistics.waiting), (1, 1, 0));
    assert!(statistics.to_string().contains("waited     1 at n_conn_max; 0 wait now, 1 have waited in vain"));
    drop(only);

    let context = wait(None);
    let only = context.connect().expect("connected");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| context.connect().expect("served").reused());
        while context.statistics().waiting == 0 {
            thread::yield_now();
        }
        drop(only);
        assert_eq!(waiter.join().expect("no panic"), 1);
    });
}

#[test]
fn the_log_callback_gets_failed_attempts() {
    let server = Server::plain();
    let dead = DeadHost::new();
    let logged = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&logged);
    let options = Options {
        log_callback: Some(Box::new(move |severity, text| {
            log.lock().expect("not poisoned").push((severity, text.to_owned()));
        })),
        ..Options::default()
    };
    let context =
        Context::new(&profile(&[dead.address, server.address], ""), options).expect("a good profile");
    for _ in 0..2 {
        context.connect().expect("connected");
    }
    let expected = [(Level::Error, format!("connect to {}: Connection refused", dead.address))];
    assert_eq!(*logged.lock().expect("not poisoned"), expected);
}

#[test]
fn a_host_without_an_address_does_not_disable_the_others() {
    let server = Server::plain();
    let logged = Arc::new(Mutex::new(Vec::new()));
    let log_callback = {
        let logged = Arc::clone(&logged);
        move |severity, text: &str| logged.lock().expect("unpoisoned").push((severity, text.to_owned()))
    };
    // The name is too long for a label, so no name server is asked.
    let unknown = "x".repeat(64);
    let options = Options { log_callback: Some(Box::new(log_callback)), ..Options::default() };
    let profile = format!("host = {unknown},{}/\n", server.address);
    let context = Context::new(&profile, options).expect("a good profile");
    let logged: Vec<_> = std::mem::take(&mut logged.lock().expect("unpoisoned"));
    let is_warned =
        |part: &str| logged.iter().any(|(how, text)| *how == Level::Warning && text.contains(part));
    assert!(is_warned(&format!("no address for {unknown}")), "{logged:?}");
    assert!(is_warned("'/' at the end has no effect"), "{logged:?}");
    for _ in 0..4 {
        request(&mut context.connect().expect("connected")).expect("answered");
    }
    let profile = format!("host = {unknown}\n");
    let Err(refused) = Context::from_profile(&profile) else { panic!("no host is known") };
    assert!(refused.to_string().contains("no address for"), "{refused}");
}

#[test]
fn a_connection_outlives_its_context() {
    let server = Server::plain();
    let context = context_over(&server);
    let clone = context.clone();
    let mut connection = context.connect().expect("connected");
    drop((context, clone));
    assert_eq!(request(&mut connection).expect("answered"), 1);
    drop(connection);
    assert!(eventually(|| server.open() == 0), "its pool is gone");
}

#[test]
fn idle_connections_are_closed_with_their_context() {
    let server = Server::plain();
    let context = context_over(&server);
    request(&mut context.connect().expect("connected")).expect("answered");
    assert_eq!(server.open(), 1);
    drop(context);
    assert!(eventually(|| server.open() == 0));
}

#[test]
fn authorities_may_be_given_as_text() {
    let certificate = certificate_in(&empty_folder("api-pem"));
    let server = Server::tls(&certificate);
    let text = fs::read_to_string(&certificate).expect("readable");
    assert!(text.len() > 256, "longer than other texts may be");
    let profile = |more: &str| format!("use_https = true\n{more}\nhost = {}", server.address);
    let context = Context::from_profile(&profile(&format!("ssl_ca_pem = \"{text}\"")));
    let mut connection = context.expect("a good profile").connect().expect("verified");
    assert_eq!(request(&mut connection).expect("answered"), 1);
    let both = format!("ssl_ca_pem = \"{text}\"\nssl_ca_list = \"{}\"", certificate.display());
    let error = Context::from_profile(&profile(&both)).expect_err("one of them is too much");
    assert_eq!(error.to_string(), "profile:2: ssl_ca_pem: ssl_ca_list is set as well");
}

#[test]
fn tls_is_described_and_resumed() {
    let certificate = certificate_in(&empty_folder("api-tls"));
    let server = Server::tls(&certificate);
    let more = format!("use_https = true\nssl_ca_list = \"{}\"\n", certificate.display());
    let text = format!("{more}host = {}", server.address);
    let options = Options { reuses: 0, ..Options::default() };
    let context = Context::new(&text, options).expect("a good profile");
    for round in 0..2 {
        let mut connection = context.connect().expect("connected");
        assert_eq!(request(&mut connection).expect("answered"), 1);
        let tls = connection.tls().expect("it uses TLS");
        assert_eq!((tls.version, tls.resumed), ("TLSv1.3", round == 1));
        assert!(tls.cipher.starts_with("TLS_"), "{}", tls.cipher);
        assert!(connection.traffic().sent > 18, "{:?}", connection.traffic());
    }
    let without_authority = format!("use_https = true\nhost = {}", server.address);
    let error =
        Context::from_profile(&without_authority).expect("a good profile").connect().expect_err("untrusted");
    assert!(error.to_string().contains("certificate refused"), "{error}");
}

#[test]
fn plain_connections_are_described() {
    let server = Server::plain();
    let context = context_over(&server);
    let mut connection = context.connect().expect("connected");
    request(&mut connection).expect("answered");
    assert_eq!((connection.host(), connection.tls()), ("127.0.0.1".to_owned(), None));
    let traffic = connection.traffic();
    assert_eq!((traffic.sent, traffic.received), (18, 40));
}

#[test]
fn a_bucket_is_part_of_the_host_name() {
    let server = Server::plain();
    let context = context_over(&server);
    let error = context.connect_to_bucket("no\0bucket").expect_err("no name");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Name, "invalid bucket: no\\0bucket".to_owned())
    );
    let error = context.connect_to_bucket(&"b".repeat(300)).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Name);
    let error = context.connect_to_bucket(&"b".repeat(70)).expect_err("a label that is too long for DNS");
    assert!(error.to_string().contains("no address for bbb"), "{error}");
}

#[test]
fn statistics_count_connections_and_failures_of_hosts() {
    let server = Server::plain();
    let dead = DeadHost::new();
    let hosts = profile(&[dead.address, server.address], "");
    let context = Context::from_profile(&hosts).expect("a good profile");
    let mut in_use = context.connect().expect("connected");
    request(&mut context.connect().expect("connected")).expect("answered");
    in_use.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    let now = context.statistics();
    assert_eq!((now.created, now.idle, now.in_use, now.failed), (2, 1, 1, 0));
    drop(in_use);
    let now = context.statistics();
    assert_eq!((now.idle, now.in_use, now.closed), (1, 0, vec![("incomplete", 1)]));
    let state_of = |address: SocketAddr| {
        let host = now.hosts.iter().find(|host| host.host == address.to_string()).expect("it is in the list");
        (host.state, host.fault, host.idle, host.failures.clone())
    };
    assert_eq!(state_of(dead.address), ("out", Some("refused"), 0, vec![("refused", 1)]));
    assert_eq!(state_of(server.address), ("available", None, 1, vec![]));
}

#[test]
fn a_failed_write_blacklists_the_host() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("bound");
    let context = Context::from_profile(&profile(&[address], "")).expect("a good profile");
    let mut connection = context.connect().expect("connected");
    let (client, _) = server.accept().expect("accepted");
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("the close will be a reset");
    drop(client);
    let error = (0..1000).find_map(|_| {
        thread::sleep(Duration::from_millis(5));
        connection.write_all(b"GET / HTTP/1.1").err()
    });
    let text = error.expect("a write fails").to_string();
    assert!(text.starts_with(&format!("write to {address}: ")), "{text}");
    let again = connection.write_all(b"again").expect_err("it failed before");
    assert_eq!(again.to_string(), "the connection failed before");
    drop(connection);
    let now = context.statistics();
    assert_eq!((now.hosts[0].state, now.hosts[0].fault), ("out", Some("write")));
    assert_eq!(now.closed, [("failed", 1)]);
}

#[test]
fn a_connection_that_ended_is_not_pooled() {
    let server = Server::plain();
    let context = context_over(&server);
    let mut connection = context.connect().expect("connected");
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("written");
    let mut reply = String::new();
    connection.read_to_string(&mut reply).expect("read to its end");
    assert!(reply.ends_with("\r\n\r\n1\n"), "{reply}");
    connection.reply_complete();
    drop(connection);
    assert_eq!(context.statistics().idle, 0);
}

#[test]
fn a_forked_child_has_connections_of_its_own() {
    let server = Server::plain();
    let context = context_over(&server);
    let in_use = context.connect().expect("connected");
    request(&mut context.connect().expect("connected")).expect("answered");
    assert_eq!(context.statistics().idle, 1);
    // SAFETY: the child uses only what is safe after a fork: the context handles it, and _exit() ends the child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(in_use);
        let answered =
            context.connect().is_ok_and(|mut own| request(&mut own).is_ok_and(|number| number == 1));
        // SAFETY: _exit() has no preconditions. It runs no exit handlers, which are the parent's.
        unsafe { libc::_exit(i32::from(!answered)) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0, "the child has an answer on a connection of its own");
    let mut in_use = in_use;
    assert_eq!(request(&mut in_use).expect("the connection in use still works"), 1);
    let mut idle = context.connect().expect("connected");
    assert_eq!(request(&mut idle).expect("so does the idle connection"), 2);
}
