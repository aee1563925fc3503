//! What Rust programs use: contexts and connections without C in between.
#![forbid(unsafe_code)]

mod connection;
mod context;
mod error;
mod link;
mod statistics;

pub use connection::{Connection, Tls, Traffic};
pub use context::{Context, LogCallback, Options, Severity};
pub use error::{Error, ErrorKind};
pub use statistics::{Counts, HostStatistics, Statistics};
