//! Messages to the program: through Droplet's own `dpl_log` and `dpl_trace` where there are such, so that
//! its log function and trace level apply; to stderr otherwise.

use std::ffi::{CStr, CString, c_char};
use std::fmt;

use libc::{c_int, c_uint};

use super::context::{Context, ContextHead};
use crate::journal::{Journal, Level, Place};
use crate::sys;

/// `DPL_TRACE_CONN`.
const TRACE_CONNECTIONS: u32 = 4;

type LogFunction = unsafe extern "C" fn(
    *mut ContextHead,
    c_int,
    *const c_char,
    *const c_char,
    c_int,
    *const c_char,
    ...
) -> c_int;

type TraceFunction =
    unsafe extern "C" fn(*mut ContextHead, c_uint, *const c_char, *const c_char, c_int, *const c_char, ...);

// Weak references, which Rust cannot express otherwise: the linker, static or dynamic, puts NULL there if
// nothing in the process defines the symbol.
std::arch::global_asm!(
    ".weak dpl_log",
    ".weak dpl_trace",
    ".pushsection .data.rel.ro.droplet_conn, \"aw\"",
    ".balign 8",
    ".globl droplet_conn_weak_log",
    ".hidden droplet_conn_weak_log",
    "droplet_conn_weak_log: .quad dpl_log",
    ".globl droplet_conn_weak_trace",
    ".hidden droplet_conn_weak_trace",
    "droplet_conn_weak_trace: .quad dpl_trace",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "droplet_conn_weak_log"]
    static DROPLETS_LOG: Option<LogFunction>;
    #[link_name = "droplet_conn_weak_trace"]
    static DROPLETS_TRACE: Option<TraceFunction>;
}

/// The journal of one call.
#[derive(Clone, Copy)]
pub struct CallJournal {
    /// The context it concerns, if that is known.
    pub context: Option<&'static Context>,
    /// The function that was called.
    pub function: &'static CStr,
}

impl Journal for CallJournal {
    #[cold]
    fn log(&self, level: Level, place: Place, message: fmt::Arguments<'_>) {
        let context = self.context.map_or(std::ptr::null_mut(), |it| it.view().pointer_to_context());
        // SAFETY: constant after loading; see the assembly above.
        let Some(log) = (unsafe { DROPLETS_LOG }) else {
            let level = match level {
                Level::Warning => "warning",
                Level::Error => "error",
            };
            let (file, line, function) = (place.file, place.line, self.function.to_string_lossy());
            eprintln!("{level}: {file}:{line}: {function}: {message}");
            return;
        };
        let (file, message) = (c_string(place.file), c_string(&message.to_string()));
        // SAFETY: the signature is Droplet's; all strings outlive the call and "%s" takes the one given.
        unsafe {
            let (file, function) = (file.as_ptr(), self.function.as_ptr());
            log(
                context,
                level as c_int,
                file,
                function,
                place.line as c_int,
                c"%s".as_ptr(),
                message.as_ptr(),
            );
        }
    }

    #[inline]
    fn trace(&self, place: Place, message: fmt::Arguments<'_>) {
        if let Some(context) = self.context
            && context.view().trace_level() & TRACE_CONNECTIONS != 0
        {
            trace(context, self.function, place, message);
        }
    }
}

#[cold]
fn trace(context: &Context, function: &'static CStr, place: Place, message: fmt::Arguments<'_>) {
    // SAFETY: constant after loading; see the assembly above.
    let Some(trace) = (unsafe { DROPLETS_TRACE }) else {
        let (file, line, function) = (place.file, place.line, function.to_string_lossy());
        let thread = sys::thread_id();
        eprintln!("trace: {thread}: [{TRACE_CONNECTIONS:x}] {file}:{function}:{line}: {message}");
        return;
    };
    let (file, message) = (c_string(place.file), c_string(&message.to_string()));
    // SAFETY: as for the log.
    unsafe {
        let (file, function) = (file.as_ptr(), function.as_ptr());
        let context = context.view().pointer_to_context();
        let (line, format) = (place.line as c_int, c"%s".as_ptr());
        trace(context, TRACE_CONNECTIONS, file, function, line, format, message.as_ptr());
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}
