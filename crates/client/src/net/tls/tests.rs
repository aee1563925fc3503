use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVersion};
use openssl::x509::X509Builder;

use super::*;
use crate::pool::permits::Permits;
use crate::status::Error;

/// A connection as a server has it.
type Accepted = SslStream<std::net::TcpStream>;

/// The side of a server, with a certificate of its own.
pub fn acceptor() -> SslAcceptor {
    let key = PKey::ec_gen("P-256").unwrap();
    let mut certificate = X509Builder::new().unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate.build()).unwrap();
    acceptor.build()
}

/// Starts a server for one connection, and runs `serve` on it.
fn server<R: Send + 'static>(
    serve: impl FnOnce(Accepted) -> R + Send + 'static,
) -> (SocketAddr, JoinHandle<R>) {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || serve(acceptor.accept(listener.accept().unwrap().0).unwrap()));
    (address, thread)
}

/// Starts a server that resumes sessions, and has `serve` serve each connection. It ends with the process.
pub(in crate::net) fn server_of_many(serve: impl Fn(Accepted) + Send + 'static) -> SocketAddr {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        listener.incoming().flatten().filter_map(|stream| acceptor.accept(stream).ok()).for_each(serve);
    });
    address
}

/// Sends back what comes, until the connection ends.
fn echo(mut stream: Accepted) {
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        stream.write_all(&bytes[..count]).unwrap();
    }
}

/// Sends one message back, and hangs up without a close_notify.
fn echo_once(mut stream: Accepted) {
    let mut bytes = [0; 64];
    let count = stream.read(&mut bytes).unwrap_or(0);
    _ = stream.write_all(&bytes[..count]);
}

pub(in crate::net) fn plan(version: SslVersion) -> TlsPlan {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    TlsPlan {
        security: Security { context: context.build(), read_timeout: Some(Duration::from_secs(10)) },
        peer: PeerName::new("127.0.0.1"),
        sessions: Arc::default(),
        without_session: None,
    }
}

fn connect(address: SocketAddr, version: SslVersion) -> TlsStream {
    connect_by(&plan(version), address)
}

pub(in crate::net) fn connect_by(plan: &TlsPlan, address: SocketAddr) -> TlsStream {
    let permit = Permits::new(Box::new(|_| {})).acquire(1).unwrap();
    let socket = Socket::connect(address, permit).unwrap();
    let deadline = Some(Instant::now() + Duration::from_secs(20));
    assert!(sys::wait(&mut [PollFd::writable(&socket)], deadline).unwrap());
    let mut step = Handshake::begin(plan.clone(), socket);
    loop {
        step = match step {
            Step::Pending(handshake) => {
                assert!(sys::wait(&mut [handshake.watch()], deadline).unwrap());
                handshake.advance()
            }
            Step::Done(stream) => return *stream,
            Step::Failed(failed) => panic!("{}", failed.error.reason),
        }
    }
}

/// Makes a request that is echoed.
fn exchange(stream: &mut TlsStream) {
    let mut bytes = [0; 64];
    write(stream, &[b"ping"]);
    assert_eq!(stream.read(&mut bytes, PATIENCE).unwrap(), 4);
}

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn write(stream: &mut TlsStream, pieces: &[&[u8]]) {
    let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    stream.write_all(&pieces, Some(Duration::from_secs(10))).unwrap();
}

#[test]
fn a_reply_is_awaited_from_a_write_to_a_read() {
    let (address, thread) = server(|mut stream| {
        let mut bytes = [0; 64];
        for _ in 0..2 {
            let count = stream.read(&mut bytes).unwrap();
            stream.write_all(&bytes[..count]).unwrap();
        }
        stream.read(&mut bytes).unwrap()
    });
    let mut stream = connect(address, SslVersion::TLS1_2);
    let mut bytes = [0; 64];
    for _ in 0..2 {
        write(&mut stream, &[b"ping"]);
        assert!(stream.awaits_reply());
        assert_eq!(stream.read(&mut bytes, Some(Duration::from_secs(10))).unwrap(), 4);
        assert!(!stream.awaits_reply());
    }
    drop(stream);
    assert_eq!(thread.join().unwrap(), 0, "the connection ended by a close_notify");
}

#[test]
fn pieces_of_any_size_arrive_in_order() {
    const SIZES: [usize; 9] = [1, 0, RECORD, 5, RECORD - 5, 3 * RECORD + 7, 9, 100_000, 2];
    let pieces: Vec<Vec<u8>> =
        SIZES.iter().enumerate().map(|(nth, size)| vec![nth as u8 + 1; *size]).collect();
    let whole = pieces.concat();
    let length = whole.len();
    let (address, thread) = server(move |mut stream| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    });
    let mut stream = connect(address, SslVersion::TLS1_3);
    write(&mut stream, &pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert!(thread.join().unwrap() == whole);
}

#[test]
fn a_connection_may_have_any_number_of_replies() {
    let mut stream = connect(server_of_many(echo), SslVersion::TLS1_3);
    for _ in 0..1500 {
        exchange(&mut stream);
    }
}

#[test]
fn a_session_serves_its_own_context_only() {
    // The session of TLS 1.2 serves any number of connections, a ticket of TLS 1.3 one.
    for (version, served) in [(SslVersion::TLS1_2, [true, true]), (SslVersion::TLS1_3, [true, false])] {
        let (address, own) = (server_of_many(echo), plan(version));
        let other = TlsPlan { sessions: Arc::clone(&own.sessions), ..plan(version) };
        exchange(&mut connect_by(&own, address));
        assert_eq!(served.map(|_| connect_by(&own, address).was_resumed()), served, "{version:?}");
        exchange(&mut connect_by(&own, address));
        assert!(!connect_by(&other, address).was_resumed(), "it may verify certificates in another way");
        assert!(!connect_by(&own, address).was_resumed(), "the cache has one context");
    }
}

#[test]
fn no_session_is_offered_once_it_has_failed_or_during_a_pause() {
    let (address, plan) = (server_of_many(echo), plan(SslVersion::TLS1_2));
    let connect = || connect_by(&plan, address);
    exchange(&mut connect());
    assert!(connect().was_resumed());
    plan.sessions.refused("alert");
    let mut stream = connect();
    assert!(!stream.was_resumed());
    exchange(&mut stream);
    drop(stream);
    assert!(connect().was_resumed(), "the new one may be better");
    plan.sessions.refused("alert");
    for _ in 0..2 {
        let mut stream = connect();
        assert!(!stream.was_resumed());
        exchange(&mut stream);
    }
}

/// Makes a session, and returns a connection that resumes it.
fn resumed(plan: &TlsPlan, address: SocketAddr) -> TlsStream {
    exchange(&mut connect_by(plan, address));
    let stream = connect_by(plan, address);
    assert!(stream.was_resumed());
    stream
}

#[test]
fn a_resumed_connection_that_fails_before_a_reply_blames_its_session_once() {
    let mut bytes = [0; 64];
    let hang_up_if_resumed = |stream: Accepted| {
        if !stream.ssl().session_reused() {
            echo(stream)
        }
    };
    let (address, plan) = (server_of_many(hang_up_if_resumed), plan(SslVersion::TLS1_2));
    for failures in 1..=2 {
        let mut stream = resumed(&plan, address);
        assert!(stream.read(&mut bytes, PATIENCE).is_err());
        let is_paused = plan.sessions.take_notice().is_some();
        assert_eq!(is_paused, failures == 2, "after {failures} failures");
        assert!(stream.failed_unanswered());
        assert!(plan.sessions.take_notice().is_none(), "it is the same failure");
    }
}

#[test]
fn a_session_is_not_to_blame_after_a_reply_or_for_silence() {
    let mut bytes = [0; 64];
    let (address, answering) = (server_of_many(echo_once), plan(SslVersion::TLS1_2));
    let mut stream = resumed(&answering, address);
    exchange(&mut stream);
    assert!(stream.read(&mut bytes, PATIENCE).is_err(), "the server has hung up");
    assert!(!stream.failed_unanswered());

    let (address, silent) = (server_of_many(echo), plan(SslVersion::TLS1_2));
    let mut stream = resumed(&silent, address);
    assert!(matches!(stream.read(&mut bytes, Some(Duration::ZERO)), Err(TransferError::TimedOut)));
    assert!(stream.timed_out() && !stream.failed_unanswered());
}

#[test]
fn the_end_of_an_idle_connection_leaves_its_session_usable() {
    let (address, plan) = (server_of_many(echo_once), plan(SslVersion::TLS1_2));
    let mut stream = connect_by(&plan, address);
    exchange(&mut stream);
    stream.keep_session();
    assert!(
        sys::wait(&mut [PollFd::readable(&stream)], Some(Instant::now() + Duration::from_secs(20))).unwrap()
    );
    assert!(!stream.is_good(), "the server has hung up");
    drop(stream);
    assert!(connect_by(&plan, address).was_resumed());
}

#[test]
fn a_connection_that_has_failed_leaves_no_session() {
    let (address, plan) = (server_of_many(drop), plan(SslVersion::TLS1_2));
    let mut stream = connect_by(&plan, address);
    let patience = Instant::now() + Duration::from_secs(20);
    while stream.write_all(&[IoSlice::new(b"ping")], PATIENCE).is_ok() {
        assert!(Instant::now() < patience);
    }
    drop(stream);
    assert!(!connect_by(&plan, address).was_resumed());
}

#[test]
fn a_server_that_has_replied_already_has_data() {
    let (sender, receiver) = mpsc::channel();
    let (address, thread) = server(move |mut stream| {
        receiver.recv().unwrap();
        stream.write_all(b"413").unwrap();
        stream
    });
    let mut stream = connect(address, SslVersion::TLS1_2);
    assert!(!stream.has_data());
    sender.send(()).unwrap();
    let _open = thread.join().unwrap();
    let deadline = Some(Instant::now() + Duration::from_secs(20));
    assert!(sys::wait(&mut [PollFd::readable(&stream)], deadline).unwrap());
    assert!(stream.has_data());
}

#[test]
fn a_peer_that_breaks_off_tls_is_told_from_a_lack_of_memory() {
    let (address, _thread) = server(|mut stream| {
        stream.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream.read(&mut [0; 64]).is_ok()
    });
    let error = connect(address, SslVersion::TLS1_2).read(&mut [0; 64], PATIENCE).unwrap_err();
    assert_eq!(error.error(), Error::Failure);
    assert!(!error.is_local(), "{error}");
}

#[cfg(openssl3)]
#[test]
fn a_lack_of_memory_in_openssl_is_one_of_this_machine() {
    /// `ERR_R_MALLOC_FAILURE`.
    const MALLOC_FAILURE: i32 = 0xC0100;
    let error = transfer_error(SslError::Tls(libssl::errors_with(MALLOC_FAILURE)));
    assert!(error.error() == Error::OutOfMemory && error.is_local());
}
