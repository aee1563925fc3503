//! Knowledge of a request from what is written: whether it is a HEAD, whose reply has no body, and whether it has the
//! field `Expect`, and so waits for a reply of `100 Continue` before it goes on (RFC 9110, section 10.1.1).
//!
//! A request begins with a line that ends in ` HTTP/1.` and a digit. It may be written in any number of writes. What only
//! begins like a request is a part of a body, and changes nothing.

/// Length of the longest method in common use, `PROPPATCH`.
const MOST_OF_METHOD: u8 = 9;

/// Number of bytes of a write that are searched: what goes on for longer is no head.
const MOST_OF_HEAD: usize = 1 << 16;

/// Name of the field, with its colon.
const NAME: &[u8] = b"expect:";

/// The expectation of the request that was written last, in two bytes: every connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// What is known of the request: one of the numbers from [`UNKNOWN`] on.
    known: u8,
    /// The position in what may be the first line of the next request; [`NOWHERE`] outside of one.
    line: u8,
}

/// The request is a HEAD, as far as it is known. This bit is added to both numbers.
const IS_HEAD: u8 = 0x80;
/// No head was seen. The program may have written one elsewhere.
const UNKNOWN: u8 = 0;
/// The head has the field.
const PRESENT: u8 = 1;
/// The head does not have the field, or the request has gone on.
const ABSENT: u8 = 2;
/// The end of the head was not seen yet: this number plus the position in the line, plus [`FOUND`] if the field was.
const HEAD: u8 = 3;

/// Positions in a line: so many bytes of [`NAME`], or one of these.
const RETURN: u8 = NAME.len() as u8;
/// Elsewhere in the line.
const OTHER: u8 = RETURN + 1;
/// Number of positions.
const FOUND: u8 = OTHER + 1;

/// What stands between the target of a request and the last digit of its first line.
const VERSION: &[u8] = b"HTTP/1.";

/// Positions in the first line of a request: behind so many letters of its method, or one of these.
const NOWHERE: u8 = 0;
/// In the target.
const TARGET: u8 = MOST_OF_METHOD + 1;
/// Behind a blank that may end the target. So many bytes of [`VERSION`] as have come are added.
const BLANK: u8 = TARGET + 1;
/// Behind the version, but for its last digit.
const DIGIT: u8 = BLANK + VERSION.len() as u8;
/// Behind the last digit.
const END: u8 = DIGIT + 1;
/// Behind the carriage return.
const LINE_RETURN: u8 = END + 1;

impl Default for Expectation {
    fn default() -> Expectation {
        Expectation { known: UNKNOWN, line: NOWHERE }
    }
}

impl Expectation {
    /// Returns whether the reply to the request may be a `100 Continue`. True as well if nothing is known of the request.
    pub fn may_be_met(self) -> bool {
        self.known & !IS_HEAD != ABSENT
    }

    /// Returns whether the reply to the request has no body, since the request is a HEAD.
    pub fn is_head(self) -> bool {
        self.known & IS_HEAD != 0
    }

    /// Notes a write: the head of a request, a part of it, or what follows it. Returns whether the first line of a request
    /// ends in it.
    #[inline]
    pub fn note<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut pieces = pieces.filter(|piece| !piece.is_empty()).peekable();
        let Some(first) = pieces.peek() else { return false };
        let is_head = self.known & IS_HEAD;
        let known = self.known - is_head;
        if known >= HEAD {
            self.known = search(known, pieces) + is_head;
            return false;
        }
        if known == PRESENT {
            self.known = ABSENT + is_head;
        }
        // Most writes are of a body, and end here.
        (self.line != NOWHERE || first[0].is_ascii_uppercase()) && self.search_line(pieces)
    }

    /// Searches the end of the first line of a request, and then its head. Returns whether the line ends.
    fn search_line<'a>(&mut self, mut pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut left = MOST_OF_HEAD;
        while let Some(piece) = pieces.next() {
            for (index, byte) in piece.iter().take(left).enumerate() {
                let position = self.line & !IS_HEAD;
                if *byte == b'\n' && matches!(position, END | LINE_RETURN) {
                    let is_head = self.line - position;
                    let rest = [&piece[index + 1..]];
                    self.known = search(HEAD, rest.into_iter().chain(pieces)) + is_head;
                    self.line = NOWHERE;
                    return true;
                }
                self.line = next_in_line(self.line, *byte);
                if self.line == NOWHERE {
                    return false;
                }
            }
            left = left.saturating_sub(piece.len());
            if left == 0 {
                self.line = NOWHERE;
                return false;
            }
        }
        false
    }
}

/// Returns the position in the first line of a request behind this byte, which does not end it.
fn next_in_line(line: u8, byte: u8) -> u8 {
    let (position, is_head) = (line & !IS_HEAD, line & IS_HEAD);
    match (position, byte) {
        (NOWHERE..MOST_OF_METHOD, b'A'..=b'Z') => {
            let may_be_head = position == NOWHERE || is_head != 0;
            let goes_on = may_be_head && b"HEAD".get(usize::from(position)) == Some(&byte);
            position + 1 + if goes_on { IS_HEAD } else { 0 }
        }
        (1..=MOST_OF_METHOD, b' ') => TARGET + if position == 4 { is_head } else { 0 },
        (NOWHERE..=MOST_OF_METHOD, _) => NOWHERE,
        (BLANK..DIGIT, byte) if byte == VERSION[usize::from(position - BLANK)] => line + 1,
        (DIGIT, b'0'..=b'9') => END + is_head,
        (END, b'\r') => LINE_RETURN + is_head,
        (_, b' ') => BLANK + is_head,
        (_, ..b' ' | 0x7F) => NOWHERE,
        _ => TARGET + is_head,
    }
}

/// Searches a part of a head, in this state. Returns the state at its end.
fn search<'a>(state: u8, pieces: impl Iterator<Item = &'a [u8]>) -> u8 {
    let position = state - HEAD;
    let (mut line, mut is_found) = (position % FOUND, position >= FOUND);
    let mut left = MOST_OF_HEAD;
    for piece in pieces {
        let part = &piece[..piece.len().min(left)];
        let ends = search_piece(&mut line, &mut is_found, part);
        left -= part.len();
        if ends || left == 0 {
            return if is_found { PRESENT } else { ABSENT };
        }
    }
    HEAD + line + if is_found { FOUND } else { 0 }
}

/// Searches a piece of a head. Returns whether the head ends in it.
fn search_piece(line: &mut u8, is_found: &mut bool, mut piece: &[u8]) -> bool {
    loop {
        if *line == OTHER {
            let Some(end) = piece.iter().position(|byte| *byte == b'\n') else { return false };
            piece = &piece[end..];
        }
        let Some((byte, rest)) = piece.split_first() else { return false };
        piece = rest;
        *line = match (*line, *byte) {
            (0 | RETURN, b'\n') => return true,
            (_, b'\n') => 0,
            (0, b'\r') => RETURN,
            (count, byte)
                if NAME.get(usize::from(count)).is_some_and(|it| it.eq_ignore_ascii_case(&byte)) =>
            {
                *is_found |= count + 1 == RETURN;
                if count + 1 == RETURN { OTHER } else { count + 1 }
            }
            _ => OTHER,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether a reply of `100 Continue` may follow these writes, each of several pieces.
    fn may_be_met(writes: &[&[&str]]) -> bool {
        let mut expectation = Expectation::default();
        for write in writes {
            expectation.note(write.iter().map(|piece| piece.as_bytes()));
        }
        expectation.may_be_met()
    }

    const ASKS: &str = "PUT /r HTTP/1.1\r\nHost: h\r\nexpect: 100-continue\r\n\r\n";
    const ASKS_NOT: &str = "PUT /r HTTP/1.1\r\nX-Expect: 100-continue\r\nExpectation: 1\r\n\r\n";

    #[test]
    fn requests_that_wait_are_recognised() {
        assert!(may_be_met(&[&[ASKS]]));
        assert!(!may_be_met(&[&[ASKS_NOT]]));
        assert!(!may_be_met(&[&[ASKS_NOT, "\nExpect: 100-continue\r\n\r\n"]]), "that is the body");
        assert!(may_be_met(&[&["PUT / HTTP/1.1\nEXPECT:x\n\n"]]), "bare line feeds");
    }

    #[test]
    fn a_head_may_come_in_pieces_and_writes() {
        for at in 1..ASKS.len() {
            let (begin, end) = ASKS.split_at(at);
            assert!(may_be_met(&[&[begin, "", end]]), "{at}");
            assert!(may_be_met(&[&[begin], &[end]]), "{at}");
            let (begin, end) = ASKS_NOT.split_at(at);
            assert!(!may_be_met(&[&[begin], &[""], &[end]]), "{at}");
        }
    }

    #[test]
    fn a_request_that_goes_on_waits_no_more() {
        assert!(!may_be_met(&[&[ASKS], &["body"]]));
        assert!(may_be_met(&[&[ASKS_NOT], &["body"], &[ASKS]]));
        assert!(may_be_met(&[&[ASKS], &[""]]), "nothing was written");
    }

    #[test]
    fn nothing_is_known_of_a_request_that_was_written_elsewhere() {
        assert!(may_be_met(&[]));
        assert!(may_be_met(&[&["body"]]));
    }

    #[test]
    fn a_head_has_no_body_in_its_reply() {
        for (request, is_head) in [("HEAD / HTTP/1.1\r\n\r\n", true), ("GET / HTTP/1.1\r\n\r\n", false)] {
            let mut expectation = Expectation::default();
            assert!(!expectation.is_head());
            expectation.note([request.as_bytes()].into_iter());
            assert_eq!((expectation.is_head(), expectation.may_be_met()), (is_head, false));
            expectation.note([&b"data"[..]].into_iter());
            assert_eq!(expectation.is_head(), is_head);
            expectation.note([ASKS.as_bytes()].into_iter());
            assert!(!expectation.is_head() && expectation.may_be_met());
        }
    }

    #[test]
    fn what_is_no_head_is_not_searched_for_ever() {
        let long = format!("PUT / HTTP/1.1\r\nX: {}", "x".repeat(2 * MOST_OF_HEAD));
        assert!(!may_be_met(&[&[&long], &["\r\nExpect: 100-continue\r\n\r\n"]]));
        let mut expectation = Expectation::default();
        let long = format!("PUT /{}", "x".repeat(2 * MOST_OF_HEAD));
        expectation.note([long.as_bytes()].into_iter());
        assert!(!expectation.note([&b" HTTP/1.1\r\n"[..]].into_iter()), "nor is such a line one");
    }
    /// Returns which of these writes are found to end the first line of a request, and the state after them.
    fn after(writes: &[&str]) -> (Vec<bool>, Expectation) {
        let mut expectation = Expectation::default();
        let mut note = |write: &&str| expectation.note([write.as_bytes()].into_iter());
        (writes.iter().map(&mut note).collect(), expectation)
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
            assert!(begins.ends_with(&[true]) && !get.is_head() && !get.may_be_met(), "{method}");
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
            "ABCDEFGHIJ / HTTP/1.1\r\n",
        ] {
            let (begins, then) = after(&[asks_not, body]);
            assert_eq!(begins, [true, false], "{body:?}");
            assert_eq!((then.is_head(), then.may_be_met()), (put.is_head(), false), "{body:?}");
        }
        let (_, head) = after(&["HEAD / HTTP/1.1\r\n\r\n", "I am a text\n"]);
        assert!(head.is_head() && !head.may_be_met());
    }
}
