//! Reads one reply: bytes from a source, what they mean to a receiver.

use super::fields;
use super::reply::{Event, Expected, Malformed, Parser};

/// Where bytes come from.
pub trait Source {
    /// Why there are no more.
    type Error;

    /// Those that are at hand and were not used yet. The receiver may change them.
    fn buffered(&mut self) -> &mut [u8];

    /// The first of them were used.
    fn consume(&mut self, count: usize);

    /// Waits for more, once all at hand were used. False at the end.
    fn fill(&mut self) -> Result<bool, Self::Error>;
}

/// Who wants to know. An error ends the reading.
pub trait Receiver {
    /// Why it wants no more.
    type Error;

    /// A field of the head.
    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Self::Error>;

    /// Some of the body, in order.
    fn data(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error>;
}

/// A reply that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, three digits.
    pub status: u16,
    /// The connection is of no use any more.
    pub is_last: bool,
}

/// Why there is no reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure<S, R> {
    /// The bytes are none.
    Malformed(Malformed),
    /// They do not come.
    Source(S),
    /// Nobody wants them.
    Receiver(R),
}

/// Reads one reply. Bytes that come after it are left where they are.
pub fn read<S: Source, R: Receiver>(
    source: &mut S,
    receiver: &mut R,
    expected: Expected,
) -> Result<Reply, Failure<S::Error, R::Error>> {
    let mut parser = Parser::new(expected);
    let mut reply = Reply { status: 0, is_last: false };
    while !parser.is_complete() {
        let input = source.buffered();
        if input.is_empty() {
            if !source.fill().map_err(Failure::Source)? {
                parser.end().map_err(Failure::Malformed)?;
                reply.is_last = true;
            }
            continue;
        }
        let (used, event) = parser.advance(input).map_err(Failure::Malformed)?;
        match event {
            Event::Part => {}
            Event::Data => receiver.data(&mut input[..used]).map_err(Failure::Receiver)?,
            Event::Head(head) => {
                reply = Reply { status: head.status, is_last: head.is_last() };
                for (name, value) in &head.fields {
                    // Without a body its length is news to the receiver.
                    let is_news = !expected.body && name.eq_ignore_ascii_case("content-length");
                    if is_news || !fields::is_framing(name) {
                        receiver.field(name, value).map_err(Failure::Receiver)?;
                    }
                }
            }
        }
        source.consume(used);
    }
    Ok(reply)
}
