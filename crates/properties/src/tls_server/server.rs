//! A server of TLS, and the way that its records take to the client.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::io::{Read, Write};
use std::sync::LazyLock;

use arbitrary::Unstructured;
use foreign_types_shared::ForeignTypeRef;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey};
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslStream, SslVersion};
use openssl::x509::X509Builder;

use crate::tls::Queues;

unsafe extern "C" {
    // Functions of OpenSSL that the openssl crate lacks.
    fn SSL_key_update(ssl: *mut openssl_sys::SSL, kind: c_int) -> c_int;
    fn SSL_new_session_ticket(ssl: *mut openssl_sys::SSL) -> c_int;
}

/// Number of kinds of servers for one version: by the number of tickets that they send.
const TICKETS: usize = 3;

/// Contexts by version, and by the number of tickets after the handshake.
static CONTEXTS: LazyLock<Vec<SslContext>> = LazyLock::new(|| {
    let all = [SslVersion::TLS1_2, SslVersion::TLS1_3]
        .map(|version| (0..TICKETS).map(move |it| context(version, it)));
    all.into_iter().flatten().collect()
});

fn context(version: SslVersion, tickets: usize) -> SslContext {
    // Always the same key and certificate, so that an input does the same again as far as TLS allows.
    let key = PKey::private_key_from_raw_bytes(&[7; 32], Id::ED25519).expect("a key");
    let mut certificate = X509Builder::new().expect("a certificate");
    let mut context = SslContext::builder(SslMethod::tls_server()).expect("OpenSSL");
    let made = (|| {
        certificate.set_pubkey(&key)?;
        certificate.set_not_before(&*Asn1Time::from_unix(0)?)?;
        certificate.set_not_after(&*Asn1Time::from_unix(1 << 31)?)?;
        certificate.sign(&key, MessageDigest::null())?;
        context.set_private_key(&key)?;
        context.set_certificate(&certificate.build())?;
        context.set_min_proto_version(Some(version))?;
        context.set_max_proto_version(Some(version))?;
        context.set_session_id_context(b"fuzz")?;
        context.set_num_tickets(tickets)
    })();
    made.expect("a context");
    context.build()
}

/// A message of a server after its handshake.
#[derive(Clone, Copy, Debug)]
pub enum Message {
    /// A key update; true if it asks the client for one too. TLS 1.3 only.
    KeyUpdate(bool),
    /// A session ticket. TLS 1.3 only.
    Ticket,
    /// So many bytes of data.
    Data(usize),
    /// The end of its data.
    CloseNotify,
}

/// A server.
pub struct Server {
    stream: SslStream<Queues>,
    version: SslVersion,
    is_done: bool,
    /// True once it has said that it sends no more.
    is_shut: bool,
    /// Data that it has sent so far.
    pub sent: Vec<u8>,
}

impl Server {
    /// Makes a server that waits for a client's first record.
    pub fn new(version: SslVersion, tickets: usize) -> Server {
        let place = usize::from(version == SslVersion::TLS1_3) * TICKETS + tickets % TICKETS;
        let ssl = Ssl::new(&CONTEXTS[place]).expect("OpenSSL");
        let stream = SslStream::new(ssl, Queues::default()).expect("OpenSSL");
        Server { stream, version, is_done: false, is_shut: false, sent: Vec::new() }
    }

    /// Takes bytes from the client, goes on with the handshake, and returns records for the client.
    pub fn shake_hands(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.stream.get_mut().from_client.extend_from_slice(bytes);
        if !self.is_done {
            match self.stream.accept() {
                Ok(()) => self.is_done = true,
                Err(error) => assert!(
                    matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::SSL | ErrorCode::SYSCALL),
                    "{error}"
                ),
            }
        }
        self.records()
    }

    /// Returns the records that it has written.
    fn records(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.stream.get_mut().to_client);
        let mut records = Vec::new();
        while bytes.len() >= 5 {
            let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            let rest = bytes.split_off(length.min(bytes.len()));
            records.push(std::mem::replace(&mut bytes, rest));
        }
        assert!(bytes.is_empty(), "a server writes whole records");
        records
    }

    /// Writes a message, and returns its records. None for a message that the version does not have, or after the end.
    pub fn send(&mut self, message: Message) -> Vec<Vec<u8>> {
        let is_new = self.version == SslVersion::TLS1_3;
        let ssl = self.stream.ssl().as_ptr();
        match message {
            _ if self.is_shut => {}
            Message::KeyUpdate(asks) if is_new => {
                // SAFETY: the SSL is the stream's, and its handshake is over.
                assert_eq!(unsafe { SSL_key_update(ssl, c_int::from(asks)) }, 1);
                self.stream.do_handshake().expect("a key update");
            }
            Message::Ticket if is_new => {
                // SAFETY: as above.
                assert_eq!(unsafe { SSL_new_session_ticket(ssl) }, 1);
                self.stream.do_handshake().expect("a ticket");
            }
            Message::KeyUpdate(_) | Message::Ticket => {}
            Message::Data(count) => {
                let data: Vec<u8> = (0..count).map(|at| (self.sent.len() + at) as u8).collect();
                self.stream.write_all(&data).expect("room in memory");
                self.sent.extend(data);
            }
            Message::CloseNotify => {
                self.is_shut = true;
                let _ = self.stream.shutdown();
            }
        }
        self.records()
    }

    /// Reads what the client has written.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.stream.get_mut().from_client.extend_from_slice(bytes);
        let mut data = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.stream.read(&mut buffer) {
            data.extend_from_slice(&buffer[..count]);
        }
        data
    }
}

/// Bytes on the way to the client, which arrive at once.
pub struct Piece {
    /// The bytes, at least one.
    pub bytes: Vec<u8>,
    /// True if this is not what the server has sent here.
    pub is_spoilt: bool,
}

/// A way of records to the client, on which some are spoilt. Without choices left, all arrive as they are.
pub struct Way<'a, 'b> {
    choices: &'a mut Unstructured<'b>,
    /// Pieces that have not arrived.
    pub pieces: VecDeque<Piece>,
    /// True once a record was put on the way other than it was sent, or was lost.
    pub is_disturbed: bool,
    /// True if a record was lost, and nothing has come after it.
    has_gap: bool,
}

impl<'a, 'b> Way<'a, 'b> {
    /// Makes a way without pieces.
    pub fn new(choices: &'a mut Unstructured<'b>) -> Way<'a, 'b> {
        Way { choices, pieces: VecDeque::new(), is_disturbed: false, has_gap: false }
    }

    /// Returns the choices.
    pub fn choices(&mut self) -> &mut Unstructured<'b> {
        self.choices
    }

    /// Forgets what has happened to records that have arrived: they did no harm.
    pub fn forget_the_past(&mut self) {
        self.is_disturbed = self.pieces.iter().any(|piece| piece.is_spoilt);
        self.has_gap = false;
    }

    fn number(&mut self) -> usize {
        self.choices.arbitrary::<u16>().unwrap_or(0).into()
    }

    fn push(&mut self, bytes: Vec<u8>, is_spoilt: bool) {
        self.is_disturbed |= is_spoilt;
        if bytes.is_empty() {
            self.has_gap = true;
        } else {
            // After a gap the numbers of the records are wrong.
            let is_spoilt = is_spoilt || std::mem::take(&mut self.has_gap);
            self.pieces.push_back(Piece { bytes, is_spoilt });
        }
    }

    /// Puts records on the way.
    pub fn put(&mut self, records: Vec<Vec<u8>>) {
        let mut records: VecDeque<_> = records.into();
        while let Some(mut record) = records.pop_front() {
            let place = |number: usize| number % record.len();
            match self.choices.arbitrary::<u8>().unwrap_or(0) {
                0..=127 => self.push(record, false),
                // In two pieces, which is no harm.
                128..=143 => {
                    let rest = record.split_off(1 + place(self.number()).min(record.len() - 2));
                    self.push(record, false);
                    self.push(rest, false);
                }
                144..=159 => {
                    record.truncate(place(self.number()));
                    self.push(record, true);
                }
                160..=191 => {
                    let place = place(self.number());
                    record[place] ^= (self.number() as u8).max(1);
                    self.push(record, true);
                }
                192..=207 => {
                    self.push(record.clone(), false);
                    self.push(record, true);
                }
                208..=223 => match records.pop_front() {
                    Some(next) => {
                        self.push(next, true);
                        self.push(record, true);
                    }
                    None => self.push(record, false),
                },
                224..=239 => self.push(Vec::new(), true),
                _ => {
                    let length = 1 + self.number() % 64;
                    let inserted = self.choices.bytes(length.min(self.choices.len())).unwrap_or_default();
                    // Without choices left, the beginning of an alert.
                    let inserted = if inserted.is_empty() { b"\x15" } else { inserted };
                    self.push(inserted.to_vec(), true);
                    self.push(record, true);
                }
            }
        }
    }
}
