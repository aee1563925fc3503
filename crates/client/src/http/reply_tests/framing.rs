//! Tests of the end of a body whose head is in doubt about it.

use super::*;

/// Returns whether the reply to a request is the last of the connection, and the length of its body.
fn read_as(expected: Expected, text: &str) -> (bool, usize) {
    let mut bytes = text.as_bytes().to_vec();
    let mut source = Pieces { stays_open: true, ..Pieces::new(&mut bytes, vec![9]) };
    let mut gathered = Gathered::default();
    let reply =
        read(&mut source, &mut gathered, expected).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
    (reply.is_last, gathered.body.len())
}

/// The original reads them; each once made the reply fail.
#[test]
fn lengths_do_not_matter_without_a_body() {
    let head_only = Expected { body: false, ..ANY };
    for line in ["", " abc", " -1", " 5, 6", " 99999999999999999999", " 5\r\nContent-Length: 6", " \u{1}"] {
        for status in [204, 304] {
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length:{line}\r\n\r\n");
            let is_doubtful = line == " \u{1}";
            assert_eq!(read_as(ANY, &text), (is_doubtful, 0));
            assert_eq!(read_as(head_only, &text.replace(&status.to_string(), "200")), (is_doubtful, 0));
        }
    }
    for line in ["Content-Length 5", "Transfer-Encoding/: chunked", "Connection: close\r\nContent-Length: x"]
    {
        let text = format!("HTTP/1.1 204 No\r\n{line}\r\n\r\n");
        assert_eq!(read_as(ANY, &text), (true, 0), "{line:?}");
        assert_eq!(read_as(head_only, &text.replace("204", "200")), (true, 0), "{line:?}");
    }
}

#[test]
fn a_length_counts_with_any_coding_but_chunked() {
    for coding in ["gzip", "\"chunked\"", "chunked, gzip", "chunked\u{7f}", "x"] {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(read_as(ANY, &text), (true, 2), "{coding:?}");
        let (_, _, used) = read_whole(&format!("{text}MORE")).unwrap();
        assert_eq!(used, text.len(), "{coding:?}");
    }
    assert_eq!(
        body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nall of it"),
        (200, "all of it".into())
    );
}

/// The body ends by the fields that are valid. The connection is closed.
#[test]
fn lines_that_might_frame_the_body_are_skipped() {
    for line in [
        "content-length 9",
        "Content-Length/: 9",
        "\"Content-Length\": 9",
        "\u{1}Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\u{7f}",
        "X: a\u{1}\r\n Content-Length is nice",
        "X: a\r\n Content-Length: 9\r\n \u{1}",
    ] {
        for (before, after) in
            [("", format!("{line}\r\n")), ("A: 1\r\n", format!("{line}\r\n")), (line, String::new())]
        {
            let before = if before == line { format!("{line}\r\n") } else { before.to_owned() };
            let text = format!("HTTP/1.1 200 OK\r\n{before}Content-Length: 5\r\n{after}\r\nhelloMORE");
            let (reply, gathered, used) = read_whole(&text).unwrap();
            assert_eq!(
                (reply.is_last, &*gathered.body, used),
                (true, &b"hello"[..], text.len() - 4),
                "{text:?}"
            );
        }
    }
}

/// An empty one says nothing, as an empty member of a list.
#[test]
fn an_empty_length_is_none() {
    for (before, after) in
        [("Content-Length:\r\n", ""), ("", "Content-Length: \r\n"), ("content-length: ,\r\n", "")]
    {
        let text = format!("HTTP/1.1 200 OK\r\n{before}Content-Length: 5\r\n{after}\r\nhello");
        assert_eq!(read_as(ANY, &text), (false, 5), "{text:?}");
    }
    assert_eq!(read_as(ANY, "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"), (true, 0));
    assert_eq!(body_of("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello"), (200, "hello".into()));
}

#[test]
fn without_a_valid_length_the_connection_ends_the_body() {
    for line in
        ["content-length 5", "\"Content-Length\": 5", " Content-Length: 5", "X\u{1}: a\r\n Content-Length: 5"]
    {
        let text = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
        assert_eq!(body_of(&format!("{text}hello")), (200, "hello".into()), "{line:?}");
        assert_eq!(read_as(ANY, &text), (true, 0), "{line:?}");
    }
}

/// They would be taken for data.
#[test]
fn chunks_in_doubt_are_refused() {
    for line in [
        "Transfer-Encoding chunked",
        "\u{1}Transfer-Encoding: chunked",
        "Transfer-Encoding/: chunked",
        "Transfer-Encoding: chunked\u{7f}",
        "X\u{1}: a\r\n Transfer-Encoding: chunked",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        assert!(matches!(error_of(&text), SyntaxError::Head(_)), "{line:?}");
    }
}
