use super::*;

/// Returns whether a reply of `100 Continue` may follow these writes, each of several pieces.
fn may_be_continued(writes: &[&[&str]]) -> bool {
    let mut request = WrittenRequest::default();
    for write in writes {
        request.note(write.iter().map(|piece| piece.as_bytes()));
    }
    request.may_be_continued()
}

const ASKS: &str = "PUT /r HTTP/1.1\r\nHost: h\r\nexpect: 100-continue\r\n\r\n";
const ASKS_NOT: &str = "PUT /r HTTP/1.1\r\nX-Expect: 100-continue\r\nWrittenRequest: 1\r\n\r\n";

#[test]
fn requests_that_wait_are_recognised() {
    assert!(may_be_continued(&[&[ASKS]]));
    assert!(!may_be_continued(&[&[ASKS_NOT]]));
    assert!(!may_be_continued(&[&[ASKS_NOT, "\nExpect: 100-continue\r\n\r\n"]]), "that is the body");
    assert!(may_be_continued(&[&["PUT / HTTP/1.1\nEXPECT:x\n\n"]]), "bare line feeds");
}

#[test]
fn a_head_may_come_in_pieces_and_writes() {
    for at in 1..ASKS.len() {
        let (begin, end) = ASKS.split_at(at);
        assert!(may_be_continued(&[&[begin, "", end]]), "{at}");
        assert!(may_be_continued(&[&[begin], &[end]]), "{at}");
        let (begin, end) = ASKS_NOT.split_at(at);
        assert!(!may_be_continued(&[&[begin], &[""], &[end]]), "{at}");
    }
}

#[test]
fn a_request_that_goes_on_waits_no_more() {
    assert!(!may_be_continued(&[&[ASKS], &["body"]]));
    assert!(may_be_continued(&[&[ASKS_NOT], &["body"], &[ASKS]]));
    assert!(may_be_continued(&[&[ASKS], &[""]]), "nothing was written");
}

#[test]
fn nothing_is_known_of_a_request_that_was_written_elsewhere() {
    assert!(may_be_continued(&[]));
    assert!(may_be_continued(&[&["body"]]));
}

#[test]
fn a_head_has_no_body_in_its_reply() {
    for (text, is_head) in [("HEAD / HTTP/1.1\r\n\r\n", true), ("GET / HTTP/1.1\r\n\r\n", false)] {
        let mut request = WrittenRequest::default();
        assert!(!request.is_head());
        request.note([text.as_bytes()].into_iter());
        assert_eq!((request.is_head(), request.may_be_continued()), (is_head, false));
        request.note([&b"data"[..]].into_iter());
        assert_eq!(request.is_head(), is_head);
        request.note([ASKS.as_bytes()].into_iter());
        assert!(!request.is_head() && request.may_be_continued());
    }
}

#[test]
fn what_is_no_head_is_not_searched_for_ever() {
    let long = format!("PUT / HTTP/1.1\r\nX: {}", "x".repeat(2 * MOST_OF_HEAD));
    assert!(!may_be_continued(&[&[&long], &["\r\nExpect: 100-continue\r\n\r\n"]]));
    let mut request = WrittenRequest::default();
    let long = format!("PUT /{}", "x".repeat(2 * MOST_OF_HEAD));
    request.note([long.as_bytes()].into_iter());
    assert!(!request.note([&b" HTTP/1.1\r\n"[..]].into_iter()), "nor is such a line one");
}
/// Returns which of these writes are found to end the first line of a request, and the state after them.
fn after(writes: &[&str]) -> (Vec<bool>, WrittenRequest) {
    let mut request = WrittenRequest::default();
    let mut note = |write: &&str| request.note([write.as_bytes()].into_iter());
    (writes.iter().map(&mut note).collect(), request)
}

#[test]
fn the_first_line_may_come_in_writes() {
    let line = ["HEAD", " ", "/a", " HTTP/1.", "1", "\r", "\n"];
    let (begins, head) = after(&line);
    assert_eq!(begins, [false, false, false, false, false, false, true]);
    assert!(head.is_head());
    for method in ["GET", "HEADS", "HEA", "PROPPATCH"] {
        let mut both = line.to_vec();
        both.extend(["Host: h\r\n", "\r\n", method, " /a HTTP/1.1\r\nHost: h\r\n\r\n"]);
        let (begins, get) = after(&both);
        assert!(begins.ends_with(&[true]) && !get.is_head() && !get.may_be_continued(), "{method}");
    }
    let (begins, _) = after(&["GET /a b HTTP/1.1 HTTP/1.0\n"]);
    assert_eq!(begins, [true], "a blank that is not encoded");
}

#[test]
fn a_body_like_a_request_changes_nothing() {
    let asks_not = "PUT / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (_, put) = after(&[asks_not]);
    for body in [
        "HEAD x",
        "HEAD x\r\n",
        "HEAD / HTTP/1.1",
        "HEAD / HTTP/1.x\r\n",
        "HEAD / HTTP/2.0\r\n",
        "HEAD / HTTP/1.1 \r\n",
        "HEAD\t/ HTTP/1.1\r\n",
        "HEAD /\u{7f} HTTP/1.1\r\n",
        "I am a text\n",
        " HEAD / HTTP/1.1\r\n",
        "ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1\r\n",
        "GE_T / HTTP/1.1\r\n",
    ] {
        let (begins, then) = after(&[asks_not, body]);
        assert_eq!(begins, [true, false], "{body:?}");
        assert_eq!((then.is_head(), then.may_be_continued()), (put.is_head(), false), "{body:?}");
    }
    let (_, head) = after(&["HEAD / HTTP/1.1\r\n\r\n", "I am a text\n"]);
    assert!(head.is_head() && !head.may_be_continued());
}

const PUT: &str = "PUT / HTTP/1.1\r\nHost: h\r\n";

/// Returns whether a request is written to its end after each of these writes.
fn wholeness(writes: &[&str]) -> Vec<bool> {
    let mut request = WrittenRequest::default();
    let mut note = |write: &&str| {
        request.note([write.as_bytes()].into_iter());
        request.is_whole()
    };
    writes.iter().map(&mut note).collect()
}

#[test]
fn a_request_ends_with_its_body() {
    let length = format!("{PUT}Content-Length: 11\r\n\r\n");
    assert_eq!(wholeness(&["GET / HTTP/1.1\r\n\r\n"]), [true]);
    assert_eq!(wholeness(&["GET / HTTP/1.1\r\n", "Host: h\r\n\r\n"]), [false, true], "its head");
    assert_eq!(wholeness(&[&length, "hello ", "worl", "d"]), [false, false, false, true]);
    assert_eq!(wholeness(&[&format!("{length}hello world")]), [true], "in one write");
    assert_eq!(wholeness(&[&length, "hello", " world"]), [false, false, true], "any bytes");
    assert_eq!(wholeness(&["GET / HTTP/1.1\r\n\r\n", &length]), [true, false], "the next one");
    assert_eq!(wholeness(&[&format!("{PUT}content-length:0 \r\n\r\n")]), [true]);
    let both = format!("{PUT}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wholeness(&[&both, "3\r\na", "bc\r\n", "0\r\n\r\n"]), [false, false, false, true]);
}

#[test]
fn a_request_and_its_body_may_be_cut_anywhere() {
    let bodies = [
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length:\t 005 \r\nExpect: 100-continue\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("transfer-encoding:gzip , CHUNKED \r\n", "5;a=b\r\n\r\n0\r\n\r\n0000\r\nX: 0\r\n\r\n"),
        ("Transfer-Encoding: chunked\n", "aA\n0123456789012345678901234567890123456789"),
    ];
    for (fields, body) in bodies {
        let body = if body.ends_with("789") {
            format!("{body}{}\n0 \r\n\n", "x".repeat(0xAA - 40))
        } else {
            body.to_owned()
        };
        let text = format!("{PUT}{fields}\r\n{body}");
        for cut in 1..text.len() {
            for second in [cut, (cut + text.len()) / 2] {
                let writes = [&text[..cut], &text[cut..second], &text[second..]];
                let (_, after) = after(&writes);
                assert!(after.is_whole(), "{writes:?}: {after:?}");
                let short = [&text[..cut], &text[cut..second], &text[second..text.len() - 1]];
                assert!(cut == text.len() - 1 || !wholeness(&short)[2], "{short:?}");
            }
        }
    }
}

#[test]
fn a_body_of_known_length_may_be_like_a_request() {
    let head = format!("{PUT}Content-Length: 40\r\n\r\n");
    let (begins, put) = after(&[&head, "HEAD / HTTP/1.1\r\n", "Expect: 1\r\n\r\n"]);
    assert_eq!(begins, [true, false, false]);
    assert!(!put.is_head() && !put.may_be_continued() && !put.is_whole());
    let chunked = format!("{PUT}Transfer-Encoding: chunked\r\n\r\n");
    let (begins, put) = after(&[&chunked, "13\r\n", "HEAD / HTTP/1.1\r\n\r\n", "\r\n", "0\r\n\r\n"]);
    assert_eq!(begins, [true, false, false, false, false]);
    assert!(!put.is_head() && put.is_whole());
}

#[test]
fn the_end_of_an_invalid_request_is_not_known() {
    for fields in [
        "Content-Length: \r\n",
        "Content-Length: 1x\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunk\r\n",
        "Transfer-Encoding: chunkeds\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        let head = format!("{PUT}{fields}\r\n");
        let (begins, request) = after(&[&head, "HEAD / HTTP/1.1\r\n\r\n"]);
        assert_eq!(begins, [true, true], "{fields:?}");
        assert!(request.is_head() && !request.is_whole(), "{fields:?}: the next one");
        assert_eq!(wholeness(&[&head]), [false], "{fields:?}");
    }
    let chunked = format!("{PUT}Transfer-Encoding: chunked\r\n\r\n");
    for chunks in ["x\r\n", "\r\n", "1\r\nab", "1\r\na\r\n\n", "11111111111111111\r\n", "1x\r\n"] {
        assert_eq!(wholeness(&[&chunked, chunks]), [false, false], "{chunks:?}");
    }
}

#[test]
fn other_fields_say_nothing_about_the_body() {
    let fields = "Content-Lengths: 1\r\nX-Content-Length: 1\r\nContent-Length : 1\r\nTransfer-Encodin: x\r\n\rContent-Length: 9\r\n\
        Content-Type: text/plain\r\n Content-Length: 1\r\nTE: chunked\r\nExpected: x\r\n";
    let head = format!("{PUT}{fields}\r\n");
    let (_, request) = after(&[&head]);
    assert!(request.is_whole() && !request.may_be_continued());
    let (_, next) = after(&[&head, "HEAD / HTTP/1.1\r\n\r\n"]);
    assert!(next.is_head());
}

#[test]
fn what_stands_behind_a_request_is_no_part_of_it() {
    let put = format!("{PUT}Content-Length: 5\r\n\r\nhello");
    let get = "GET / HTTP/1.1\r\n\r\n";
    assert_eq!(wholeness(&[&put, get, get]), [true, true, true], "the next ones");
    assert_eq!(wholeness(&[&put, "VERSION-CONTROL / HTTP/1.1\r\n\r\n"]), [true, true], "a long method");
    assert_eq!(wholeness(&[&put, "GET / HT", "TP/1.1\r\n\r\n"]), [true, false, true], "half a line");
    assert_eq!(wholeness(&[&format!("{put}\r\n"), "\r\n", get]), [true, true, true], "blank lines");
    assert_eq!(wholeness(&[&put, &format!("\r\n{PUT}Content-Length: 5\r\n\r\n")]), [true, false]);
    for surplus in ["!", "get / HTTP/1.1\r\n\r\n", "GET / HTTP\r\n\r\n"] {
        assert_eq!(wholeness(&[&put, surplus, get]), [true, false, false], "{surplus:?}");
        assert_eq!(wholeness(&[&format!("{put}{surplus}"), get]), [false, false], "{surplus:?}");
    }
    assert_eq!(wholeness(&[&format!("{put}{get}")]), [false], "two requests in a write");
    assert_eq!(wholeness(&[&format!("{get}{put}"), get]), [false, false]);
    let chunked = format!("{PUT}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wholeness(&[&chunked, "0\r\n\r\n0"]), [false, false]);
    let twice = format!("{PUT}Content-Length: 5\r\ncontent-length: 05 \r\n\r\nhello");
    assert_eq!(wholeness(&[&twice]), [true], "the same length twice");
}

#[test]
fn a_line_without_an_end_is_no_request() {
    let long = format!("GET /{}", "x".repeat(2 * MOST_OF_HEAD));
    assert_eq!(wholeness(&["GET / HTTP/1.1\r\n\r\n", &long]), [true, false]);
    assert_eq!(wholeness(&[&format!("{PUT}X: {}", "x".repeat(2 * MOST_OF_HEAD))]), [false], "nor is a head");
}
