//! Droplet's own functions, where the process has them: its log, requests and dictionaries.
//!
//! Preloaded or linked in front of Droplet this library calls them, so that the program's log function and trace
//! level apply, requests are freed with all that Droplet's setters added, and Droplet can read and free the
//! dictionaries that hold the fields of a reply. `libdroplet.so.0` has functions of its own by these names. Alone this
//! library has none of them.

use std::ffi::{CStr, c_char};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_int, c_uint, c_void};

use super::layout::{ContextHead, RequestHead};

/// A `dpl_dict_t`, which only Droplet's functions look into.
#[repr(C)]
pub struct Dict {
    _opaque: [u8; 0],
}

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

/// Functions on dictionaries.
#[derive(Clone, Copy)]
pub struct DictFunctions {
    /// `dpl_dict_new`: number of buckets.
    pub new: NewDict,
    /// `dpl_dict_add`: dictionary, key, value, and whether the key is stored in lower case.
    pub add: AddToDict,
    /// `dpl_dict_free`.
    pub free: FreeDict,
    /// `dpl_dict_get_value`: dictionary and key.
    pub value: ValueInDict,
}

type NewDict = unsafe extern "C" fn(c_int) -> *mut Dict;
type AddToDict = unsafe extern "C" fn(*mut Dict, *const c_char, *const c_char, c_int) -> c_int;
type FreeDict = unsafe extern "C" fn(*mut Dict);
type ValueInDict = unsafe extern "C" fn(*const Dict, *const c_char) -> *mut c_char;

type Function = unsafe extern "C" fn();

/// Number of functions in [`NAMES`].
const COUNT: usize = 7;

/// Names of the functions, in the order of `droplet_conn_weak`.
const NAMES: [&CStr; COUNT] = [
    c"dpl_log",
    c"dpl_trace",
    c"dpl_req_free",
    c"dpl_dict_new",
    c"dpl_dict_add",
    c"dpl_dict_free",
    c"dpl_dict_get_value",
];
const LOG: usize = 0;
const TRACE: usize = 1;
const FREE_REQUEST: usize = 2;
const FIRST_OF_DICT: usize = 3;

// Weak references, which stable Rust cannot express. The linker, static or dynamic, stores NULL in these words
// if nothing in the process defines the symbol.
std::arch::global_asm!(
    ".weakref droplet_conn_log_if_any, dpl_log",
    ".weakref droplet_conn_trace_if_any, dpl_trace",
    ".weakref droplet_conn_req_free_if_any, dpl_req_free",
    ".weakref droplet_conn_dict_new_if_any, dpl_dict_new",
    ".weakref droplet_conn_dict_add_if_any, dpl_dict_add",
    ".weakref droplet_conn_dict_free_if_any, dpl_dict_free",
    ".weakref droplet_conn_dict_get_value_if_any, dpl_dict_get_value",
    ".pushsection .data.rel.ro.droplet_conn, \"aw\"",
    ".balign 8",
    ".globl droplet_conn_weak",
    ".hidden droplet_conn_weak",
    "droplet_conn_weak:",
    ".quad droplet_conn_log_if_any",
    ".quad droplet_conn_trace_if_any",
    ".quad droplet_conn_req_free_if_any",
    ".quad droplet_conn_dict_new_if_any",
    ".quad droplet_conn_dict_add_if_any",
    ".quad droplet_conn_dict_free_if_any",
    ".quad droplet_conn_dict_get_value_if_any",
    ".weakref droplet_conn_own_log_if_any, droplet_conn_log",
    ".weakref droplet_conn_own_trace_if_any, droplet_conn_trace",
    ".globl droplet_conn_weak_own",
    ".hidden droplet_conn_weak_own",
    "droplet_conn_weak_own:",
    ".quad droplet_conn_own_log_if_any",
    ".quad droplet_conn_own_trace_if_any",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "droplet_conn_weak"]
    static LINKED: [Option<Function>; COUNT];
    /// `dpl_log` and `dpl_trace` of `libdroplet.so.0` itself, by the names that `variadic.c` defines. The names of Droplet
    /// lead to placeholders within that library (crates/libdroplet).
    #[link_name = "droplet_conn_weak_own"]
    static OWN: [Option<Function>; 2];
}

/// Functions that the linker did not see, because the program loaded Droplet by dlopen(3); NULL if there are none.
static LOADED: [AtomicPtr<c_void>; COUNT] = [const { AtomicPtr::new(ptr::null_mut()) }; COUNT];

/// The loaded object that has them, as dlopen(3) returned it; NULL if there is none.
static OBJECT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Looks for Droplet's functions in the loaded object that contains `address`, unless they are known.
pub fn look_into_object_of(address: *const c_void) {
    // SAFETY: the linked functions are constants after loading; dladdr(3) accepts any address, and the name that it
    // gives is that of a loaded object, which dlopen(3) with RTLD_NOLOAD only finds; dlsym(3) gets what dlopen(3)
    // returned.
    unsafe {
        let mut object = MaybeUninit::<libc::Dl_info>::uninit();
        let is_known = linked(LOG).is_some() || !OBJECT.load(Ordering::Relaxed).is_null();
        if is_known || libc::dladdr(address, object.as_mut_ptr()) == 0 {
            return;
        }
        let name = object.assume_init().dli_fname;
        let object = libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if object.is_null() {
            return;
        }
        let found = NAMES.map(|name| libc::dlsym(object, name.as_ptr()));
        // The backend of a context that this library made lies in this library, which has neither.
        if found[LOG].is_null() || found[TRACE].is_null() {
            libc::dlclose(object);
            return;
        }
        // The object stays open, so that the functions stay loaded.
        for (loaded, found) in LOADED.iter().zip(found) {
            loaded.store(found, Ordering::Relaxed);
        }
        OBJECT.store(object, Ordering::Relaxed);
    }
}

/// Returns whether this address lies in the program or in a library, as constants do. Unlike dladdr(3) it knows static
/// programs too.
pub fn is_in_a_loaded_object(address: *const c_void) -> bool {
    unsafe extern "C" fn contains(
        object: *mut libc::dl_phdr_info,
        _size: usize,
        address: *mut c_void,
    ) -> c_int {
        // SAFETY: dl_iterate_phdr(3) passes an object that stays loaded during this call, with its program headers.
        let (base, headers) = unsafe {
            let object = &*object;
            (object.dlpi_addr, slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
        };
        let offset = (address as u64).wrapping_sub(base);
        let mut loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        loaded.any(|header| offset.wrapping_sub(header.p_vaddr) < header.p_memsz).into()
    }
    // SAFETY: `contains` has the type of the callback, and takes the address as a number only.
    unsafe { libc::dl_iterate_phdr(Some(contains), address.cast_mut()) != 0 }
}

/// Returns a function that the linker has found.
fn linked(which: usize) -> Option<Function> {
    // SAFETY: both are constants after loading.
    let (own, linked) = unsafe { (OWN.get(which).copied().flatten(), LINKED[which]) };
    own.or(linked)
}

/// Returns a function that the linker has found, or else one of the object that the program loaded.
fn function(which: usize) -> Option<Function> {
    let loaded = LOADED[which].load(Ordering::Relaxed);
    // SAFETY: a loaded pointer is NULL or what dlsym(3) gave for a function.
    linked(which).or(unsafe { mem::transmute::<*mut c_void, Option<Function>>(loaded) })
}

/// Returns Droplet's `dpl_log`, if the process has one.
pub fn log() -> Option<LogFunction> {
    // SAFETY: `dpl_log` has this type.
    unsafe { mem::transmute(function(LOG)) }
}

/// Returns Droplet's `dpl_trace`, if the process has one.
pub fn trace() -> Option<TraceFunction> {
    // SAFETY: `dpl_trace` has this type.
    unsafe { mem::transmute(function(TRACE)) }
}

/// Returns Droplet's `dpl_req_free`, if the process has one.
pub fn free_request() -> Option<FreeRequest> {
    // SAFETY: `dpl_req_free` has this type.
    unsafe { mem::transmute(linked(FREE_REQUEST)) }
}

/// Returns Droplet's functions on dictionaries, if the process has them.
pub fn dict_functions() -> Option<DictFunctions> {
    let at = |place: usize| function(FIRST_OF_DICT + place);
    let (new, add, free, value) = (at(0)?, at(1)?, at(2)?, at(3)?);
    // SAFETY: the four functions have these types.
    unsafe {
        Some(DictFunctions {
            new: mem::transmute::<Function, NewDict>(new),
            add: mem::transmute::<Function, AddToDict>(add),
            free: mem::transmute::<Function, FreeDict>(free),
            value: mem::transmute::<Function, ValueInDict>(value),
        })
    }
}

/// Returns the definition of a function that stands behind this library's in the order of symbols, or that the loaded
/// Droplet has; NULL if there is none.
pub fn next_definition(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a string, and the object is one that dlopen(3) returned.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
        let object = OBJECT.load(Ordering::Relaxed);
        if next.is_null() && !object.is_null() { libc::dlsym(object, name.as_ptr()) } else { next }
    }
}
