//! Messages to the program: to the function that it set for them with `dplx_set_log`; else through Droplet's
//! own `dpl_log` and `dpl_trace` where there are such, so that its log function and trace level apply; to
//! stderr otherwise, unless it is our own interface that is in use.

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_int, c_uint, c_void};

use super::context::{Context, ContextHead};
use super::{last_error, log_callback};
use droplet_client::log::{Level, Location, Log};
use droplet_client::os::sys;

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
    ".weakref droplet_conn_log_if_any, dpl_log",
    ".weakref droplet_conn_trace_if_any, dpl_trace",
    ".pushsection .data.rel.ro.droplet_conn, \"aw\"",
    ".balign 8",
    ".globl droplet_conn_weak_log",
    ".hidden droplet_conn_weak_log",
    "droplet_conn_weak_log: .quad droplet_conn_log_if_any",
    ".globl droplet_conn_weak_trace",
    ".hidden droplet_conn_weak_trace",
    "droplet_conn_weak_trace: .quad droplet_conn_trace_if_any",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "droplet_conn_weak_log"]
    static DROPLETS_LOG: Option<LogFunction>;
    #[link_name = "droplet_conn_weak_trace"]
    static DROPLETS_TRACE: Option<TraceFunction>;
}

/// Droplet's functions where the linker did not see them: a program may have loaded Droplet by dlopen(3).
static LOADED_LOG: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static LOADED_TRACE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Looks for Droplet's functions in the object that an address lies in, if there are none so far.
pub fn look_into_object_of(address: *const c_void) {
    // SAFETY: constants after loading; dladdr(3) takes any address; the name it gives is that of a loaded
    // object, which RTLD_NOLOAD finds and does not load, and dlsym(3) takes what that gave.
    unsafe {
        let mut object = MaybeUninit::<libc::Dl_info>::uninit();
        if DROPLETS_LOG.is_some() || libc::dladdr(address, object.as_mut_ptr()) == 0 {
            return;
        }
        let name = object.assume_init().dli_fname;
        let object = libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if object.is_null() {
            return;
        }
        let log = libc::dlsym(object, c"dpl_log".as_ptr());
        let trace = libc::dlsym(object, c"dpl_trace".as_ptr());
        // Contexts that this library made lead to itself.
        if log.is_null() || trace.is_null() {
            libc::dlclose(object);
            return;
        }
        // The object is not given back: what is called must stay.
        LOADED_LOG.store(log, Ordering::Relaxed);
        LOADED_TRACE.store(trace, Ordering::Relaxed);
    }
}

/// Droplet's `dpl_log`, if there is one.
fn droplets_log() -> Option<LogFunction> {
    let loaded = LOADED_LOG.load(Ordering::Relaxed);
    // SAFETY: a constant after loading, and what dlsym(3) gave for a function of this type, or NULL.
    unsafe { DROPLETS_LOG.or(mem::transmute::<*mut c_void, Option<LogFunction>>(loaded)) }
}

/// Droplet's `dpl_trace`, if there is one.
fn droplets_trace() -> Option<TraceFunction> {
    let loaded = LOADED_TRACE.load(Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { DROPLETS_TRACE.or(mem::transmute::<*mut c_void, Option<TraceFunction>>(loaded)) }
}

/// The log of one call.
#[derive(Clone, Copy)]
pub struct CallLog {
    /// The context it concerns, if that is known.
    pub context: Option<&'static Context>,
    /// The function that was called.
    pub function: &'static CStr,
    /// Whether what it logs is no failure of its own: it only came across it.
    pub is_in_passing: bool,
}

impl CallLog {
    /// Whether this is about our own interface, which prints nothing: whoever called has the text.
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
            log_callback.hear(context, level, &text);
        } else if self.is_quiet() {
            // There is dplx_last_error().
        } else if let Some(log) = droplets_log() {
            let (file, message, format) = (c_string(location.file), c_string(message), c"%s".as_ptr());
            let (file, function, line) = (file.as_ptr(), self.function.as_ptr(), location.line as c_int);
            // SAFETY: the signature is Droplet's; all strings outlive the call and "%s" takes the one given.
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
        sys::without_cancellation(|| self.deliver(level, location, &message.to_string()));
        // Afterwards, since the program's function may call us in turn.
        if level == Level::Error && !self.is_in_passing {
            last_error::note(message);
        }
    }

    #[inline]
    fn trace(&self, location: Location, message: fmt::Arguments<'_>) {
        if let Some(context) = self.context
            && context.view().trace_level() & TRACE_CONNECTIONS != 0
        {
            sys::without_cancellation(|| trace(context, self.function, location, message));
        }
    }
}

#[cold]
fn trace(context: &Context, function: &'static CStr, location: Location, message: fmt::Arguments<'_>) {
    let Some(trace) = droplets_trace() else {
        let (file, line, function) = (location.file, location.line, function.to_string_lossy());
        let thread = sys::thread_id();
        let kind = TRACE_CONNECTIONS;
        sys::print_error(
            format!("trace: {thread}: [{kind:x}] {file}:{function}:{line}: {message}\n").as_bytes(),
        );
        return;
    };
    let (file, message) = (c_string(location.file), c_string(&message.to_string()));
    // SAFETY: as for the log.
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
