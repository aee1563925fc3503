//! The servers' side of TLS: OpenSSL over bytes in memory.

use std::io::{self, Read, Write};
use std::sync::OnceLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509NameBuilder};

/// The certificate of all servers and their settings.
pub struct Identity {
    context: SslContext,
    /// The certificate as text.
    pub pem: String,
}

/// Returns the identity of the servers, which is made at the first call.
pub fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| make_identity().expect("a certificate"))
}

fn make_identity() -> Result<Identity, openssl::error::ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "simulated")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
    certificate.set_serial_number(&serial)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_pubkey(&key)?;
    let (begin, end) = (Asn1Time::from_unix(1_000_000_000)?, Asn1Time::from_unix(4_000_000_000)?);
    certificate.set_not_before(&begin)?;
    certificate.set_not_after(&end)?;
    let mut names = SubjectAlternativeName::new();
    names.dns("*.simulated.test");
    for number in 1..=16 {
        names.ip(&format!("10.0.0.{number}"));
    }
    let names = names.build(&certificate.x509v3_context(None, None))?;
    certificate.append_extension(names)?;
    certificate.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    let certificate = certificate.build();
    let mut context = SslContext::builder(SslMethod::tls_server())?;
    context.set_certificate(&certificate)?;
    context.set_private_key(&key)?;
    context.set_session_id_context(b"simulation")?;
    let pem = String::from_utf8(certificate.to_pem()?).expect("PEM is text");
    Ok(Identity { context: context.build(), pem })
}

/// Makes an `SSL_CTX` for a client that trusts the servers.
pub fn client_context() -> Result<SslContext, openssl::error::ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(X509::from_pem(identity().pem.as_bytes())?)?;
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    builder.set_cert_store(store.build());
    builder.set_verify(SslVerifyMode::PEER);
    Ok(builder.build())
}

/// The bytes to and from a server.
#[derive(Default)]
struct Bytes {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.incoming.len());
        buffer[..count].copy_from_slice(&self.incoming[..count]);
        self.incoming.drain(..count);
        Ok(count)
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Phase {
    New,
    InHandshake(MidHandshakeSslStream<Bytes>),
    Open(SslStream<Bytes>),
    Over,
}

/// A server's side of one connection.
pub struct Session {
    phase: Phase,
    hello: Vec<u8>,
}

/// The outcome of bytes that a server got.
#[derive(Default)]
pub struct Outcome {
    /// What they say.
    pub plain: Vec<u8>,
    /// What the server sends.
    pub sent: Vec<u8>,
    /// True if the handshake or the connection has failed.
    pub has_failed: bool,
    /// True if the client offers a session that the server does not accept.
    pub is_rejected: bool,
}

impl Session {
    /// A connection without a handshake so far.
    pub fn new() -> Session {
        Session { phase: Phase::New, hello: Vec::new() }
    }

    /// True once the handshake is complete.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Takes bytes of the client.
    pub fn receive(&mut self, bytes: &[u8], rejects_sessions: bool) -> Outcome {
        let mut outcome = Outcome::default();
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::New => {
                self.hello.extend_from_slice(bytes);
                if rejects_sessions && offers_session(&self.hello) {
                    outcome.is_rejected = true;
                    return outcome;
                }
                let stream = Bytes { incoming: std::mem::take(&mut self.hello), outgoing: Vec::new() };
                let ssl = Ssl::new(&identity().context).expect("an SSL");
                self.take(ssl.accept(stream), &mut outcome);
            }
            Phase::InHandshake(mut middle) => {
                middle.get_mut().incoming.extend_from_slice(bytes);
                self.take(middle.handshake(), &mut outcome);
            }
            Phase::Open(mut stream) => {
                stream.get_mut().incoming.extend_from_slice(bytes);
                self.phase = Phase::Open(stream);
                self.read(&mut outcome);
            }
            Phase::Over => {}
        }
        outcome
    }

    fn take(&mut self, step: Result<SslStream<Bytes>, HandshakeError<Bytes>>, outcome: &mut Outcome) {
        match step {
            Ok(stream) => {
                self.phase = Phase::Open(stream);
                self.read(outcome);
            }
            Err(HandshakeError::WouldBlock(mut middle)) => {
                outcome.sent = std::mem::take(&mut middle.get_mut().outgoing);
                self.phase = Phase::InHandshake(middle);
            }
            Err(HandshakeError::Failure(mut middle)) => {
                outcome.sent = std::mem::take(&mut middle.get_mut().outgoing);
                outcome.has_failed = true;
            }
            Err(HandshakeError::SetupFailure(_)) => outcome.has_failed = true,
        }
    }

    fn read(&mut self, outcome: &mut Outcome) {
        let Phase::Open(stream) = &mut self.phase else { return };
        let mut buffer = [0; 4096];
        loop {
            match stream.ssl_read(&mut buffer) {
                Ok(count) => outcome.plain.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    outcome.has_failed =
                        !matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::ZERO_RETURN);
                    break;
                }
            }
        }
        outcome.sent.extend(std::mem::take(&mut stream.get_mut().outgoing));
    }

    /// Returns data as the server sends it.
    pub fn send(&mut self, plain: &[u8]) -> Vec<u8> {
        let Phase::Open(stream) = &mut self.phase else { return Vec::new() };
        if !plain.is_empty() && stream.write_all(plain).is_err() {
            return Vec::new();
        }
        std::mem::take(&mut stream.get_mut().outgoing)
    }

    /// Returns the end of the stream as the server sends it.
    pub fn close(&mut self) -> Vec<u8> {
        let Phase::Open(stream) = &mut self.phase else { return Vec::new() };
        let _ = stream.shutdown();
        std::mem::take(&mut stream.get_mut().outgoing)
    }
}

/// True if a ClientHello offers a session: it has the extension `pre_shared_key` (RFC 8446, section 4.2.11).
fn offers_session(hello: &[u8]) -> bool {
    let number = |at: usize, length: usize| -> Option<usize> {
        hello
            .get(at..at + length)
            .map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let extension = || -> Option<bool> {
        // Record, message, version and random.
        let mut at = 5 + 4 + 2 + 32;
        at += 1 + number(at, 1)?;
        at += 2 + number(at, 2)?;
        at += 1 + number(at, 1)?;
        at += 2;
        while let (Some(kind), Some(length)) = (number(at, 2), number(at + 2, 2)) {
            if kind == 41 {
                return Some(true);
            }
            at += 4 + length;
        }
        Some(false)
    };
    extension().unwrap_or(false)
}
