//! The connection subsystem of Scality Droplet behind its C interface: connection pool, round robin over hosts,
//! blacklisting, complete writes and complete replies.
//!
//! [`exports`] has every C symbol. [`abi`] has the memory that C sees, and opens with a page on how C pointers and
//! Rust objects map to each other. The connections themselves are in the package droplet-client.

pub mod abi;
pub mod exports;

use droplet_client::os::reserve;

#[global_allocator]
static ALLOCATOR: reserve::WithReserve = reserve::WithReserve;
