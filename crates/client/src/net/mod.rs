//! The network: from a name to a connected stream. One connection attempt, one stream.

pub mod authority;
pub mod connect;
pub mod host_name;
pub mod resolve;
pub mod stream;
pub mod tls;
