//! The connection subsystem of Scality Droplet, rebuilt: pool, round robin, blacklist and write-all
//! behind the original's C ABI.
//!
//! To Rust programs it is a client's connections with failover: a [`Context`] knows the hosts, a
//! [`Connection`] returns to it when dropped.
//!
//! Layers, each using only those below it: `client` (checkout and release), `endpoint`, `hosts` and `pool`,
//! `connect` and `stream`, `sys`. On top stand the C side, `exports` over `abi`, and beside it `api`.
//! What a profile says is read by `profile`. The feature `standalone` adds Droplet's other units, in the
//! module of that name.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
compile_error!("droplet-conn keeps the binary interface of x86-64 Linux with glibc only");

mod abi;
mod api;
mod authority;
mod client;
mod clock;
mod connect;
mod endpoint;
mod exports;
mod fault;
mod fork;
mod host_name;
mod hosts;
mod journal;
mod lanes;
mod lock;
mod permits;
mod pool;
mod profile;
#[cfg_attr(not(feature = "c-library"), allow(dead_code, reason = "only the C libraries have the reserve"))]
mod reserve;
mod resolve;
#[cfg(feature = "standalone")]
mod standalone;
mod status;
mod stream;
mod sys;
mod tally;
mod tls_ffi;

/// Rust programs choose their allocator themselves.
#[cfg(feature = "c-library")]
#[global_allocator]
static ALLOCATOR: reserve::WithReserve = reserve::WithReserve;

pub use api::{
    Connection, Context, Counts, Error, ErrorKind, HostStatistics, Listener, Options, Severity, Statistics,
    Tls, Traffic,
};
