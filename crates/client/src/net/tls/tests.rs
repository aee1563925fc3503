use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVersion};
use openssl::x509::X509Builder;

use super::*;
use crate::os::sys::PollFd;
use crate::pool::permits::Permits;

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
    serve: impl FnOnce(SslStream<std::net::TcpStream>) -> R + Send + 'static,
) -> (SocketAddr, JoinHandle<R>) {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || serve(acceptor.accept(listener.accept().unwrap().0).unwrap()));
    (address, thread)
}

fn connect(address: SocketAddr, version: SslVersion) -> TlsStream {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    let plan = TlsPlan {
        security: Security { context: context.build(), read_timeout: Some(Duration::from_secs(10)) },
        peer: PeerName::new("127.0.0.1"),
        sessions: Arc::default(),
        without_session: None,
    };
    let permit = Permits::new(Box::new(|_| {})).acquire(1).unwrap();
    let socket = Socket::connect(address, permit).unwrap();
    let deadline = Some(Instant::now() + Duration::from_secs(20));
    assert!(sys::wait(&mut [PollFd::writable(&socket)], deadline).unwrap());
    let mut step = Handshake::begin(plan, socket);
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
