//! What the values that exported functions return say about how they ended.

use libc::{c_int, c_uint, ssize_t};

use crate::abi::last_error::{Outcome, Verdict};
use droplet_client::status;

impl Outcome for () {
    fn verdict(&self) -> Verdict {
        Verdict::Unknown
    }
}

/// A number of something.
impl Outcome for c_uint {
    fn verdict(&self) -> Verdict {
        Verdict::Unknown
    }
}

/// A size of something.
impl Outcome for usize {
    fn verdict(&self) -> Verdict {
        Verdict::Unknown
    }
}

/// A status, or a descriptor.
impl Outcome for c_int {
    #[inline]
    fn verdict(&self) -> Verdict {
        if *self < 0 { Verdict::Failure(status::meaning(*self)) } else { Verdict::Success }
    }
}

/// A number of bytes, or a status.
impl Outcome for ssize_t {
    #[inline]
    fn verdict(&self) -> Verdict {
        if *self < 0 { Verdict::Failure(status::meaning(*self as c_int)) } else { Verdict::Success }
    }
}

impl<T> Outcome for *mut T {
    fn verdict(&self) -> Verdict {
        match self.is_null() {
            true => Verdict::Failure("nothing was found, or memory is out"),
            false => Verdict::Success,
        }
    }
}
