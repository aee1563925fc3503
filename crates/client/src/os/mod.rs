//! The operating system: system calls, clock, locks, forks, OpenSSL, and an allocator with a reserve.
//!
//! The only folder of this crate that may have `unsafe` code.

pub mod clock;
pub mod fork;
pub mod libssl;
pub mod lock;
#[cfg(all(test, model))]
mod models;
pub mod probes;
pub mod random;
pub mod reserve;
pub mod shards;
pub mod sync;
pub mod sys;
