//! The function that a program set for messages with `dplx_set_log` or `dplx_set_log_owned`.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use libc::{c_int, c_void};

use super::layout::ContextHead;
use droplet_client::log::Level;
use droplet_client::os::lock::Lock;

/// Log callback of a program. Arguments: the program's own pointer, the context or NULL, the level, the text.
pub type Function = unsafe extern "C" fn(*mut c_void, *mut ContextHead, c_int, *const c_char);

/// Function that frees the program's own pointer, its argument, when nobody uses it any more.
pub type Release = unsafe extern "C" fn(*mut c_void);

/// The program's own pointer, with the function to call when no log callback can use it any more.
pub struct User {
    /// The pointer.
    pub pointer: *mut c_void,
    /// The function to call, if any.
    pub release: Option<Release>,
}

// SAFETY: this library does not follow the pointer, and the program lets any thread call its functions with it
// (contract of `set`).
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: any thread may call `release` with the pointer (contract of `set`).
            unsafe { release(self.pointer) };
        }
    }
}

/// The log callback and its pointer. Each call that delivers a message holds it by `Arc`, so the last of them frees it.
pub struct LogCallback {
    function: Function,
    user: User,
}

static CALLBACK: Lock<Option<Arc<LogCallback>>> = Lock::new(None);

/// Sets the log callback; `None` for none, which releases `user` at once.
///
/// # Safety
/// Any thread may call `function` with the pointer until that is released, also after the function was replaced. Any
/// thread may release it.
pub unsafe fn set(function: Option<Function>, user: User) {
    let log_callback = match function {
        Some(function) => Some(Arc::new(LogCallback { function, user })),
        None => {
            drop(user);
            None
        }
    };
    let before = std::mem::replace(&mut *CALLBACK.lock(), log_callback);
    // Dropped without the lock, since it may call the program.
    drop(before);
}

/// Returns the log callback, if the program has set one.
pub fn current() -> Option<Arc<LogCallback>> {
    CALLBACK.lock().clone()
}

impl LogCallback {
    /// Calls the function with a message. No lock is held, so the function may call this library.
    pub fn call(&self, context: *mut ContextHead, level: Level, text: &CStr) {
        // SAFETY: any thread may call the function with the pointer (contract of `set`); the text outlives the call.
        unsafe { (self.function)(self.user.pointer, context, level as c_int, text.as_ptr()) };
    }
}
