//! Droplet's unit `vec`: vectors of values.

use std::ffi::CStr;
use std::ptr;

use libc::{FILE, c_int, c_void};

use super::value::dpl_value_t;
use crate::abi::layout::{Value, Vector};
use crate::abi::owned::{Owned, raw_or_null};
use droplet_client::status::{Error, code};
use droplet_conn::exports::{dpl_status_t, guard, refuse};

/// `dpl_vec_t`.
pub type dpl_vec_t = Vector;

/// `dpl_value_cmp_func_t`: compares two items. Each argument is a `dpl_value_t **`.
pub type dpl_value_cmp_func_t = Option<unsafe extern "C" fn(*const c_void, *const c_void) -> c_int>;

/// Makes an empty vector.
///
/// @param init_size the number of items that it has room for at first, more than 0
/// @param incr_size the number of items that it grows by; 0 or less for half its size
/// @return the vector, to be freed with dpl_vec_free(); NULL for another `init_size`, or if memory is out
#[unsafe(no_mangle)]
pub extern "C" fn dpl_vec_new(init_size: c_int, incr_size: c_int) -> *mut dpl_vec_t {
    const NAME: &CStr = c"dpl_vec_new";
    guard(NAME, ptr::null_mut(), || {
        if init_size <= 0 {
            refuse(None, NAME, &format!("invalid init_size ({init_size})"));
            return ptr::null_mut();
        }
        raw_or_null(Vector::new(init_size, incr_size))
    })
}

/// Frees a vector and its values. What a pointer among them points to is not freed.
///
/// @param vec the vector; NULL has no effect
///
/// # Safety
/// `vec` is NULL or a vector that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_free(vec: *mut dpl_vec_t) {
    // SAFETY: `vec` is NULL or a vector that is not used any more (contract of this function).
    guard(c"dpl_vec_free", (), || drop(unsafe { Owned::from_raw(vec) }))
}

/// Adds a copy of a value.
///
/// @param vec the vector
/// @param value the value, which the caller keeps
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `vec` is NULL or a vector that only the caller uses; `value` is NULL or a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_add_value(vec: *mut dpl_vec_t, value: *mut dpl_value_t) -> dpl_status_t {
    const NAME: &CStr = c"dpl_vec_add_value";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `vec` is NULL or a vector that only the caller uses; `value` is NULL or a value (contract
        // of this function).
        let (Some(vec), Some(value)) = (unsafe { (vec.as_mut(), value.as_ref()) }) else {
            refuse(None, NAME, "the vector or the value is NULL");
            return Error::Invalid.status();
        };
        code(value.copy().and_then(|copy| vec.push(copy)))
    })
}

/// Adds a pointer of the program's, which dpl_vec_get() returns.
///
/// @param vec the vector
/// @param item the pointer, which is not dereferenced
/// @return as dpl_vec_add_value()
///
/// # Safety
/// `vec` is NULL or a vector that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_add(vec: *mut dpl_vec_t, item: *mut c_void) -> dpl_status_t {
    const NAME: &CStr = c"dpl_vec_add";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `vec` is NULL or a vector that only the caller uses (contract of this function).
        let Some(vec) = (unsafe { vec.as_mut() }) else {
            refuse(None, NAME, "the vector is NULL");
            return Error::Invalid.status();
        };
        code(Value::pointer(item).and_then(|value| vec.push(value)))
    })
}

/// Returns a pointer of the program's.
///
/// @param vec the vector
/// @param i the number of the item, from 0
/// @return the pointer; NULL if there is no such item, if it is a value of another type, or for NULL
///
/// # Safety
/// `vec` is NULL or a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_get(vec: *mut dpl_vec_t, i: c_int) -> *mut c_void {
    guard(c"dpl_vec_get", ptr::null_mut(), || {
        // SAFETY: `vec` is NULL or a vector (contract of this function); each item is NULL or a value.
        let found = unsafe {
            let vec = vec.as_ref().zip(usize::try_from(i).ok());
            vec.and_then(|(vec, number)| vec.items().get(number)?.as_ref())
        };
        found.and_then(Value::as_pointer).unwrap_or(ptr::null_mut())
    })
}

/// Writes a vector to a file, for people to read.
///
/// @param vec the vector
/// @param f the file
/// @param level the number of spaces that lines are indented by
///
/// # Safety
/// `vec` is NULL or a vector; `f` is NULL or open for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_print(vec: *mut dpl_vec_t, f: *mut FILE, level: c_int) {
    const NAME: &CStr = c"dpl_vec_print";
    guard(NAME, (), || {
        // SAFETY: `vec` is NULL or a vector (contract of this function).
        match unsafe { vec.as_ref() } {
            // SAFETY: `vec` is NULL or a vector; `f` is NULL or open for writing (contract of this function).
            Some(vec) if !f.is_null() => unsafe { vec.print(f, level) },
            _ => refuse(None, NAME, "the vector or the file is NULL"),
        }
    })
}

/// Copies a vector and all that it contains. A pointer is copied, but not what it points to.
///
/// @param vec the vector
/// @return the copy, to be freed with dpl_vec_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `vec` is NULL or a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_dup(vec: *mut dpl_vec_t) -> *mut dpl_vec_t {
    const NAME: &CStr = c"dpl_vec_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `vec` is NULL or a vector (contract of this function).
        match unsafe { vec.as_ref() } {
            Some(vec) => raw_or_null(vec.copy()),
            None => {
                refuse(None, NAME, "the vector is NULL");
                ptr::null_mut()
            }
        }
    })
}

/// Sorts a vector as qsort(3) does.
///
/// @param vec the vector
/// @param cmp_func compares two items: its arguments are pointers to them, each a `dpl_value_t **`, and its result
///        is less than, equal to or greater than 0
///
/// # Safety
/// `vec` is NULL or a vector that only the caller uses; `cmp_func` is NULL or a function that orders its
/// items.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_vec_sort(vec: *mut dpl_vec_t, cmp_func: dpl_value_cmp_func_t) {
    const NAME: &CStr = c"dpl_vec_sort";
    guard(NAME, (), || {
        // SAFETY: `vec` is NULL or a vector that only the caller uses; `cmp_func` is NULL or a function that
        // orders its items (contract of this function).
        let Some(vec) = (unsafe { vec.as_mut() }).filter(|_| cmp_func.is_some()) else {
            refuse(None, NAME, "the vector or the function is NULL");
            return;
        };
        let (items, count) = (vec.items, vec.items().len());
        if count > 1 {
            // SAFETY: the array has `count` items, and the function orders them (contract of this function).
            unsafe { libc::qsort(items.cast(), count, size_of::<*mut Value>(), cmp_func) };
        }
    })
}
