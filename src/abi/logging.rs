//! Messages to the program.
//!
//! They go to the function that the program set with `dplx_set_log`. Without one they go through Droplet's `dpl_log`
//! and `dpl_trace`, if the process has them, so that the program's log function and trace level apply; else to
//! stderr. Messages about a context from `dplx_ctx_new` are not printed: its user reads `dplx_last_error`.

use std::ffi::{CStr, CString};
use std::fmt;
use std::ptr;

use libc::c_int;

use super::context::Context;
use super::{droplet, last_error, log_callback};
use droplet_client::log::{Level, Location, Log};
use droplet_client::os::sys;

/// `DPL_TRACE_CONN`.
const TRACE_CONNECTIONS: u32 = 4;

/// The log of one call of an exported function.
#[derive(Clone, Copy)]
pub struct CallLog {
    /// The context it concerns, if that is known.
    pub context: Option<&'static Context>,
    /// The name of the function that was called.
    pub function: &'static CStr,
    /// True if errors in the log are no failure of this call, such as the failure of an attempt that nobody waits for.
    pub is_in_passing: bool,
}

impl CallLog {
    /// Returns whether nothing is printed: functions of `dplx_` and their contexts leave their text to
    /// `dplx_last_error`.
    fn is_quiet(&self) -> bool {
        match self.context {
            Some(context) => context.is_quiet(),
            None => self.function.to_bytes().starts_with(b"dplx_"),
        }
    }

    #[cold]
    fn deliver(&self, level: Level, location: Location, message: &str) {
        let context = self.context.map_or(ptr::null_mut(), |it| it.view().pointer_to_context());
        if let Some(log_callback) = log_callback::current() {
            let text = c_string(&format!("{}: {message}", self.function.to_string_lossy()));
            log_callback.call(context, level, &text);
        } else if self.is_quiet() {
            // The text is in dplx_last_error().
        } else if let Some(log) = droplet::log() {
            let (file, message, format) = (c_string(location.file), c_string(message), c"%s".as_ptr());
            let (file, function, line) = (file.as_ptr(), self.function.as_ptr(), location.line as c_int);
            // SAFETY: the function has Droplet's signature, all strings outlive the call, and the format takes one
            // string.
            unsafe { log(context, level as c_int, file, function, line, format, message.as_ptr()) };
        } else {
            let level = match level {
                Level::Warning => "warning",
                Level::Error => "error",
            };
            let (file, line, function) = (location.file, location.line, self.function.to_string_lossy());
            sys::print_error(format!("{level}: {file}:{line}: {function}: {message}\n").as_bytes());
        }
    }
}

impl Log for CallLog {
    #[cold]
    fn log(&self, level: Level, location: Location, message: fmt::Arguments<'_>) {
        let text = message.to_string();
        sys::without_cancellation(|| last_error::within_call(|| self.deliver(level, location, &text)));
        if level == Level::Error && !self.is_in_passing {
            last_error::note(format_args!("{text}"));
        }
    }

    #[cold]
    fn note(&self, reason: fmt::Arguments<'_>) {
        if !self.is_in_passing {
            last_error::note(reason);
        }
    }

    #[inline]
    fn trace(&self, location: Location, message: fmt::Arguments<'_>) {
        let Some(context) = self.context else { return };
        if context.view().trace_level() & TRACE_CONNECTIONS != 0 {
            sys::without_cancellation(|| {
                last_error::within_call(|| trace(context, self.function, location, message));
            });
        }
    }
}

#[cold]
fn trace(context: &Context, function: &'static CStr, location: Location, message: fmt::Arguments<'_>) {
    let Some(trace) = droplet::trace() else {
        let (file, line, function) = (location.file, location.line, function.to_string_lossy());
        let thread = sys::thread_id();
        let kind = TRACE_CONNECTIONS;
        sys::print_error(
            format!("trace: {thread}: [{kind:x}] {file}:{function}:{line}: {message}\n").as_bytes(),
        );
        return;
    };
    let (file, message) = (c_string(location.file), c_string(&message.to_string()));
    // SAFETY: the function has Droplet's signature, all strings outlive the call, and the format takes one string.
    unsafe {
        let (file, function) = (file.as_ptr(), function.as_ptr());
        let context = context.view().pointer_to_context();
        let (line, format) = (location.line as c_int, c"%s".as_ptr());
        trace(context, TRACE_CONNECTIONS, file, function, line, format, message.as_ptr());
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use droplet_client::log;

    use super::*;

    struct Counted<'a>(&'a Cell<u32>);

    impl fmt::Display for Counted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() + 1);
            f.write_str("text")
        }
    }

    #[test]
    fn a_message_is_made_once() {
        let call = CallLog { context: None, function: c"dplx_test", is_in_passing: false };
        let made = Cell::new(0);
        log!(&call, Error, "{}", Counted(&made));
        assert_eq!(made.get(), 1);
    }
}
