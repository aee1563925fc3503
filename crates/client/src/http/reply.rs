//! The parser of a reply. It takes bytes in pieces of any size, and gives back the head and the data of the body.

use std::str;

use super::error::SyntaxError;
use super::head::{Framing, Head};
use super::lines::{Limits, Lines, after_blanks};

/// The kind of reply that is expected.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// False for the reply to a HEAD: it has no body, whatever its head says.
    pub body: bool,
    /// False if nobody wants the data of the body. A body that ends with the connection is then not waited for.
    pub data: bool,
    /// True if the request waits for `100 Continue`. That is then the reply; otherwise it is skipped.
    pub continuation: bool,
    /// The greatest length of a head.
    pub limits: Limits,
}

/// The meaning of the bytes that [`Parser::advance`] took.
#[derive(Debug)]
pub enum Event {
    /// Part of the head or of the framing. The receiver gets nothing.
    Part,
    /// The end of the head, which is complete now; true if the body ends with the connection.
    Head(Head, bool),
    /// Data of the body: all the bytes that were taken.
    Data,
}

#[derive(Debug)]
enum State {
    /// In the head, or before it.
    Head(Lines),
    /// In a body. This many bytes are missing.
    Body(u64),
    /// In the line with the size of a chunk.
    ChunkSize(Lines),
    /// In the data of a chunk. This many bytes are missing.
    Chunk(u64),
    /// In the line end after the data of a chunk.
    ChunkEnd(Lines),
    /// In the fields after the last chunk, which are dropped.
    Trailer(Lines),
    /// In a body that ends with the connection. True if no byte of it has come.
    UntilClose(bool),
    /// After the reply.
    Complete,
}

/// A position in a reply.
#[derive(Debug)]
pub struct Parser {
    state: State,
    expected: Expected,
}

impl Parser {
    /// Returns the position before the first byte.
    pub fn new(expected: Expected) -> Parser {
        Parser { state: State::Head(Lines::default()), expected }
    }

    /// Says whether the reply may be a `100 Continue`, which changes when the request goes on.
    pub fn set_continuation(&mut self, continuation: bool) {
        self.expected.continuation = continuation;
    }

    /// Returns whether the reply is complete.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Returns whether a part of the head has come, but not all of it.
    pub fn is_in_head(&self) -> bool {
        matches!(&self.state, State::Head(lines) if !lines.text().is_empty())
    }

    /// Returns whether the last chunk has come. Fields and an empty line should follow, but some servers send none.
    pub fn has_last_chunk(&self) -> bool {
        matches!(self.state, State::Trailer(_))
    }

    /// Returns whether a part of what follows the last chunk has come.
    pub fn is_in_trailer(&self) -> bool {
        matches!(&self.state, State::Trailer(lines) if !lines.text().is_empty())
    }

    /// Returns whether the body ends with the connection, and no byte of it has come.
    pub fn is_before_open_end(&self) -> bool {
        matches!(self.state, State::UntilClose(true))
    }

    /// Takes bytes from the beginning of `input`, at least one, and returns how many and what they mean.
    pub fn advance(&mut self, input: &[u8]) -> Result<(usize, Event), SyntaxError> {
        let limits = self.expected.limits;
        match &mut self.state {
            State::Head(lines) => {
                let (used, is_whole) = lines.take_all(input, limits, false)?;
                let event = if is_whole { self.end_head()? } else { Event::Part };
                Ok((used, event))
            }
            State::Body(left) => {
                let used = take(left, input);
                if *left == 0 {
                    self.state = State::Complete;
                }
                Ok((used, Event::Data))
            }
            State::ChunkSize(line) => {
                let (used, is_whole) = line.take_one(input, limits)?;
                if is_whole {
                    self.state = match chunk_size(line.text())? {
                        0 => State::Trailer(Lines::default()),
                        size => State::Chunk(size),
                    };
                }
                Ok((used, Event::Part))
            }
            State::Chunk(left) => {
                let used = take(left, input);
                if *left == 0 {
                    self.state = State::ChunkEnd(Lines::default());
                }
                Ok((used, Event::Data))
            }
            State::ChunkEnd(line) => {
                let (used, is_whole) = line.take_one(input, limits)?;
                if !matches!(line.text(), b"\r" | b"\r\n" | b"\n") {
                    return Err(SyntaxError::Chunk);
                }
                if is_whole {
                    self.state = State::ChunkSize(Lines::default());
                }
                Ok((used, Event::Part))
            }
            State::Trailer(lines) => {
                let (used, is_whole) = lines.take_all(input, limits, true)?;
                if is_whole {
                    self.state = State::Complete;
                }
                Ok((used, Event::Part))
            }
            State::UntilClose(is_empty) => {
                *is_empty = false;
                Ok((input.len(), Event::Data))
            }
            State::Complete => Ok((0, Event::Part)),
        }
    }

    /// Ends the reply, because the connection ended. An error if the reply is incomplete. It is complete after the last
    /// chunk.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        match self.state {
            State::UntilClose(_) | State::Trailer(_) | State::Complete => {
                self.state = State::Complete;
                Ok(())
            }
            _ => Err(SyntaxError::Ended),
        }
    }

    /// Parses the complete head, and chooses the next state by the framing of the body.
    fn end_head(&mut self) -> Result<Event, SyntaxError> {
        let State::Head(lines) = &mut self.state else { return Ok(Event::Part) };
        let head = Head::parse(lines.text())?;
        // After 101 another protocol follows. Other replies of 1xx precede the final reply (RFC 9110, section 15.2).
        let is_provisional = match head.status {
            100 => !self.expected.continuation,
            101 => false,
            status => status < 200,
        };
        if is_provisional {
            lines.start_again();
            return Ok(Event::Part);
        }
        // Without a body, what the head says of its length does not matter.
        let has_body = self.expected.body && head.has_body();
        let framing = if has_body { head.framing()? } else { Framing::Length(0) };
        self.state = match framing {
            Framing::Length(0) => State::Complete,
            Framing::Length(length) => State::Body(length),
            Framing::Chunked => State::ChunkSize(Lines::default()),
            Framing::UntilClose if !self.expected.data => State::Complete,
            Framing::UntilClose => State::UntilClose(true),
        };
        let is_open_ended = framing == Framing::UntilClose;
        Ok(Event::Head(head, is_open_ended))
    }
}

/// Takes at most `left` bytes of `input`, and returns how many.
fn take(left: &mut u64, input: &[u8]) -> usize {
    let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= used as u64;
    used
}

/// Parses the line with the size of a chunk. The size may begin with any number of zeros, and an extension may follow
/// it (RFC 9112, section 7.1). Older servers put blanks around it, and end the line without a carriage return.
fn chunk_size(line: &[u8]) -> Result<u64, SyntaxError> {
    let line = line.strip_suffix(b"\n").ok_or(SyntaxError::Chunk)?;
    let line = after_blanks(line.strip_suffix(b"\r").unwrap_or(line));
    let (digits, rest) = line.split_at(line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count());
    let is_sound = matches!(after_blanks(rest).first(), None | Some(b';')) && !rest.contains(&b'\r');
    let size = str::from_utf8(digits).ok().filter(|_| is_sound);
    size.and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or(SyntaxError::Chunk)
}
