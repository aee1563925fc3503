//! Replies of HTTP/1.1, and what has to be known of requests, as text. There are no C types here, and no sockets.
//!
//! | file | content |
//! | --- | --- |
//! | `reader.rs` | the loop that reads a reply from a source and passes it to a receiver |
//! | `reply.rs` | the parser: the states of a reply, its body and its chunks |
//! | `head.rs`, `fields.rs`, `lines.rs` | the status line and framing, the fields, the lines that both come in |
//! | `keep_alive.rs` | the limits that a server states for its connections |
//! | `error.rs` | errors of a reply |
//! | `request/` | what is known of a request from what is written |
//!
//! `reply_tests/` compares the reader with a model of it that uses httparse. So does the fuzzer (`crates/properties`).
#![forbid(unsafe_code)]

pub mod error;
mod fields;
mod head;
mod keep_alive;
mod lines;
pub mod reader;
pub mod reply;
pub mod request;

pub use keep_alive::KeepAlive;
pub use lines::Limits;

#[cfg(test)]
mod reply_tests;
