//! HTTP/1.1 messages as text: requests are written, replies are read. There are no C types here, and no sockets.
//!
//! | file | content |
//! | --- | --- |
//! | `request.rs` | the head of a request, and values of its fields |
//! | `reader.rs` | the loop that reads a reply from a source and passes it to a receiver |
//! | `reply.rs` | the parser: the states of a reply, its body and its chunks |
//! | `head.rs`, `fields.rs`, `lines.rs` | the status line and framing, the fields, the lines that both come in |
//! | `error.rs` | errors of a reply |
//! | `url.rs` | percent-encoding |
//!
//! `reply_tests/` compares the reader with a model of it that uses httparse (`make fuzz`).
#![forbid(unsafe_code)]

pub mod error;
mod fields;
mod head;
mod lines;
pub mod reader;
pub mod reply;
pub mod request;
pub mod url;

pub use lines::Limits;

#[cfg(test)]
mod reply_tests;
