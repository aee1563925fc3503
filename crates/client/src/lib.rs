//! Connections with failover: a [`Context`] knows the hosts, a [`Connection`] returns to its pool when it is
//! dropped.
//!
//! ```
//! # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = server.local_addr()?;
//! let context = droplet_client::Context::from_profile(&format!("host = {address}"))?;
//! let connection = context.connect()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The types above are the interface for Rust programs. The modules below are what it is made of; the package
//! droplet-conn builds Droplet's C interface on them, and they change without notice. Each module uses only those
//! after it in this list: [`api`], [`checkout`], [`hosts`], [`profile`], [`net`], [`pool`], [`os`].

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
compile_error!("droplet-conn keeps the binary interface of x86-64 Linux with glibc only");

#[macro_use]
pub mod log;

mod api;
pub mod checkout;
pub mod fault;
pub mod hosts;
pub mod net;
pub mod os;
pub mod pool;
pub mod profile;
pub mod status;

pub use api::{
    Connection, Context, Counts, Error, ErrorKind, HostStatistics, Level, LogCallback, Options, Statistics,
    Tls, Traffic,
};
