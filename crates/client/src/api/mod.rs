//! The interface for Rust programs: contexts, connections, errors and statistics.
#![forbid(unsafe_code)]

mod connection;
mod context;
mod error;
mod reply;
mod statistics;

pub use crate::log::Level;
pub use connection::{Connection, Tls, Traffic};
pub use context::{Context, LogCallback, Options};
pub use error::{Error, ErrorKind};
pub use reply::Reply;
pub use statistics::{Counts, HostStatistics, Statistics};
