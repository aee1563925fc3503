//! The connection subsystem of Scality Droplet, rebuilt: pool, round robin, blacklist and write-all
//! behind the original's C ABI.
//!
//! `exports` has every C symbol, `abi` the memory that C sees. What they do is in the package droplet-client.

pub mod abi;
pub mod exports;

use droplet_client::os::reserve;

#[global_allocator]
static ALLOCATOR: reserve::WithReserve = reserve::WithReserve;
