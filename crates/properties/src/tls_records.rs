//! A TLS client against a server that sends any bytes: pieces of a length that stands before each, in two bytes. Its
//! upper bit ends the connection after the piece.

use std::sync::{Arc, LazyLock};

use openssl::ssl::{SslContext, SslVersion};

use crate::tls::{Client, Pair, client_context};

static CONTEXTS: LazyLock<[SslContext; 2]> =
    LazyLock::new(|| [SslVersion::TLS1_2, SslVersion::TLS1_3].map(client_context));

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Some((choice, mut rest)) = bytes.split_first() else { return };
    let mut pair = Pair::new(&CONTEXTS[usize::from(choice % 2)], &Arc::default());
    let hello = pair.wire.receive();
    assert_eq!(hello.first(), Some(&22), "a client begins with a record of the handshake");
    while let Some((&[high, low], after)) = rest.split_first_chunk::<2>() {
        let length = (usize::from(high & 0x7F) << 8 | usize::from(low)).min(after.len());
        let (piece, after) = after.split_at(length);
        rest = after;
        pair.wire.send(piece);
        if high & 0x80 != 0 {
            pair.wire.end();
        }
        pair.advance();
        let sent = pair.wire.receive();
        match pair.client {
            Client::Pending(_) => assert!(sent.is_empty() || is_answer(&sent), "{sent:?}"),
            Client::Done(_) => panic!("a handshake with nobody has succeeded"),
            Client::Failed(_, may_retry) => {
                assert!(!may_retry, "no session was offered");
                break;
            }
        }
    }
    pair.give_up();
    pair.blames_the_host();
}

/// Returns whether a client may send this before the handshake is over: messages of it, or a change of the cipher.
fn is_answer(sent: &[u8]) -> bool {
    matches!(sent.first(), Some(20 | 22))
}
