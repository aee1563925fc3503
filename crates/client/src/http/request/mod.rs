//! Knowledge of a request from what is written: whether it is a HEAD, whose reply has no body; whether it has the field
//! `Expect`, and so waits for a reply of `100 Continue` before it goes on (RFC 9110, section 10.1.1); and whether it was
//! written to its end (RFC 9112, section 6).
//!
//! A request may be written in any number of writes. The next one begins after its end. Where that is not known, for
//! example because the program has written past the library, a line that ends in ` HTTP/1.` and a digit begins a request.
//! Blank lines before a request and after it do not count (RFC 9112, section 2.2).

mod chunks;
mod fields;
mod first_line;

use chunks::{Chunks, Taken};
use fields::{Body, Fields};
use first_line::{FirstLine, Step};

/// Number of bytes of a write that are searched: what goes on for longer is no head.
const MOST_OF_HEAD: usize = 1 << 16;

/// The request that was written last, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenRequest {
    rest: Rest,
    /// The position in what may be the first line of the next request.
    line: FirstLine,
    /// Something was written behind the end of a request that is no request, or in the same write, or behind a request
    /// whose end is not known.
    has_surplus: bool,
    is_head: bool,
    may_be_continued: bool,
}

/// The part of a request that is still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// No request was seen. The program may have written one elsewhere.
    Unknown,
    /// It was written to its end.
    Nothing,
    /// Its first line, behind a request that was written to its end.
    Line,
    /// The end of its head, of which these fields were seen.
    Head(Fields),
    /// So many bytes of its body, at least one.
    Bytes(u64),
    /// The end of its chunks.
    Chunks(Chunks),
    /// Nobody knows where its body ends.
    Undefined,
}

impl Default for WrittenRequest {
    fn default() -> WrittenRequest {
        WrittenRequest {
            rest: Rest::Unknown,
            line: FirstLine::default(),
            has_surplus: false,
            is_head: false,
            may_be_continued: true,
        }
    }
}

impl WrittenRequest {
    /// Returns whether the reply to the request may be a `100 Continue`. True as well if nothing is known of the request.
    pub fn may_be_continued(&self) -> bool {
        self.may_be_continued
    }

    /// Returns whether the request is waiting for a `100 Continue`. If it was written to its end, it is not.
    pub fn waits_to_continue(&self) -> bool {
        self.may_be_continued && !self.is_complete()
    }

    /// Returns whether the reply to the request has no body, since the request is a HEAD.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// Returns whether the server takes what is written next for the beginning of a request. True as well if nothing is known
    /// of this one.
    #[inline]
    pub fn is_whole(&self) -> bool {
        matches!(self.rest, Rest::Unknown | Rest::Nothing) && !self.has_surplus
    }

    /// Returns whether a request was seen.
    pub fn was_seen(&self) -> bool {
        self.rest != Rest::Unknown
    }

    /// Returns whether it was seen and written to its end, and nothing behind it.
    pub fn is_complete(&self) -> bool {
        self.rest == Rest::Nothing && !self.has_surplus
    }

    /// Notes a write: the head of a request, a part of it, or what follows it. Returns whether the first line of a request
    /// ends in it.
    #[inline]
    pub fn note<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut pieces = pieces.filter(|piece| !piece.is_empty()).peekable();
        let Some(first) = pieces.peek() else { return false };
        match self.rest {
            Rest::Head(_) | Rest::Bytes(_) | Rest::Chunks(_) => {
                self.may_be_continued &= matches!(self.rest, Rest::Head(_));
                self.go_on(pieces);
                return false;
            }
            Rest::Unknown | Rest::Line => {}
            Rest::Nothing | Rest::Undefined => self.may_be_continued = false,
        }
        // Most writes of a body whose end is not known end here.
        let may_begin = self.line.is_begun() || first[0].is_ascii_uppercase() || is_blank(&first[0]);
        if !may_begin {
            self.has_surplus |= self.rest == Rest::Nothing;
            return false;
        }
        self.search_line(pieces)
    }

    /// Searches the end of the first line of a request, and then its head. Returns whether the line ends.
    fn search_line<'a>(&mut self, mut pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut left = MOST_OF_HEAD;
        while let Some(piece) = pieces.next() {
            for (index, byte) in piece.iter().take(left).enumerate() {
                if !self.line.is_begun() && is_blank(byte) {
                    continue;
                }
                if self.rest == Rest::Nothing {
                    self.rest = Rest::Line;
                }
                match self.line.step(*byte) {
                    Step::GoesOn => {}
                    Step::IsNone => {
                        self.give_up_line();
                        return false;
                    }
                    Step::Ends { is_head } => {
                        (self.is_head, self.may_be_continued) = (is_head, true);
                        self.has_surplus |= self.rest == Rest::Undefined;
                        self.rest = Rest::Head(Fields::default());
                        self.go_on([&piece[index + 1..]].into_iter().chain(pieces));
                        return true;
                    }
                }
            }
            left = left.saturating_sub(piece.len());
            if left == 0 {
                self.line = FirstLine::default();
                self.give_up_line();
                return false;
            }
        }
        false
    }

    fn give_up_line(&mut self) {
        if self.rest == Rest::Line {
            self.rest = Rest::Nothing;
            self.has_surplus = true;
        }
    }

    /// Takes what follows the first line. Of what stands behind the end of the request, nothing is known but that it is
    /// there: it may be another request.
    fn go_on<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) {
        let mut left = MOST_OF_HEAD;
        for mut piece in pieces {
            if let Rest::Head(fields) = &mut self.rest {
                let part = &piece[..piece.len().min(left)];
                left -= part.len();
                let end = fields.search(part);
                if end.is_some() || left == 0 {
                    self.may_be_continued = fields.has_expect();
                    self.rest = end.map_or(Rest::Undefined, |_| Rest::after(fields.body()));
                }
                let Some(end) = end else { continue };
                piece = &piece[end..];
            }
            let behind = &piece[self.rest.take(piece)..];
            self.has_surplus |= self.rest == Rest::Nothing && !behind.iter().all(is_blank);
        }
    }
}

/// True for what a blank line consists of.
fn is_blank(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

impl Rest {
    /// Returns what follows a head that announces this body.
    fn after(body: Body) -> Rest {
        match body {
            Body::Undefined => Rest::Undefined,
            Body::Bytes(0) => Rest::Nothing,
            Body::Bytes(count) => Rest::Bytes(count),
            Body::Chunks => Rest::Chunks(Chunks::default()),
        }
    }

    /// Takes a piece of the body. Returns the number of bytes that belong to it.
    fn take(&mut self, piece: &[u8]) -> usize {
        match self {
            Rest::Bytes(left) => {
                let count = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                if *left == 0 {
                    *self = Rest::Nothing;
                }
                count
            }
            Rest::Chunks(chunks) => match chunks.take(piece) {
                Taken::All => piece.len(),
                Taken::UpTo(count) => {
                    *self = Rest::Nothing;
                    count
                }
                Taken::Invalid => {
                    *self = Rest::Undefined;
                    piece.len()
                }
            },
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
