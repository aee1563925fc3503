//! The reader of one reply. It takes bytes from a source, step by step ([`ReplyReader`]), or all at once, and then hands
//! fields and data to a receiver ([`read`]).

use super::error::ReadError;
use super::head::Head;
use super::keep_alive::KeepAlive;
use super::reply::{Event, Expected, Parser};

/// A source of bytes.
pub trait Source {
    /// Failure of the source.
    type Error;

    /// Returns the bytes that were read and not consumed. The receiver may change them.
    fn buffered(&mut self) -> &mut [u8];

    /// Drops the first `count` of these bytes.
    fn consume(&mut self, count: usize);

    /// Reads more bytes, and waits for them. Called when all were consumed. False at the end of the stream.
    fn fill(&mut self) -> Result<bool, Self::Error>;

    /// True if nothing has come that was not read, not even the end of the stream. Does not wait.
    fn is_silent(&mut self) -> bool;

    /// Reads as [`Source::fill`], for a body of which nobody knows whether one comes. It may wait for a shorter time: then
    /// `None` says that nothing has come. A source whose caller says how long to wait waits as long as that.
    fn fill_soon(&mut self) -> Result<Option<bool>, Self::Error> {
        self.fill().map(Some)
    }

    /// Reads as [`Source::fill`], but only what has come already. `None` if nothing has; then nothing was read.
    fn fill_at_once(&mut self) -> Result<Option<bool>, Self::Error> {
        if self.is_silent() { Ok(None) } else { self.fill_soon() }
    }
}

/// A receiver of what is read. An error ends the reading.
pub trait Receiver {
    /// Refusal by the receiver.
    type Error;

    /// Prepares for this number of fields. The head is complete.
    fn fields_follow(&mut self, count: usize) -> Result<(), Self::Error>;

    /// Takes a field of the head.
    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Self::Error>;

    /// Takes a piece of the body. Pieces come in order.
    fn data(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error>;
}

/// A reply that was read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, three digits.
    pub status: u16,
    /// True if no reply can follow on this connection.
    pub is_last: bool,
    /// Limits of the connection that the server states.
    pub keep_alive: Option<KeepAlive>,
    /// True if the head says neither how long the body is nor that the connection ends, and neither came: the body
    /// counts as empty.
    pub is_presumed_empty: bool,
    /// True if the line that ends the chunks has not come.
    pub lacks_last_line: bool,
}

/// A reply that is being read.
pub struct ReplyReader {
    parser: Parser,
    head: Option<Head>,
    reply: Reply,
    /// True if the head says that the connection ends after the reply.
    says_close: bool,
    is_over: bool,
    has_failed: bool,
}

/// A step in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The head is complete.
    Head,
    /// Data of the body: the source has this number of bytes, which the caller consumes.
    Data(usize),
    /// The reply is over.
    End,
}

impl ReplyReader {
    /// A reply of which nothing was read.
    pub fn new(expected: Expected) -> ReplyReader {
        let reply = Reply {
            status: 0,
            is_last: false,
            keep_alive: None,
            is_presumed_empty: false,
            lacks_last_line: false,
        };
        ReplyReader {
            parser: Parser::new(expected),
            head: None,
            reply,
            says_close: false,
            is_over: false,
            has_failed: false,
        }
    }

    /// Says whether the reply may be a `100 Continue`, which changes when the request goes on.
    pub fn set_continuation(&mut self, continuation: bool) {
        self.parser.set_continuation(continuation);
    }

    /// Returns the status; `None` before the end of the head.
    pub fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.status)
    }

    /// Returns the names and values of all fields, in the order of the head; none before its end.
    pub fn fields(&self) -> &[(Vec<u8>, Vec<u8>)] {
        self.head.as_ref().map_or(&[], |head| &head.fields)
    }

    /// Returns what is known of the reply. It is complete if [`ReplyReader::is_over`].
    pub fn reply(&self) -> Reply {
        self.reply
    }

    /// Returns whether a part of the reply was read.
    pub fn is_begun(&self) -> bool {
        self.head.is_some() || self.parser.is_in_head()
    }

    /// Returns whether the reply was read to its end.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns whether a step failed for good.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Notes that a step failed for good. Another one might take the end of a torn connection for that of the body.
    pub fn give_up(&mut self) {
        self.has_failed = true;
    }

    /// Reads on to the next step: up to `most` bytes of data, at least one. After an error of the source it may be
    /// repeated.
    pub fn step<S: Source, R>(
        &mut self,
        source: &mut S,
        most: usize,
    ) -> Result<Step, ReadError<S::Error, R>> {
        while !self.is_over {
            let input = source.buffered();
            if input.is_empty() {
                self.fill(source)?;
                continue;
            }
            let most = input.len().min(most);
            let (used, event) = self.parser.advance(&input[..most]).map_err(ReadError::Syntax)?;
            match event {
                Event::Part => {
                    source.consume(used);
                    self.is_over = self.parser.is_complete();
                }
                Event::Data => {
                    self.is_over = self.parser.is_complete();
                    return Ok(Step::Data(used));
                }
                Event::Head(head, is_open_ended) => {
                    source.consume(used);
                    self.says_close = head.is_last();
                    self.reply.status = head.status;
                    self.reply.is_last = self.says_close || is_open_ended;
                    self.reply.keep_alive = head.keep_alive();
                    self.head = Some(head);
                    self.is_over = self.parser.is_complete();
                    return Ok(Step::Head);
                }
            }
        }
        Ok(Step::End)
    }

    /// Reads more bytes, all of which were used. Where servers may send no more, it does not wait long.
    fn fill<S: Source, R>(&mut self, source: &mut S) -> Result<(), ReadError<S::Error, R>> {
        let is_open = if self.parser.has_last_chunk() {
            // The body is complete. What may follow is not waited for: some servers do not send it.
            source.fill_at_once()
        } else if self.parser.is_before_open_end() && !self.says_close {
            source.fill_soon()
        } else {
            source.fill().map(Some)
        };
        match is_open.map_err(ReadError::Source)? {
            Some(true) => {}
            Some(false) => {
                self.parser.end().map_err(ReadError::Syntax)?;
                self.reply.is_last = true;
                self.is_over = true;
            }
            None => {
                self.reply.is_last |= self.parser.is_in_trailer();
                self.reply.lacks_last_line = self.parser.has_last_chunk();
                self.reply.is_presumed_empty = !self.reply.lacks_last_line;
                self.is_over = true;
            }
        }
        Ok(())
    }

    /// Reads up to the end of the head. Returns the status.
    pub fn read_head<S: Source, R>(&mut self, source: &mut S) -> Result<u16, ReadError<S::Error, R>> {
        match self.status() {
            Some(status) => Ok(status),
            // The first step is the head.
            None => self.step(source, usize::MAX).map(|_| self.reply.status),
        }
    }

    /// Reads data of the body, at least one byte; 0 is its end.
    pub fn read_data<S: Source, R>(
        &mut self,
        source: &mut S,
        into: &mut [u8],
    ) -> Result<usize, ReadError<S::Error, R>> {
        self.read_head(source)?;
        let Step::Data(count) = self.step(source, into.len())? else { return Ok(0) };
        into[..count].copy_from_slice(&source.buffered()[..count]);
        source.consume(count);
        Ok(count)
    }
}

/// Reads one reply. Bytes that follow it stay in the source.
pub fn read<S: Source, R: Receiver>(
    source: &mut S,
    receiver: &mut R,
    expected: Expected,
) -> Result<Reply, ReadError<S::Error, R::Error>> {
    let mut reader = ReplyReader::new(expected);
    loop {
        match reader.step(source, usize::MAX)? {
            Step::Head => {
                pass_on(reader.fields(), expected.body, receiver).map_err(ReadError::Receiver)?;
            }
            Step::Data(count) => {
                receiver.data(&mut source.buffered()[..count]).map_err(ReadError::Receiver)?;
                source.consume(count);
            }
            Step::End => return Ok(reader.reply()),
        }
    }
}

/// Passes on the fields that say something about the reply. Those that say where the body ends, or whether the
/// connection does, are not among them; but in the reply to a HEAD the length is information.
fn pass_on<R: Receiver>(
    fields: &[(Vec<u8>, Vec<u8>)],
    has_body: bool,
    receiver: &mut R,
) -> Result<(), R::Error> {
    let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    let is_framing = |name: &[u8]| {
        is(name, "transfer-encoding") || is(name, "connection") || (has_body && is(name, "content-length"))
    };
    receiver.fields_follow(fields.len())?;
    let mut passed = fields.iter().filter(|(name, _)| !is_framing(name));
    passed.try_for_each(|(name, value)| receiver.field(name, value))
}
