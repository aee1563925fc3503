//! HTTP servers on loopback, plain or over TLS, on threads of the test. The body of a reply is the number of the request
//! on its connection: "1\n", "2\n" and so on.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};
use socket2::{Domain, Socket, Type};

/// A server. It runs until the test ends.
pub struct Server {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Server {
    /// Starts a server of HTTP.
    pub fn plain() -> Server {
        Server::serving(None)
    }

    /// Starts a server of HTTPS, and writes its certificate to a file.
    pub fn tls(certificate: &Path) -> Server {
        let (own, key) = self::certificate();
        fs::write(certificate, own.to_pem().expect("PEM")).expect("the certificate can be written");
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL");
        acceptor.set_private_key(&key).expect("a key");
        acceptor.set_certificate(&own).expect("a certificate");
        acceptor.set_session_id_context(b"loopback").expect("short enough");
        Server::serving(Some(acceptor.build()))
    }

    fn serving(tls: Option<SslAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let counts = Arc::new(Counts::default());
        let server = Server { address, counts: Arc::clone(&counts) };
        let tls = tls.map(Arc::new);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (counts, tls) = (Arc::clone(&counts), tls.clone());
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                counts.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    // An error means that the client closed the connection.
                    let _ = converse(client, tls.as_deref());
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// Returns the number of connections so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Returns the number of open connections.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }
}

fn converse(client: TcpStream, tls: Option<&SslAcceptor>) -> io::Result<()> {
    let Some(tls) = tls else { return answer(&client) };
    let mut client = tls.accept(client).map_err(io::Error::other)?;
    answer(&mut client)?;
    client.shutdown().map(drop).map_err(io::Error::other)
}

/// Answers requests without a body until the client closes the connection, or after a request of HTTP/1.0.
fn answer(client: impl Read + Write) -> io::Result<()> {
    let mut client = BufReader::new(client);
    for number in 1.. {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if client.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = format!("{number}\n").len();
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{number}\n");
        client.get_mut().write_all(reply.as_bytes())?;
        if head.contains(" HTTP/1.0\r\n") {
            break;
        }
    }
    Ok(())
}

/// Makes a self-signed certificate for 127.0.0.1, and its key.
fn certificate() -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", "loopback").expect("a name");
    let name = name.build();
    let mut own: X509Builder = X509::builder().expect("a certificate");
    let made = (|| {
        own.set_version(2)?;
        own.set_serial_number(&*BigNum::from_u32(1)?.to_asn1_integer()?)?;
        own.set_subject_name(&name)?;
        own.set_issuer_name(&name)?;
        own.set_not_before(&*Asn1Time::days_from_now(0)?)?;
        own.set_not_after(&*Asn1Time::days_from_now(1)?)?;
        own.set_pubkey(&key)?;
        own.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&own.x509v3_context(None, None))?;
        own.append_extension(names)?;
        own.sign(&key, MessageDigest::sha256())
    })();
    made.expect("a certificate");
    (own.build(), key)
}

/// A host that refuses connections, like one whose server has died.
pub struct DeadHost {
    pub address: SocketAddr,
    /// A socket that is bound, so that no other process gets the port, and does not listen.
    _socket: Socket,
}

impl DeadHost {
    /// Makes a host on a free port.
    pub fn new() -> DeadHost {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a port");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("bound");
        DeadHost { address, _socket: socket }
    }
}

/// Returns the path of a certificate in a folder.
pub fn certificate_in(folder: &Path) -> PathBuf {
    folder.join("authority.pem")
}
