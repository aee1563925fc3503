//! HTTP/1.1 messages as text: what is sent and what comes back. No C and no sockets here.
#![forbid(unsafe_code)]

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
