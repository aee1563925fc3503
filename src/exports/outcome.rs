//! Results of exported functions, by the types that they return.

use libc::{c_int, c_uint, ssize_t};

use crate::abi::last_error::{CallResult, Outcome};
use droplet_client::status;

impl Outcome for () {
    fn result(&self) -> CallResult {
        CallResult::Unknown
    }
}

/// A count: its value does not say whether the call failed.
impl Outcome for c_uint {
    fn result(&self) -> CallResult {
        CallResult::Unknown
    }
}

/// A number: likewise.
impl Outcome for u64 {
    fn result(&self) -> CallResult {
        CallResult::Unknown
    }
}

/// A status, a descriptor or a count; negative for a failure.
impl Outcome for c_int {
    #[inline]
    fn result(&self) -> CallResult {
        if *self < 0 { CallResult::Failure(status::meaning(*self)) } else { CallResult::Success }
    }
}

/// A number of bytes, or a negative status.
impl Outcome for ssize_t {
    #[inline]
    fn result(&self) -> CallResult {
        if *self < 0 { CallResult::Failure(status::meaning(*self as c_int)) } else { CallResult::Success }
    }
}

/// A text: NULL also means that there is none.
impl<T> Outcome for *const T {
    fn result(&self) -> CallResult {
        if self.is_null() { CallResult::Unknown } else { CallResult::Success }
    }
}

/// A pointer; NULL for a failure.
impl<T> Outcome for *mut T {
    fn result(&self) -> CallResult {
        match self.is_null() {
            true => CallResult::Failure("not found, or out of memory"),
            false => CallResult::Success,
        }
    }
}
