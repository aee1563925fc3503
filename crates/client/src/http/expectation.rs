//! Knowledge of a request from what is written: whether it is a HEAD, whose reply has no body, and whether it has the
//! field `Expect`, and so waits for a reply of `100 Continue` before it goes on (RFC 9110, section 10.1.1).

/// Length of the longest method in common use, `PROPPATCH`.
const MOST_OF_METHOD: usize = 9;

/// Number of bytes of a write that are searched: what goes on for longer is no head.
const MOST_OF_HEAD: usize = 1 << 16;

/// Name of the field, with its colon.
const NAME: &[u8] = b"expect:";

/// The expectation of the request that was written last, in one byte: every connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation(u8);

/// The request is a HEAD. This bit is added to the following numbers.
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

impl Default for Expectation {
    fn default() -> Expectation {
        Expectation(UNKNOWN)
    }
}

impl Expectation {
    /// Returns whether the reply to the request may be a `100 Continue`. True as well if nothing is known of the request.
    pub fn may_be_met(self) -> bool {
        self.0 & !IS_HEAD != ABSENT
    }

    /// Returns whether the reply to the request has no body, since the request is a HEAD.
    pub fn is_head(self) -> bool {
        self.0 & IS_HEAD != 0
    }

    /// Notes a write: the head of a request, a part of it, or what follows it. Returns whether it looks like the beginning
    /// of a request.
    #[inline]
    pub fn note<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut pieces = pieces.filter(|piece| !piece.is_empty()).peekable();
        let Some(first) = pieces.peek() else { return false };
        let begins = begins_request(first);
        if begins {
            self.0 = HEAD + OTHER + if first.starts_with(b"HEAD ") { IS_HEAD } else { 0 };
        }
        let is_head = self.0 & IS_HEAD;
        self.0 = match self.0 - is_head {
            PRESENT => ABSENT,
            state @ (UNKNOWN | ABSENT) => state,
            state => search(state, pieces),
        } + is_head;
        begins
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

/// Returns whether these bytes begin as a request does. It is called for every write, so it rejects most other bytes by
/// their beginning.
fn begins_request(bytes: &[u8]) -> bool {
    let method = bytes.iter().take(MOST_OF_METHOD + 1).take_while(|byte| byte.is_ascii_uppercase()).count();
    (1..=MOST_OF_METHOD).contains(&method) && bytes.get(method) == Some(&b' ')
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
        for at in 4..ASKS.len() {
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
        let long = format!("PUT {}", "x".repeat(2 * MOST_OF_HEAD));
        assert!(!may_be_met(&[&[&long], &["\r\nExpect: 100-continue\r\n\r\n"]]));
    }
}
