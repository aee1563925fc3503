//! Errors of a reply.

use std::collections::TryReserveError;
use std::fmt;

/// Bytes that are not a valid reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// A line of the head is longer than this many bytes.
    LineTooLong(usize),
    /// The head, with all that precedes it, is longer than this many bytes.
    HeadTooLong(usize),
    /// The status line or a field is invalid, for this reason.
    Head(String),
    /// `Content-Length` is not a number, or several different ones.
    ContentLength,
    /// The size of a chunk is missing or wrong.
    Chunk,
    /// The connection ended before the reply did.
    Ended,
    /// There is no memory for the head. It may be valid.
    OutOfMemory,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::LineTooLong(limit) => {
                write!(f, "a line of its head is longer than {limit} bytes (header_size)")
            }
            SyntaxError::HeadTooLong(limit) => {
                write!(f, "its head, with all that comes before it, is longer than {limit} bytes")
            }
            SyntaxError::Head(reason) => write!(f, "its head cannot be read: {reason}"),
            SyntaxError::ContentLength => {
                f.write_str("its Content-Length is not a number, or there are several different ones")
            }
            SyntaxError::Chunk => f.write_str("a chunk has no valid size"),
            SyntaxError::Ended => f.write_str("the peer closed the connection before its end"),
            SyntaxError::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl From<TryReserveError> for SyntaxError {
    fn from(_: TryReserveError) -> SyntaxError {
        SyntaxError::OutOfMemory
    }
}

/// Failure to read a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError<S, R> {
    /// The bytes are not a reply.
    Syntax(SyntaxError),
    /// The source failed.
    Source(S),
    /// The receiver refused a field or data.
    Receiver(R),
}
