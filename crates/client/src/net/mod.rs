//! The network: from the name of a host to a connected stream.

pub mod authority;
pub mod connect;
pub mod host_name;
pub mod resolve;
pub mod socket;
pub mod stream;
pub mod tls;
