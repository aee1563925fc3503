//! Comparison of the reader with the model, on valid and damaged replies, in pieces of any size. `PROPTEST_CASES` is the
//! number of cases. The fuzzer searches longer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn framing_and_body() -> impl Strategy<Value = Vec<u8>> {
    let chunks = vec((vec(any::<u8>(), 1..40), select(vec!["", ";a=b", " ", "\t;x"])), 0..5);
    let trailer = select(vec!["", "X-T: 1\r\n", "X-T: 1\r\nY:\r\n"]);
    prop_oneof![
        vec(any::<u8>(), 0..60).prop_map(|body| {
            [format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat()
        }),
        vec(any::<u8>(), 0..60).prop_map(|body| [b"\r\n".to_vec(), body].concat()),
        (chunks, trailer, select(vec![0, 0, 1, 20])).prop_map(|(chunks, trailer, zeros)| {
            let mut text = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
            for (data, extension) in chunks {
                let zeros = "0".repeat(zeros);
                text.extend(format!("{zeros}{:x}{extension}\r\n", data.len()).into_bytes());
                text.extend(data);
                text.extend(b"\r\n");
            }
            text.extend(format!("0\r\n{trailer}\r\n").into_bytes());
            text
        }),
    ]
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        ("[A-Za-z0-9-]{1,12}", "[ -~]{0,20}").prop_map(|(name, value)| format!("{name}: {value}\r\n")),
        select(vec!["Connection: close\r\n", "connection: Keep-Alive\r\n", "Connection: x, CLOSE\r\n"])
            .prop_map(str::to_owned),
        select(vec!["X-Fold: a\r\n b\r\n", "X-Space : a\r\n", "Transfer-Encoding: identity\r\n"])
            .prop_map(str::to_owned),
        select(vec!["Content-Length: 3\r\n", "Content-Length: 3, 3\r\n", "Content-Length: x\r\n"])
            .prop_map(str::to_owned),
        select(vec!["X Foo: 1\r\n", "a/b: 1\r\n", "<!DOCTYPE html>\r\n", ": empty\r\n", "X: \u{1}\r\n"])
            .prop_map(str::to_owned),
        select(vec![" Y: 1\r\n", "X: \u{7f}\r\n Z: 1\r\n", "X: a\r\n\u{1}\r\n", "X: a\r\n\t\0\n b\n"])
            .prop_map(str::to_owned),
        select(vec!["/Content-Length: 5\r\n", "X: 1\r\n Transfer-Encoding: \0\r\n", "X\n content-length\n"])
            .prop_map(str::to_owned),
        select(vec!["Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\n"])
            .prop_map(str::to_owned),
    ]
}

fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let provisional = select(vec![
        "",
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ]);
    let status =
        select(vec!["200 OK", "206 Partial", "404 Not Found", "204 No", "304 Not", "503", "200", "101 S"]);
    let version = select(vec!["1.1", "1.1", "1.1", "1.0"]);
    (provisional, version, status, vec(field(), 0..5), framing_and_body(), vec(any::<u8>(), 0..9)).prop_map(
        |(provisional, version, status, fields, rest, after)| {
            let head = format!("{provisional}HTTP/{version} {status}\r\n{}", fields.concat());
            [head.into_bytes(), rest, after].concat()
        },
    )
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Change(Index, u8),
    Remove(Index),
    Insert(Index, &'static [u8]),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let tokens: Vec<&'static [u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b":",
        b" ",
        b"0",
        b"f",
        b"\0",
        b"\r\n ",
        b"\x01",
        b"Content-Length",
        b",",
        b"-",
        b"HTTP/1.1 200 OK\r\n",
    ];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), select(tokens)).prop_map(|(at, token)| Damage::Insert(at, token)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(mut text: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = text.len() + 1;
        match damage {
            Damage::Cut(at) => text.truncate(at.index(length)),
            Damage::Change(at, byte) => {
                if let Some(place) = text.get_mut(at.index(length)) {
                    *place = *byte;
                }
            }
            Damage::Remove(at) => {
                let at = at.index(length);
                text.drain(at..text.len().min(at + 1));
            }
            Damage::Insert(at, token) => {
                let at = at.index(length);
                text.splice(at..at, token.iter().copied());
            }
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = text[from.min(to)..from.max(to)].to_vec();
                text.splice(from..from, piece);
            }
        }
    }
    text
}

fn expected() -> impl Strategy<Value = Expected> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(body, data, continuation)| Expected {
        body,
        data,
        continuation,
        limits: LIMITS,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replies_in_pieces_are_read_as_the_model_reads_the_whole(
        text in any_reply(),
        damages in prop_oneof![Just(Vec::new()), vec(damage(), 1..4)],
        sizes in vec(1_usize..50, 1..20),
        expected in expected(),
    ) {
        let text = damaged(text, &damages);
        prop_assert_eq!(read_in_pieces(&text, sizes, expected).ok(), model::read(&text, expected));
    }

    #[test]
    fn any_bytes_in_pieces_are_read_as_the_model_reads_the_whole(text in vec(any::<u8>(), 0..300), sizes in vec(1_usize..9, 1..9)) {
        let text = [b"HTTP/1.1 200 OK\r\n".as_slice(), &text].concat();
        prop_assert_eq!(read_in_pieces(&text, sizes, ANY).ok(), model::read(&text, ANY));
    }
}
