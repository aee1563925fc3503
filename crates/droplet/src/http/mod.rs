//! Requests of HTTP/1.1 as text. There are no C types here, and no sockets. Replies are read in the package
//! droplet-client.
//!
//! | file | content |
//! | --- | --- |
//! | `request.rs` | the head of a request, and values of its fields |
//! | `url.rs` | percent-encoding |
#![forbid(unsafe_code)]

pub mod request;
pub mod url;
