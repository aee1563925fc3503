//! A TLS client against a server of OpenSSL's, whose records are cut, changed, repeated, swapped, dropped and inserted on
//! their way: during the handshake and afterwards. The first byte says the version, the number of tickets, and whether a
//! second connection follows, which offers a session of the first. The others are choices; zeros are honest ones.

mod server;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use droplet_client::net::tls::{Sessions, TlsStream};
use openssl::ssl::{SslContext, SslVersion};

use crate::tls::{AT_ONCE, Client, Pair, Wire, client_context};
use server::{Message, Server, Way};

/// Number of rounds of a handshake: more than any has.
const ROUNDS: usize = 20;

/// Greatest number of events after a handshake.
const EVENTS: usize = 12;

static CLIENTS: LazyLock<[SslContext; 2]> =
    LazyLock::new(|| [SslVersion::TLS1_2, SslVersion::TLS1_3].map(client_context));

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let mut choices = Unstructured::new(rest);
    let sessions = Arc::default();
    let is_kept = connect(choice, &mut choices, &sessions, false);
    if choice & 1 != 0 {
        connect(choice, &mut choices, &sessions, is_kept);
    }
}

/// Makes a connection, and uses it. Returns whether it may have left a session.
fn connect(
    choice: u8,
    choices: &mut Unstructured<'_>,
    sessions: &Arc<Sessions>,
    may_have_session: bool,
) -> bool {
    let is_new = choice & 2 == 0;
    let version = if is_new { SslVersion::TLS1_3 } else { SslVersion::TLS1_2 };
    let mut server = Server::new(version, usize::from(choice >> 2));
    let mut pair = Pair::new(&CLIENTS[usize::from(is_new)], sessions);
    let mut way = Way::new(choices);
    shake_hands(&mut pair, &mut server, &mut way);
    pair.blames_the_host();
    let Pair { client, mut wire } = pair;
    match client {
        Client::Failed(error, may_retry) => {
            assert!(way.is_disturbed, "an honest handshake has failed: {error:?}");
            assert!(!may_retry || may_have_session, "no session was offered");
            false
        }
        Client::Pending(_) => unreachable!("it was given up"),
        Client::Done(stream) => {
            assert!(!stream.was_resumed() || may_have_session, "a session that was not offered");
            let mut conversation = Conversation {
                stream: *stream,
                wire: &mut wire,
                server,
                way,
                received: 0,
                has_ended: false,
                is_harmed: false,
            };
            conversation.run();
            conversation.stream.keep_session();
            true
        }
    }
}

/// Goes on until the handshake has succeeded or failed. Records that the client did not need yet stay on the way.
fn shake_hands(pair: &mut Pair, server: &mut Server, way: &mut Way<'_, '_>) {
    for _ in 0..ROUNDS {
        let records = server.shake_hands(&pair.wire.receive());
        way.put(records);
        let mut has_moved = false;
        while let (Client::Pending(_), Some(piece)) = (&pair.client, way.pieces.pop_front()) {
            pair.wire.send(&piece.bytes);
            pair.advance();
            has_moved = true;
        }
        match pair.client {
            Client::Pending(_) if has_moved => {}
            Client::Pending(_) => break,
            Client::Done(_) => {
                // A handshake that succeeds is one of which nothing that counts was spoilt.
                way.forget_the_past();
                // The server takes the client's last message, and sends its tickets.
                let records = server.shake_hands(&pair.wire.receive());
                way.put(records);
                return;
            }
            Client::Failed(..) => return,
        }
    }
    assert!(way.is_disturbed || matches!(pair.client, Client::Done(_)), "an honest handshake does not end");
    pair.give_up();
}

/// What has come to the client since the last check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Nothing,
    /// Messages of TLS itself, unspoilt.
    Harmless,
    /// Data, the end, or something that was not sent like this.
    Harm,
}

/// The use of a connection.
struct Conversation<'a, 'b, 'c> {
    stream: TlsStream,
    wire: &'a mut Wire,
    server: Server,
    way: Way<'b, 'c>,
    /// Number of bytes of data that the client has read.
    received: usize,
    /// True once the server has ended the stream.
    has_ended: bool,
    /// True once something has arrived that was not sent like this.
    is_harmed: bool,
}

impl Conversation<'_, '_, '_> {
    fn run(&mut self) {
        // Tickets that are still on the way.
        let mut arrival = self.arrive(Arrival::Harmless);
        for _ in 0..EVENTS {
            if self.way.choices().is_empty() {
                break;
            }
            let event = self.way.choices().arbitrary::<u8>().unwrap_or(0);
            let message = match event % 8 {
                0 => None,
                // Nothing follows the end of the stream.
                1..=4 if self.has_ended => None,
                1 => Some(Message::KeyUpdate(event & 8 != 0)),
                2 => Some(Message::Ticket),
                3 => Some(Message::Data(1 + usize::from(event))),
                4 => Some(Message::CloseNotify),
                5 => {
                    self.wire.end();
                    self.has_ended = true;
                    None
                }
                _ => {
                    if arrival == Arrival::Harm || self.has_ended || !self.exchange() {
                        return;
                    }
                    arrival = Arrival::Nothing;
                    continue;
                }
            };
            let kind = if matches!(message, Some(Message::Data(_) | Message::CloseNotify)) {
                Arrival::Harm
            } else {
                Arrival::Harmless
            };
            if let Some(message) = message {
                let records = self.server.send(message);
                self.way.put(records);
            }
            let fresh = self.arrive(kind);
            if fresh != Arrival::Nothing && arrival != Arrival::Harm {
                arrival = fresh;
            }
            if event & 0x40 != 0 {
                // A program that reads gets what the server has sent, and not more.
                self.read(usize::MAX, self.way.is_disturbed);
                return;
            }
            if event & 0x80 == 0 {
                if !self.check_idle(arrival) {
                    return;
                }
                arrival = Arrival::Nothing;
            }
        }
        self.check_idle(arrival);
    }

    /// Lets everything on the way arrive, of which the unspoilt is of this kind.
    fn arrive(&mut self, kind: Arrival) -> Arrival {
        if self.way.pieces.is_empty() {
            return Arrival::Nothing;
        }
        for piece in std::mem::take(&mut self.way.pieces) {
            self.is_harmed |= piece.is_spoilt;
            self.wire.send(&piece.bytes);
        }
        if self.is_harmed { Arrival::Harm } else { kind }
    }

    /// Checks what the check of an idle connection says. Returns whether the connection is good.
    fn check_idle(&mut self, arrival: Arrival) -> bool {
        let began = Instant::now();
        let is_good = self.stream.is_good();
        assert!(began.elapsed() < AT_ONCE, "the check of an idle connection has waited");
        let is_harmed = arrival == Arrival::Harm || self.has_ended;
        assert_eq!(is_good, !is_harmed, "true is good; spoilt: {}", self.is_harmed);
        is_good
    }

    /// Sends a request and reads its reply. Returns whether both arrived unspoilt.
    fn exchange(&mut self) -> bool {
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let pieces = [std::io::IoSlice::new(&request[..5]), std::io::IoSlice::new(&request[5..])];
        self.stream.write_all(&pieces, Some(AT_ONCE)).expect("the socket has room");
        assert!(self.stream.awaits_reply());
        assert_eq!(self.server.read(&self.wire.receive()), request);
        let length = 1 + usize::from(self.way.choices().arbitrary::<u8>().unwrap_or(0));
        let records = self.server.send(Message::Data(length));
        self.way.put(records);
        self.arrive(Arrival::Harm);
        self.read(length, self.way.is_disturbed);
        !self.way.is_disturbed
    }

    /// Reads at most so many bytes, without waiting. If `may_fail` is false, that many have to come; all that the server
    /// has sent, if that is less.
    fn read(&mut self, most: usize, may_fail: bool) {
        let began = Instant::now();
        let mut buffer = vec![0; most.min(1000)];
        let mut left = most.min(self.server.sent.len() - self.received);
        let wanted = left;
        while left > 0 {
            let size = left.min(buffer.len());
            match self.stream.read(&mut buffer[..size], Some(Duration::ZERO)) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let expected = &self.server.sent[self.received..self.received + count];
                    assert_eq!(&buffer[..count], expected, "data that the server did not send");
                    self.received += count;
                    left -= count;
                }
            }
        }
        assert!(began.elapsed() < AT_ONCE, "a read without a wait has waited");
        assert!(left == 0 || may_fail, "{left} of {wanted} bytes are missing");
        if left == 0 && most == usize::MAX {
            let more = self.stream.read(&mut buffer, Some(Duration::ZERO));
            assert!(!matches!(more, Ok(1..)), "more data than the server has sent");
        }
    }
}
