//! A reply as it comes in: bytes in pieces of any size become a head and data.

use std::{fmt, str};

use super::head::{Framing, Head};
use super::lines::{Limits, Lines, after_blanks};

/// Why bytes are no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line of the head has more bytes than this.
    LineTooLong(usize),
    /// The head, with what comes before it, has more bytes than this.
    HeadTooLong(usize),
    /// The status line or a field cannot be read.
    Head(String),
    /// The length is no number, or there are several.
    ContentLength,
    /// A chunk has no length, or another one.
    Chunk,
    /// The connection ended in the middle, or before it began.
    Ended,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::LineTooLong(limit) => {
                write!(f, "a line of its head is longer than {limit} bytes (header_size)")
            }
            Malformed::HeadTooLong(limit) => {
                write!(f, "its head, with all that comes before it, is longer than {limit} bytes")
            }
            Malformed::Head(reason) => write!(f, "its head cannot be read: {reason}"),
            Malformed::ContentLength => f.write_str("its Content-Length is no number, or several"),
            Malformed::Chunk => f.write_str("a chunk has no length, or another one"),
            Malformed::Ended => f.write_str("the peer closed the connection before its end"),
        }
    }
}

/// What kind of reply is awaited.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Its body is read. The reply to a HEAD has none, whatever its head says.
    pub body: bool,
    /// The request waits for `100 Continue`, which is then the reply. Else it announces one.
    pub continuation: bool,
    /// How long heads may be.
    pub limits: Limits,
}

/// What bytes turned out to be.
#[derive(Debug)]
pub enum Event {
    /// Part of something larger.
    Part,
    /// The end of the head.
    Head(Head),
    /// Data of the body, every one of the bytes.
    Data,
}

#[derive(Debug)]
enum State {
    Head(Lines),
    /// So many bytes of the body are to come.
    Body(u64),
    ChunkSize(Lines),
    /// So many bytes of the chunk are to come.
    Chunk(u64),
    /// The line's end after a chunk.
    ChunkEnd(Lines),
    /// Fields after the last chunk, which nobody asked for.
    Trailer(Lines),
    UntilClose,
    Complete,
}

/// Where in a reply one is.
#[derive(Debug)]
pub struct Parser {
    state: State,
    expected: Expected,
}

impl Parser {
    /// Before the first byte.
    pub fn new(expected: Expected) -> Parser {
        Parser { state: State::Head(Lines::default()), expected }
    }

    /// Whether the reply has been read to its end.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Takes the beginning of `input`, at least one byte of it: how many, and what they are.
    pub fn advance(&mut self, input: &[u8]) -> Result<(usize, Event), Malformed> {
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
                if !b"\r\n".starts_with(line.text()) {
                    return Err(Malformed::Chunk);
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
            State::UntilClose => Ok((input.len(), Event::Data)),
            State::Complete => Ok((0, Event::Part)),
        }
    }

    /// The connection ended.
    pub fn end(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::UntilClose | State::Complete => {
                self.state = State::Complete;
                Ok(())
            }
            _ => Err(Malformed::Ended),
        }
    }

    /// All lines of the head are there.
    fn end_head(&mut self) -> Result<Event, Malformed> {
        let State::Head(lines) = &mut self.state else { return Ok(Event::Part) };
        let head = Head::parse(lines.text())?;
        // 101 is the last reply in HTTP; other provisional ones announce it (RFC 9110, section 15.2).
        let is_provisional = match head.status {
            100 => !self.expected.continuation,
            101 => false,
            status => status < 200,
        };
        if is_provisional {
            lines.start_again();
            return Ok(Event::Part);
        }
        let framing = head.framing()?;
        self.state = if !self.expected.body || !head.has_body() {
            State::Complete
        } else {
            match framing {
                Framing::Length(0) => State::Complete,
                Framing::Length(length) => State::Body(length),
                Framing::Chunked => State::ChunkSize(Lines::default()),
                Framing::UntilClose => State::UntilClose,
            }
        };
        Ok(Event::Head(head))
    }
}

/// Takes as much of `input` as belongs to what is `left`.
fn take(left: &mut u64, input: &[u8]) -> usize {
    let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= used as u64;
    used
}

/// The number at the beginning of a line, however many zeros it begins with. An extension may follow
/// (RFC 9112, section 7.1).
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed::Chunk)?;
    let (digits, rest) = line.split_at(line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count());
    let is_sound = matches!(after_blanks(rest).first(), None | Some(b';')) && !rest.contains(&b'\r');
    let size = str::from_utf8(digits).ok().filter(|_| is_sound);
    size.and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or(Malformed::Chunk)
}
