//! Connections with failover to HTTP servers: a [`Context`] knows the hosts, and a [`Connection`] goes back to the pool
//! of its context when it is dropped.
//!
//! ```
//! # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = server.local_addr()?;
//! let context = droplet_client::Context::from_profile(&format!("host = {address}"))?;
//! let connection = context.connect()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The types at the top level are the interface for Rust programs. The modules are the implementation, and may change
//! at any time; the package droplet-conn builds Droplet's C interface on them.
//!
//! | module | contents |
//! | --- | --- |
//! | [`checkout`] | a connection for a request, idle or new; release; maintenance |
//! | [`hosts`] | the list of hosts, and the circuit breaker of each |
//! | [`profile`] | the text of a profile |
//! | [`net`] | names, connection attempts, sockets, TLS |
//! | [`http`] | replies of HTTP as text |
//! | [`pool`] | idle connections, and the limit on open ones |
//! | [`os`] | clock, locks, fork, system calls, OpenSSL: the only `unsafe` code of this crate |
//! | [`log`](mod@log), [`fault`], [`status`] | messages, faults of a host, results of a call |

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("droplet-conn keeps the binary interface of Linux on x86-64 and aarch64 with glibc only");

#[macro_use]
pub mod log;

mod api;
pub mod checkout;
pub mod fault;
pub mod hosts;
pub mod http;
pub mod net;
pub mod os;
pub mod pool;
pub mod profile;
pub mod status;

pub use api::{
    Connection, Context, Counts, Error, ErrorKind, HostStatistics, Level, LogCallback, Options, Reply,
    Statistics, Tls, Traffic,
};
