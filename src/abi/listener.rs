//! The function that a program set for messages with `dplx_set_log`.

use std::ffi::{CStr, c_char};

use libc::{c_int, c_void};

use super::context::ContextHead;
use crate::journal::Level;
use crate::lock::Lock;

/// It is called with the program's own pointer, the context or NULL, the level and the text.
pub type Function = unsafe extern "C" fn(*mut c_void, *mut ContextHead, c_int, *const c_char);

/// Who gets the messages.
#[derive(Clone, Copy)]
pub struct Listener {
    function: Function,
    user: *mut c_void,
}

// SAFETY: the pointer is the program's, which gets it back as it is.
unsafe impl Send for Listener {}

static LISTENER: Lock<Option<Listener>> = Lock::new(None);

/// Has messages go to this function from now on, if there is one.
///
/// # Safety
/// It may be called by any thread with `user`, also by calls that began before it was replaced.
pub unsafe fn set(function: Option<Function>, user: *mut c_void) {
    *LISTENER.lock() = function.map(|function| Listener { function, user });
}

/// Who gets the messages, if the program said so.
pub fn current() -> Option<Listener> {
    *LISTENER.lock()
}

impl Listener {
    /// Hands over a message. No lock is held: the program's function may call this library in turn.
    pub fn hear(self, context: *mut ContextHead, level: Level, text: &CStr) {
        // SAFETY: whoever set the function promised that it may be called; the text outlives the call.
        unsafe { (self.function)(self.user, context, level as c_int, text.as_ptr()) };
    }
}
