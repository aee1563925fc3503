//! The reader of one reply: it takes bytes from a source, and hands fields and data to a receiver.

use super::error::ReadError;
use super::fields::Fields;
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

    /// Reads as [`Source::fill`], but waits a short time only. `None` if nothing has come.
    fn fill_soon(&mut self) -> Result<Option<bool>, Self::Error>;

    /// Reads as [`Source::fill`], but only what has come already. `None` if nothing has.
    fn fill_at_once(&mut self) -> Result<Option<bool>, Self::Error>;
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

/// Reads one reply. Bytes that follow it stay in the source.
pub fn read<S: Source, R: Receiver>(
    source: &mut S,
    receiver: &mut R,
    expected: Expected,
) -> Result<Reply, ReadError<S::Error, R::Error>> {
    let mut parser = Parser::new(expected);
    let mut reply = Reply {
        status: 0,
        is_last: false,
        keep_alive: None,
        is_presumed_empty: false,
        lacks_last_line: false,
    };
    // True if the head says that the connection ends after the reply.
    let mut says_close = false;
    while !parser.is_complete() {
        let input = source.buffered();
        if input.is_empty() {
            let is_open = if parser.has_last_chunk() {
                // The body is complete. What may follow is not waited for: some servers do not send it.
                source.fill_at_once()
            } else if parser.is_before_open_end() && !says_close {
                source.fill_soon()
            } else {
                source.fill().map(Some)
            };
            match is_open.map_err(ReadError::Source)? {
                Some(true) => {}
                Some(false) => {
                    parser.end().map_err(ReadError::Syntax)?;
                    reply.is_last = true;
                }
                None => {
                    reply.is_last |= parser.is_in_trailer();
                    reply.lacks_last_line = parser.has_last_chunk();
                    reply.is_presumed_empty = !reply.lacks_last_line;
                    break;
                }
            }
            continue;
        }
        let (used, event) = parser.advance(input).map_err(ReadError::Syntax)?;
        match event {
            Event::Part => {}
            Event::Data => receiver.data(&mut input[..used]).map_err(ReadError::Receiver)?,
            Event::Head(head, is_open_ended) => {
                says_close = head.is_last();
                reply.status = head.status;
                reply.is_last = says_close || is_open_ended;
                reply.keep_alive = head.keep_alive();
                pass_on(&head.fields, expected.body, receiver).map_err(ReadError::Receiver)?;
            }
        }
        source.consume(used);
    }
    Ok(reply)
}

/// Passes on the fields that say something about the reply. Those that say where the body ends, or whether the
/// connection does, are not among them; but in the reply to a HEAD the length is information.
fn pass_on<R: Receiver>(fields: &Fields, has_body: bool, receiver: &mut R) -> Result<(), R::Error> {
    let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    let passes = |name: &[u8]| {
        !is(name, "transfer-encoding") && !is(name, "connection") && !(has_body && is(name, "content-length"))
    };
    receiver.fields_follow(fields.len())?;
    let mut passed = fields.iter().filter(|(name, _)| passes(name));
    passed.try_for_each(|(name, value)| receiver.field(name, value))
}
