//! Droplet's own functions, where the process has them: `dpl_log`, `dpl_trace` and `dpl_req_free`.
//!
//! Preloaded or linked in front of Droplet this library calls them, so that the program's log function and trace
//! level apply, and requests are freed with all that Droplet's setters added. Alone it has none of them.

use std::ffi::c_char;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_int, c_uint, c_void};

use super::layout::{ContextHead, RequestHead};

/// Type of `dpl_log`: context, level, file, function, line and a printf(3) format.
pub type LogFunction = unsafe extern "C" fn(
    *mut ContextHead,
    c_int,
    *const c_char,
    *const c_char,
    c_int,
    *const c_char,
    ...
) -> c_int;

/// Type of `dpl_trace`: context, kind of trace, file, function, line and a printf(3) format.
pub type TraceFunction =
    unsafe extern "C" fn(*mut ContextHead, c_uint, *const c_char, *const c_char, c_int, *const c_char, ...);

/// Type of `dpl_req_free`.
pub type FreeRequest = unsafe extern "C" fn(*mut RequestHead);

// Weak references, which stable Rust cannot express. The linker, static or dynamic, stores NULL in these words
// if nothing in the process defines the symbol.
std::arch::global_asm!(
    ".weakref droplet_conn_log_if_any, dpl_log",
    ".weakref droplet_conn_trace_if_any, dpl_trace",
    ".weakref droplet_conn_req_free_if_any, dpl_req_free",
    ".pushsection .data.rel.ro.droplet_conn, \"aw\"",
    ".balign 8",
    ".globl droplet_conn_weak_log",
    ".hidden droplet_conn_weak_log",
    "droplet_conn_weak_log: .quad droplet_conn_log_if_any",
    ".globl droplet_conn_weak_trace",
    ".hidden droplet_conn_weak_trace",
    "droplet_conn_weak_trace: .quad droplet_conn_trace_if_any",
    ".globl droplet_conn_weak_req_free",
    ".hidden droplet_conn_weak_req_free",
    "droplet_conn_weak_req_free: .quad droplet_conn_req_free_if_any",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "droplet_conn_weak_log"]
    static LINKED_LOG: Option<LogFunction>;
    #[link_name = "droplet_conn_weak_trace"]
    static LINKED_TRACE: Option<TraceFunction>;
    #[link_name = "droplet_conn_weak_req_free"]
    static LINKED_FREE_REQUEST: Option<FreeRequest>;
}

/// Functions that the linker did not see, because the program loaded Droplet by dlopen(3); NULL if there are none.
static LOADED_LOG: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static LOADED_TRACE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Looks for `dpl_log` and `dpl_trace` in the loaded object that contains `address`, unless they are known.
pub fn look_into_object_of(address: *const c_void) {
    // SAFETY: the linked functions are constants after loading; dladdr(3) accepts any address, and the name that it
    // gives is that of a loaded object, which dlopen(3) with RTLD_NOLOAD only finds; dlsym(3) gets what dlopen(3)
    // returned.
    unsafe {
        let mut object = MaybeUninit::<libc::Dl_info>::uninit();
        if LINKED_LOG.is_some() || libc::dladdr(address, object.as_mut_ptr()) == 0 {
            return;
        }
        let name = object.assume_init().dli_fname;
        let object = libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if object.is_null() {
            return;
        }
        let log = libc::dlsym(object, c"dpl_log".as_ptr());
        let trace = libc::dlsym(object, c"dpl_trace".as_ptr());
        // The backend of a context that this library made lies in this library, which has neither.
        if log.is_null() || trace.is_null() {
            libc::dlclose(object);
            return;
        }
        // The object stays open, so that the functions stay loaded.
        LOADED_LOG.store(log, Ordering::Relaxed);
        LOADED_TRACE.store(trace, Ordering::Relaxed);
    }
}

/// Returns Droplet's `dpl_log`, if the process has one.
pub fn log() -> Option<LogFunction> {
    let loaded = LOADED_LOG.load(Ordering::Relaxed);
    // SAFETY: a constant after loading; a loaded pointer is NULL or what dlsym(3) gave for a function of this type.
    unsafe { LINKED_LOG.or(mem::transmute::<*mut c_void, Option<LogFunction>>(loaded)) }
}

/// Returns Droplet's `dpl_trace`, if the process has one.
pub fn trace() -> Option<TraceFunction> {
    let loaded = LOADED_TRACE.load(Ordering::Relaxed);
    // SAFETY: as in `log`.
    unsafe { LINKED_TRACE.or(mem::transmute::<*mut c_void, Option<TraceFunction>>(loaded)) }
}

/// Returns Droplet's `dpl_req_free`, if the process has one.
pub fn free_request() -> Option<FreeRequest> {
    // SAFETY: a constant after loading.
    unsafe { LINKED_FREE_REQUEST }
}
