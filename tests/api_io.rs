//! Tests of connections of the Rust interface (package droplet-client) as streams: what they write, how long, and what
//! they read apart from replies.

mod common;

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::loopback::DeadHost;
use droplet_client::{Connection, Context, ErrorKind, Options};

/// A server of one connection, which a function serves.
fn server_of(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || serve(listener.accept().expect("a connection").0));
    address
}

fn connect_to(host: SocketAddr) -> Connection {
    Context::from_profile(&format!("host = {host}")).expect("a good profile").connect().expect("connected")
}

#[test]
fn pieces_are_written_in_their_order() {
    let (send, received) = mpsc::channel();
    let address = server_of(move |mut client| {
        let mut request = [0; 18];
        client.read_exact(&mut request).expect("a request");
        send.send(request).expect("the test waits");
    });
    let mut connection = connect_to(address);
    let pieces = [b"GET / ".as_slice(), b"", b"HTTP/1.1\r\n", b"\r\n"].map(IoSlice::new);
    assert_eq!(connection.write_vectored(&pieces).expect("written"), 18);
    connection.flush().expect("there is nothing to flush");
    assert_eq!(&received.recv().expect("sent"), b"GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn a_write_that_stands_still_times_out() {
    let (end, ended) = mpsc::channel::<()>();
    let address = server_of(move |client| {
        // It reads nothing until the test is over.
        let _ = ended.recv();
        drop(client);
    });
    let mut connection = connect_to(address);
    connection.set_write_timeout(Some(Duration::from_millis(50)));
    let begin = Instant::now();
    let much = vec![0; 64 * 1024 * 1024];
    let error = connection.write_all(&much).expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), format!("write to {address}: timed out"));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    let error = connection.write_all(b"more").expect_err("a part was written");
    assert_eq!(error.to_string(), "the connection failed before");
    drop(end);
}

#[test]
fn what_follows_a_change_of_protocol_is_read_from_the_connection() {
    let address = server_of(|mut client| {
        client.read_exact(&mut [0; 18]).expect("a request");
        client.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nother").expect("a reply");
        client.write_all(b" and more").expect("more");
    });
    let mut connection = connect_to(address);
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    assert_eq!(connection.reply().expect("a reply").status(), 101);
    assert_eq!(connection.read(&mut []).expect("nothing is asked for"), 0);
    let mut first = [0; 3];
    connection.read_exact(&mut first).expect("what came with the reply");
    assert_eq!(&first, b"oth");
    let mut rest = String::new();
    connection.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "er and more");
}

#[test]
fn a_reset_ends_all_reading() {
    let address = server_of(|mut client| {
        client.read_exact(&mut [0; 1]).expect("a request");
        // Unread bytes make a close a reset.
        client.peek(&mut [0; 1]).expect("more of it");
    });
    let mut connection = connect_to(address);
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    let error = connection.read(&mut [0; 1]).expect_err("the server has gone");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = connection.reply().map(drop).expect_err("no reply can come");
    assert!(error.to_string().starts_with(&format!("reply from {address}: ")), "{error}");
}

#[test]
fn a_connection_shows_its_peer_and_its_descriptor() {
    let (end, ended) = mpsc::channel::<()>();
    let address = server_of(move |client| {
        let _ = ended.recv();
        drop(client);
    });
    let connection = connect_to(address);
    assert_eq!(format!("{connection:?}"), format!("Connection {{ peer: {address}, .. }}"));
    let link = format!("/proc/self/fd/{}", connection.as_raw_fd());
    let target = std::fs::read_link(link).expect("an open descriptor");
    assert!(target.to_string_lossy().starts_with("socket:"), "{target:?}");
    drop(end);
}

#[test]
fn errors_become_errors_of_io() {
    let kind_of = |profile: &str| {
        let error = match Context::from_profile(profile) {
            Ok(context) => context.connect().map(drop).expect_err("no connection"),
            Err(error) => error,
        };
        (error.kind(), io::Error::from(error).kind())
    };
    let dead = DeadHost::new();
    let refused = format!("host = {}", dead.address);
    assert_eq!(kind_of(&refused), (ErrorKind::NoHost, io::ErrorKind::HostUnreachable));
    let limited =
        Context::new(&refused, Options { connections: 0, ..Options::default() }).expect("a good profile");
    let error = limited.connect().expect_err("none is allowed");
    assert_eq!((error.kind(), io::Error::from(error).kind()), (ErrorKind::Limit, io::ErrorKind::Other));
    assert_eq!(format!("{limited:?}"), "Context { .. }");
    assert_eq!(kind_of("hots = a"), (ErrorKind::Profile, io::ErrorKind::InvalidInput));
}
