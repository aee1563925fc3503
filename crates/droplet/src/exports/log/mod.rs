//! Droplet's unit `log`: the log and the trace of the library and of the program, and where they go.

mod iov;

use std::ffi::CStr;
use std::io::{self, Write};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_char, c_int, c_uint, c_void};

use crate::abi::context_fields::Fields;
use droplet_client::os::sys;
use droplet_client::status::{Error, SUCCESS};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_ctx_t, dpl_status_t, guard_aside};

/// Greatest size of a log line, with its NUL. Log functions of programs may have a buffer of this size.
const LINE_SIZE: usize = 2048;

/// `DPL_ERROR`.
const LEVEL_ERROR: c_int = 3;

/// `dpl_log_func_t`.
pub type dpl_log_func_t = Option<unsafe extern "C" fn(*mut dpl_ctx_t, c_int, *const c_char)>;

/// `dpl_trace_func_t`.
type TraceFunction =
    unsafe extern "C" fn(libc::pid_t, c_uint, *const c_char, *const c_char, c_int, *mut c_char);

// The functions that variadic.c calls. Their names are hidden; a name with #[no_mangle] would be exported.
std::arch::global_asm!(
    ".globl droplet_conn_log_text",
    ".hidden droplet_conn_log_text",
    concat!("droplet_conn_log_text: ", jump!()),
    ".globl droplet_conn_trace_text",
    ".hidden droplet_conn_trace_text",
    concat!("droplet_conn_trace_text: ", jump!()),
    sym log_text,
    sym trace_text,
);

/// The program's log function, or NULL for stderr.
static LOG_FUNCTION: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Sets the function that gets the log, for the whole process.
///
/// @param logfunc called with each line, without a newline; NULL to log to stderr
#[unsafe(no_mangle)]
pub extern "C" fn dpl_set_log_func(logfunc: dpl_log_func_t) {
    let function = logfunc.map_or(ptr::null_mut(), |function| function as *mut c_void);
    LOG_FUNCTION.store(function, Ordering::Release);
}

/// Logs the formatted message of `dpl_log`.
///
/// # Safety
/// `file` and `func` are NULL or strings, `text` is a string.
unsafe extern "C" fn log_text(
    ctx: *mut dpl_ctx_t,
    level: c_int,
    file: *const c_char,
    func: *const c_char,
    line: c_int,
    text: *const c_char,
) -> dpl_status_t {
    guard_aside(c"dpl_log", Error::Failure.status(), || {
        // SAFETY: `file` and `func` are NULL or strings, `text` is a string (contract of this function).
        let (file, func, text) = unsafe { (string(file), string(func), string(text)) };
        let mut buffer = [0; LINE_SIZE];
        let room = LINE_SIZE - 1;
        let mut rest = &mut buffer[..room];
        // An error means that the line was cut off, as documented.
        let _ = write_line(&mut rest, level, file.map(|file| (file, line)), func, text.unwrap_or_default());
        let written = room - rest.len();
        deliver(ctx, level, &mut buffer[..=written]);
        SUCCESS
    })
}

/// Writes a log line without a line end.
fn write_line(
    to: &mut impl Write,
    level: c_int,
    place: Option<(&CStr, c_int)>,
    function: Option<&CStr>,
    text: &CStr,
) -> io::Result<()> {
    if let Some(word) =
        usize::try_from(level).ok().and_then(|at| ["DEBUG", "info", "warning", "error"].get(at))
    {
        write!(to, "{word}: ")?;
    }
    if let Some((file, line)) = place {
        to.write_all(file.to_bytes())?;
        write!(to, ":{line}: ")?;
    }
    if let Some(function) = function {
        to.write_all(function.to_bytes())?;
        to.write_all(b": ")?;
    }
    to.write_all(text.to_bytes())
}

/// Passes a line to the program's log function, or writes it to stderr. The last byte of `line` is 0; stderr gets a
/// newline instead.
fn deliver(ctx: *mut dpl_ctx_t, level: c_int, line: &mut [u8]) {
    // SAFETY: LOG_FUNCTION is NULL or a function of this type (dpl_set_log_func).
    let function: dpl_log_func_t = unsafe { mem::transmute(LOG_FUNCTION.load(Ordering::Acquire)) };
    match function {
        // SAFETY: the program's log function accepts any context, and the line ends with a NUL.
        Some(function) => unsafe { function(ctx, level, line.as_ptr().cast()) },
        None => {
            if let Some(end) = line.last_mut() {
                *end = b'\n';
            }
            sys::print_error(line);
        }
    }
}

/// Traces the formatted message of `dpl_trace`.
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `file` and `func` are NULL or strings; `text` is a string that may be
/// written to.
unsafe extern "C" fn trace_text(
    ctx: *mut dpl_ctx_t,
    level: c_uint,
    file: *const c_char,
    func: *const c_char,
    line: c_int,
    text: *mut c_char,
) {
    guard_aside(c"dpl_trace", (), || {
        let thread = sys::thread_id();
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
        let function = unsafe { Fields::of(ctx) }.map_or(ptr::null_mut(), |fields| fields.trace_func());
        // SAFETY: `trace_func` is NULL or a function of this type, which the program has set.
        if let Some(function) = unsafe { mem::transmute::<*mut c_void, Option<TraceFunction>>(function) } {
            // SAFETY: `file` and `func` are NULL or strings, `text` is one that may be written to (contract
            // of this function).
            unsafe { function(thread, level, file, func, line, text) };
            return;
        }
        // SAFETY: `file` and `func` are NULL or strings, `text` is one that may be written to (contract of
        // this function).
        let (file, func, text) = unsafe { (string(file), string(func), string(text)) };
        let [file, func, text] = [file, func, text].map(|it| it.unwrap_or(c"(null)").to_string_lossy());
        sys::print_error(format!("trace: {thread}: [{level:x}] {file}:{func}:{line}: {text}\n").as_bytes());
    })
}

/// Logs the errors in OpenSSL's queue of this thread, one a line, and clears the queue.
///
/// @param ctx passed to the log function; may be NULL
/// @param file the caller's file
/// @param func the caller's name
/// @param line the caller's line
/// @param str the operation that failed
///
/// # Safety
/// `file`, `func` and `str` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_ssl_perror(
    ctx: *mut dpl_ctx_t,
    file: *const c_char,
    func: *const c_char,
    line: c_int,
    str: *const c_char,
) {
    guard_aside(c"dpl_ssl_perror", (), || {
        // SAFETY: `file`, `func` and `str` are NULL or strings (contract of this function).
        let operation = unsafe { string(str) }.unwrap_or_default().to_string_lossy();
        for error in openssl::error::ErrorStack::get().errors() {
            let text = std::ffi::CString::new(format!("{operation} failed with {error}")).unwrap_or_default();
            // SAFETY: `file`, `func` and `str` are NULL or strings (contract of this function).
            unsafe { log_text(ctx, LEVEL_ERROR, file, func, line, text.as_ptr()) };
        }
    })
}
