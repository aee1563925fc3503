//! The parts that the library's own concurrency is built from: atomic variables, thread-local variables, futexes, the
//! time of waits.
//!
//! They are those of the standard library and the system. In a build for models (`--cfg model`, `make models`) they are
//! those of a model checker, which runs a test again and again, in another order of the threads each time:
//! `model.rs` has more.

#[cfg(model)]
pub mod model;

#[cfg(not(model))]
pub use std::{sync::atomic, thread::yield_now, thread_local, time::Instant};

#[cfg(not(model))]
pub use crate::os::sys::{futex_wait, futex_wake};

#[cfg(model)]
pub(crate) use model::thread_local;
#[cfg(model)]
pub use model::{atomic, futex_wait, futex_wake, time::Instant, yield_now};
