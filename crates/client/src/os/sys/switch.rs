//! Switches in the environment.

use std::sync::atomic::{AtomicU8, Ordering};

use super::environment;

/// A variable of the environment that switches something when it has a certain value. It is read once, at first use.
///
/// The standard library's cells that are set once are locks: a child that another thread has forked meanwhile would wait
/// for a thread that it lacks. Here, threads that come at once read the same value.
pub struct Switch {
    variable: &'static str,
    value: &'static str,
    state: AtomicU8,
}

const UNREAD: u8 = 0;
const OFF: u8 = 1;
const ON: u8 = 2;

impl Switch {
    /// A switch that is on if the variable has this value.
    pub const fn new(variable: &'static str, value: &'static str) -> Switch {
        Switch { variable, value, state: AtomicU8::new(UNREAD) }
    }

    /// True if the variable had the value at first use.
    #[inline]
    pub fn is_on(&self) -> bool {
        match self.state.load(Ordering::Relaxed) {
            UNREAD => self.read(),
            state => state == ON,
        }
    }

    #[cold]
    fn read(&self) -> bool {
        let is_on = environment(self.variable).is_some_and(|value| value == self.value);
        self.state.store(if is_on { ON } else { OFF }, Ordering::Relaxed);
        is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_keeps_its_first_state() {
        // Cargo sets this one for tests.
        let (on, off) =
            (Switch::new("CARGO_PKG_NAME", env!("CARGO_PKG_NAME")), Switch::new("CARGO_PKG_NAME", ""));
        for _ in 0..2 {
            assert!(on.is_on());
            assert!(!off.is_on());
        }
        assert!(!Switch::new("A_VARIABLE_THAT_NOBODY_SETS", "").is_on());
    }
}
