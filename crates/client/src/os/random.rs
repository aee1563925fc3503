//! Random numbers, to spread what many clients would do alike. They are no secrets.
//!
//! The generators of the standard library and of fastrand's functions live in thread-local variables with destructors.
//! The first use in a thread needs memory, and glibc ends the process if there is none. So the seed is one atomic
//! variable of the process.
#![forbid(unsafe_code)]

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::os::sys;

/// The next seed.
static SEED: AtomicU64 = AtomicU64::new(0);

/// The distance of two seeds: 2^64 divided by the golden ratio, which spreads them evenly (Fibonacci hashing).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Makes the numbers of this process differ from those of others, and those of a child from its parent's.
pub fn be_unlike_others() {
    let own = u64::from(process::id()).wrapping_mul(STEP) ^ sys::monotonic_nanoseconds();
    SEED.fetch_add(own, Ordering::Relaxed);
}

/// Returns a generator.
pub fn generator() -> fastrand::Rng {
    fastrand::Rng::with_seed(SEED.fetch_add(STEP, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_differ() {
        let all: Vec<u64> = (0..100).map(|_| generator().u64(..)).collect();
        assert!((1..all.len()).all(|place| !all[..place].contains(&all[place])));
    }
}
