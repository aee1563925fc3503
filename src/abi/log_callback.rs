//! The function that a program set for messages with `dplx_set_log` or `dplx_set_log_owned`.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use libc::{c_int, c_void};

use super::layout::ContextHead;
use droplet_client::log::Level;
use droplet_client::os::lock::Lock;

/// It is called with the program's own pointer, the context or NULL, the level and the text.
pub type Function = unsafe extern "C" fn(*mut c_void, *mut ContextHead, c_int, *const c_char);

/// It is called with the program's own pointer, which nobody uses any more.
pub type Release = unsafe extern "C" fn(*mut c_void);

/// The program's own pointer, and what is to be called when no call can use it any more.
pub struct User {
    /// The pointer.
    pub pointer: *mut c_void,
    /// What to call.
    pub release: Option<Release>,
}

// SAFETY: the pointer is the program's, which gets it back as it is, in any thread.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: whoever set the function promised that it may be called with the pointer.
            unsafe { release(self.pointer) };
        }
    }
}

/// Who gets the messages. Each call that delivers one shares in it, so the last of them ends it.
pub struct LogCallback {
    function: Function,
    user: User,
}

static LISTENER: Lock<Option<Arc<LogCallback>>> = Lock::new(None);

/// Has messages go to this function from now on, if there is one. Without one `user` is released at once.
///
/// # Safety
/// The function may be called by any thread with the user's pointer, also by calls that began before it was
/// replaced, until that is released.
pub unsafe fn set(function: Option<Function>, user: User) {
    let log_callback = match function {
        Some(function) => Some(Arc::new(LogCallback { function, user })),
        None => {
            drop(user);
            None
        }
    };
    let before = std::mem::replace(&mut *LISTENER.lock(), log_callback);
    // Without the lock: it may call the program.
    drop(before);
}

/// Who gets the messages, if the program said so.
pub fn current() -> Option<Arc<LogCallback>> {
    LISTENER.lock().clone()
}

impl LogCallback {
    /// Hands over a message. No lock is held: the program's function may call this library in turn.
    pub fn hear(&self, context: *mut ContextHead, level: Level, text: &CStr) {
        // SAFETY: whoever set the function promised that it may be called; the text outlives the call.
        unsafe { (self.function)(self.user.pointer, context, level as c_int, text.as_ptr()) };
    }
}
