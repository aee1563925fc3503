//! Tests of the reader: valid and invalid replies, as servers send them.

mod framing;
mod gathered;
mod model;
mod random;

use super::Limits;
use super::error::{ReadError, SyntaxError};
use super::reader::{Receiver, Reply, Source, read};
use super::reply::Expected;
use gathered::{Fields, Gathered};

const LIMITS: Limits = Limits { line: 1 << 16, head: 1 << 20 };
const ANY: Expected = Expected { body: true, data: true, continuation: false, limits: LIMITS };

/// A source that gives a text in pieces, then its end.
struct Pieces<'a> {
    text: &'a mut [u8],
    used: usize,
    filled: usize,
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
    /// True if the peer is silent after the text, and does not close the connection.
    stays_open: bool,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a mut [u8], sizes: Vec<usize>) -> Pieces<'a> {
        Pieces { text, used: 0, filled: 0, sizes: sizes.into_iter().cycle(), stays_open: false }
    }
}

impl Source for Pieces<'_> {
    type Error = ();

    fn buffered(&mut self) -> &mut [u8] {
        &mut self.text[self.used..self.filled]
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
        assert!(self.used <= self.filled);
    }

    fn is_silent(&mut self) -> bool {
        false
    }

    fn fill_soon(&mut self) -> Result<Option<bool>, ()> {
        self.fill().map(|is_open| (is_open || !self.stays_open).then_some(is_open))
    }

    fn fill(&mut self) -> Result<bool, ()> {
        assert_eq!(self.used, self.filled, "fill() was called although bytes are left");
        self.filled = self.text.len().min(self.filled + self.sizes.next().unwrap_or(1));
        Ok(self.used < self.filled)
    }
}

/// A reply, what its receiver got, and the number of its bytes.
type Outcome = Result<(Reply, Gathered, usize), ReadError<(), ()>>;

fn read_in_pieces(text: &[u8], sizes: Vec<usize>, expected: Expected) -> Outcome {
    let mut text = text.to_vec();
    let mut source = Pieces::new(&mut text, sizes);
    let mut gathered = Gathered::default();
    let reply = read(&mut source, &mut gathered, expected)?;
    Ok((reply, gathered, source.used))
}

fn read_whole(text: &str) -> Outcome {
    read_in_pieces(text.as_bytes(), vec![1 << 20], ANY)
}

fn body_of(text: &str) -> (u16, String) {
    let (reply, gathered, _) = read_whole(text).unwrap();
    (reply.status, String::from_utf8(gathered.body).unwrap())
}

fn error_of(text: &str) -> SyntaxError {
    match read_whole(text) {
        Err(ReadError::Syntax(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bodies_end_as_their_head_says() {
    assert_eq!(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloMORE"), (200, "hello".into()));
    assert_eq!(body_of("HTTP/1.1 200 OK\r\n\r\nall of it"), (200, "all of it".into()));
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(body_of(chunked), (200, "hello!".into()));
    let (_, _, used) = read_whole(&format!("{chunked}HTTP/1.1 404")).unwrap();
    assert_eq!(used, chunked.len(), "the empty line after the last chunk is part of the reply");
}

#[test]
fn provisional_replies_are_skipped() {
    let last = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    let text = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: 1\r\n\r\n{last}");
    assert_eq!(body_of(&text), (404, "no".into()));
    let expected = Expected { continuation: true, ..ANY };
    let (reply, _, used) = read_in_pieces(text.as_bytes(), vec![3], expected).unwrap();
    assert_eq!((reply.status, used), (100, 25), "it was asked for");
}

#[test]
fn replies_without_a_body_end_with_the_head() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let (reply, gathered, _) =
        read_in_pieces(head.as_bytes(), vec![9], Expected { body: false, ..ANY }).unwrap();
    assert_eq!((reply.status, gathered.body.len()), (200, 0));
    assert_eq!(
        gathered.fields,
        [(b"Content-Length".to_vec(), b"5".to_vec())],
        "the length is a field after a HEAD"
    );
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(body_of(&text), (status, String::new()));
    }
}

#[test]
fn limits_of_a_connection_are_noted() {
    let text =
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nkeep-alive: max=100, x\r\nContent-Length: 0\r\n\r\n";
    let limits = read_whole(text).unwrap().0.keep_alive.expect("limits");
    assert_eq!((limits.timeout_s, limits.max), (Some(5), Some(100)));
}

#[test]
fn the_last_reply_of_a_connection_is_recognised() {
    let is_last = |head: &str| read_whole(&format!("{head}Content-Length: 0\r\n\r\n")).unwrap().0.is_last;
    assert!(!is_last("HTTP/1.1 200 OK\r\n"));
    assert!(is_last("HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n"));
    assert!(is_last("HTTP/1.0 200 OK\r\n"));
    assert!(!is_last("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"));
    assert!(read_whole("HTTP/1.1 200 OK\r\n\r\nall").unwrap().0.is_last);
}

#[test]
fn invalid_replies_have_an_error() {
    use SyntaxError::*;
    assert_eq!(error_of(""), Ended);
    assert_eq!(error_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), Ended);
    assert_eq!(error_of("HTTP/1.1 100 Continue\r\n\r\n"), Ended);
    for length in ["-5", "5x", "+5", "5\u{1}", "99999999999999999999", "5, 6"] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello");
        assert_eq!(error_of(&text), ContentLength, "{length}");
    }
    for chunks in [
        "zz\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "\r\n",
        "-1\r\n",
        "5\r\nhelloX0\r\n",
        "fffffffffffffffff\r\n",
        "5\rhello\n",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(error_of(&text), Chunk, "{chunks:?}");
    }
    for head in ["HTTP/2 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 099 X\r\n", "hello\r\n"] {
        assert!(matches!(error_of(&format!("{head}\r\n")), Head(_)), "{head:?}");
    }
}

/// Servers send each of these; each once made the whole reply fail.
#[test]
fn lines_that_are_not_fields_are_skipped() {
    for line in ["<!DOCTYPE html>", ": empty", "no colon", "X\0: a", "X\r: a", "X\r\n: a", "\r"] {
        check_line(line, "");
    }
    let text = "HTTP/1.1 200 \u{1}\r\n first: 1\r\n second: 1\r\nA: 1\r\n\t2\r\n\r\n";
    assert_eq!(read_whole(text).unwrap().1.fields, [(b"A".to_vec(), b"1 2".to_vec())]);
}

/// No standard allows these, but the original takes them, and metadata may have such names and values.
#[test]
fn odd_fields_are_taken() {
    for (line, field) in [
        ("X Foo: 1", "X Foo=1"),
        ("x-amz-meta-a/b: 1", "x-amz-meta-a/b=1"),
        ("x-amz-meta-\u{e9}: \u{e9}", "x-amz-meta-\u{e9}=\u{e9}"),
        ("PHP Warning:  fopen(): no such file", "PHP Warning=fopen(): no such file"),
        ("X \t: a", "X=a"),
        ("X\u{1}: a", "X\u{1}=a"),
        ("X: a\u{1}b\u{7f}c", "X=a\u{1}b\u{7f}c"),
        ("X: a\r", "X=a"),
        ("X: a\rb\0c", "X=a b c"),
        ("X: a\r\n b\u{1}\r\n\tc", "X=a b\u{1} c"),
        ("X:", "X="),
    ] {
        check_line(line, field);
    }
}

/// Checks that a line of a head, wherever it stands, is read as this field, `name=value`, or skipped.
fn check_line(line: &str, field: &str) {
    for (before, after) in [("A: 1\r\n", "B: 2\r\n"), ("", "B: 2\r\n"), ("A: 1\r\n", "")] {
        let text = format!("HTTP/1.1 200 OK\r\n{before}{line}\r\n{after}Content-Length: 5\r\n\r\nhello");
        let (reply, gathered, _) = read_whole(&text).unwrap();
        assert_eq!((reply.status, &*gathered.body), (200, &b"hello"[..]), "{text:?}");
        let plain = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        let found: Vec<_> =
            gathered.fields.iter().map(|(name, value)| plain(name) + "=" + &plain(value)).collect();
        let mut expected = vec![field.to_owned()];
        expected.splice(..0, before.split_once(':').map(|(name, _)| format!("{name}=1")));
        expected.extend(after.split_once(':').map(|(name, _)| format!("{name}=2")));
        expected.retain(|it| !it.is_empty());
        assert_eq!(found, expected, "{text:?}");
    }
}

/// The original reads on until the connection ends, or not at all; and so a program that wants no body waits for none.
#[test]
fn a_body_without_an_end_is_read_for_those_who_want_it() {
    let head = "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n";
    let (reply, gathered, used) =
        read_in_pieces(format!("{head}hello").as_bytes(), vec![9], Expected { data: false, ..ANY }).unwrap();
    assert_eq!((reply.is_last, gathered.body.len(), used), (true, 0, head.len()));
    let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (reply, _, used) =
        read_in_pieces(with_length.as_bytes(), vec![9], Expected { data: false, ..ANY }).unwrap();
    assert_eq!((reply.is_last, used), (false, with_length.len()), "this one has an end");
}

/// Servers that leave the connection open send no such body.
#[test]
fn a_body_without_an_end_may_be_none() {
    let read_open = |text: &str| {
        let mut text = text.as_bytes().to_vec();
        let mut source = Pieces { stays_open: true, ..Pieces::new(&mut text, vec![9]) };
        let mut gathered = Gathered::default();
        read(&mut source, &mut gathered, ANY).map(|reply| (reply.is_last, reply.is_presumed_empty))
    };
    assert_eq!(read_open("HTTP/1.1 200 OK\r\n\r\n"), Ok((true, true)));
    assert_eq!(read_open("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok((false, false)));
    // These wait for the end, which comes.
    assert_eq!(read_open("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), Ok((true, false)));
    assert_eq!(read_open("HTTP/1.1 200 OK\r\n\r\nhello"), Ok((true, false)));
}

/// Some servers leave out the line after it, or send it late.
#[test]
fn a_reply_is_complete_after_the_last_chunk() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    for (trailer, is_last) in
        [("", false), ("\r\n", false), ("\r", true), ("A: b\r\n", true), ("A: b\r\n\r\n", false)]
    {
        let text = format!("{head}{trailer}");
        let mut bytes = text.clone().into_bytes();
        let mut source = Pieces { stays_open: true, ..Pieces::new(&mut bytes, vec![7]) };
        let mut gathered = Gathered::default();
        let reply = read(&mut source, &mut gathered, ANY).unwrap();
        assert_eq!((reply.is_last, &*gathered.body), (is_last, &b"hello"[..]), "{trailer:?}");
        let lacks_last_line = !matches!(trailer, "\r\n" | "A: b\r\n\r\n");
        assert_eq!((reply.lacks_last_line, reply.is_presumed_empty), (lacks_last_line, false), "{trailer:?}");
        assert_eq!(source.used, text.len(), "{trailer:?}");
        let (reply, gathered, _) = read_whole(&text).unwrap();
        assert_eq!(
            (reply.is_last, &*gathered.body),
            (lacks_last_line, &b"hello"[..]),
            "{trailer:?}, and the end"
        );
    }
}

#[test]
fn chunks_may_end_with_bare_line_feeds() {
    let text = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n \t1 ;x\r\n!\r\n0\nA: b\n\n";
    let (reply, gathered, used) = read_whole(text).unwrap();
    assert_eq!((reply.status, &*gathered.body, used), (200, &b"hello!"[..], text.len()));
}

#[test]
fn chunk_sizes_may_begin_with_zeros() {
    let zeros = "0".repeat(20);
    let text =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}5\r\nhello\r\n{zeros}\r\n\r\n");
    assert_eq!(body_of(&text), (200, "hello".into()));
}

/// Replies of 1xx and empty lines count towards the limit of the head after them.
#[test]
fn a_head_may_follow_other_replies_and_empty_lines() {
    for before in
        ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", "\r\n", "\n"]
    {
        let head = "HTTP/1.1 204 No Content\r\n\r\n";
        let most = (400 - head.len()) / before.len();
        let limits = Limits { line: 100, head: 400 };
        let read = |count: usize| {
            let text = before.repeat(count) + head;
            let outcome = read_in_pieces(text.as_bytes(), vec![7], Expected { limits, ..ANY });
            outcome.map(|(reply, ..)| reply.status)
        };
        assert_eq!(read(most), Ok(204), "{before:?}");
        assert_eq!(read(most + 1), Err(ReadError::Syntax(SyntaxError::HeadTooLong(400))), "{before:?}");
        assert_eq!(read(9999), Err(ReadError::Syntax(SyntaxError::HeadTooLong(400))), "{before:?}");
    }
}

#[test]
fn too_long_heads_and_lines_are_refused() {
    let limits = Limits { line: 100, head: 400 };
    let read = |field: String, end: &str| {
        let text = format!("HTTP/1.1 204 No Content\r\n{field}{end}");
        read_in_pieces(text.as_bytes(), vec![7], Expected { limits, ..ANY }).map(|(reply, ..)| reply.status)
    };
    let line = |length: usize| format!("X: {}\r\n", "a".repeat(length - 5));
    assert_eq!(read(line(100), "\r\n"), Ok(204));
    assert_eq!(read(line(101), "\r\n"), Err(ReadError::Syntax(SyntaxError::LineTooLong(100))));
    assert_eq!(read("a".repeat(5000), ""), Err(ReadError::Syntax(SyntaxError::LineTooLong(100))));
    assert_eq!(read(line(90).repeat(4), "\r\n"), Ok(204));
    assert_eq!(read(line(90).repeat(5), "\r\n"), Err(ReadError::Syntax(SyntaxError::HeadTooLong(400))));
}

#[test]
fn any_number_of_fields_is_read() {
    let text = format!("HTTP/1.1 204 No Content\r\n{}\r\n", "X: 1\r\n".repeat(1000));
    assert_eq!(read_whole(&text).unwrap().1.fields.len(), 1000);
}

/// No byte is examined again when more come: that once took 14 s for 256 KiB of empty lines.
#[test]
fn time_is_linear_in_the_length() {
    let limits = Limits { line: 1 << 20, head: 1 << 23 };
    let last = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (before, repeated, after) in [
        ("", "\r\n", "HTTP/1.1 204 No\r\n\r\n"),
        ("", "HTTP/1.1 100 C\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"),
        (last, "X: 1\r\n", "\r\n"),
        (last, "odd\r\n", "\r\n"),
        ("HTTP/1.1 200 OK\r\nX:", "\r\n a", "\r\n\r\n"),
        (last, "Connection: a,b\r\n", "\r\n"),
        (chunked, "1\r\na\r\n", "0\r\n\r\n"),
        (chunked, "00000000000000000000", "\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: 1\r\n", "\r\n"),
    ] {
        let text = [before, &repeated.repeat((1 << 20) / repeated.len() - 9), after].concat();
        let start = std::time::Instant::now();
        let outcome = read_in_pieces(text.as_bytes(), vec![1, 1, 8192], Expected { limits, ..ANY });
        assert!(outcome.is_ok(), "{repeated:?}: {:?}", outcome.map(|(reply, ..)| reply));
        assert!(start.elapsed().as_secs() < 20, "{repeated:?} took {:?}", start.elapsed());
    }
}
