//! The operating system: system calls, clock, locks, forks, and memory when there is little.

pub mod clock;
pub mod fork;
pub mod libssl;
pub mod lock;
pub mod reserve;
pub mod shards;
pub mod sys;
