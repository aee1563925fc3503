//! HTTP/1.1 messages as text: what is sent and what comes back. No C and no sockets here.
#![forbid(unsafe_code)]

pub mod request;
pub mod url;
