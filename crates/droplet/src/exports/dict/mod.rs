//! Droplet's unit `dict`: dictionaries. A value is a string, a dictionary, a vector or a pointer.

mod set;

use std::ffi::CStr;
use std::ptr;

use libc::{FILE, c_char, c_int, c_void};

use crate::abi::dict::lowered;
use crate::abi::layout::{Dict, DictVar};
use crate::abi::owned::{Owned, raw_or_null};
use droplet_client::status::{Error, SUCCESS};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_status_t, guard, refuse};

/// `dpl_dict_t`.
pub type dpl_dict_t = Dict;
/// `dpl_dict_var_t`.
pub type dpl_dict_var_t = DictVar;

/// `dpl_dict_func_t`: a result other than DPL_SUCCESS ends the iteration.
pub type dpl_dict_func_t = Option<unsafe extern "C" fn(*mut dpl_dict_var_t, *mut c_void) -> dpl_status_t>;

/// Makes an empty dictionary.
///
/// @param n_buckets the number of buckets that entries are spread over, more than 0
/// @return the dictionary, to be freed with dpl_dict_free(); NULL for another number, or if memory is out
#[unsafe(no_mangle)]
pub extern "C" fn dpl_dict_new(n_buckets: c_int) -> *mut dpl_dict_t {
    const NAME: &CStr = c"dpl_dict_new";
    guard(NAME, ptr::null_mut(), || {
        let made = Dict::new(usize::try_from(n_buckets).unwrap_or(0));
        if let Err(Error::Invalid) = made {
            refuse(None, NAME, &format!("invalid number of buckets ({n_buckets})"));
        }
        raw_or_null(made)
    })
}

/// Frees a dictionary with its entries and their values. What a pointer among them points to is not freed.
///
/// @param dict the dictionary; NULL has no effect
///
/// # Safety
/// `dict` is NULL or a dictionary that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_free(dict: *mut dpl_dict_t) {
    // SAFETY: `dict` is NULL or a dictionary that is not used any more (contract of this function).
    guard(c"dpl_dict_free", (), || drop(unsafe { Owned::from_raw(dict) }))
}

/// Frees an entry with its value. It must not be in a dictionary: dpl_dict_remove() is for those.
///
/// @param var the entry; NULL has no effect
///
/// # Safety
/// `var` is NULL or an entry that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_var_free(var: *mut dpl_dict_var_t) {
    // SAFETY: `var` is NULL or an entry that is not used any more (contract of this function).
    guard(c"dpl_dict_var_free", (), || drop(unsafe { Owned::from_raw(var) }))
}

/// Returns the entry of a key.
///
/// @param dict the dictionary
/// @param key the key, compared exactly
/// @return the entry, which the dictionary owns; NULL if there is none, or for NULL
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_get(dict: *const dpl_dict_t, key: *const c_char) -> *mut dpl_dict_var_t {
    const NAME: &CStr = c"dpl_dict_get";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `dict` is NULL or a dictionary; `key` is NULL or a string (contract of this function).
        unsafe { arguments(dict, key, NAME) }.map_or(ptr::null_mut(), |(dict, key)| dict.find(key))
    })
}

/// Returns the entry of a key in lower case.
///
/// @param dict the dictionary, whose entries were added with `lowered`
/// @param key the key, in upper or lower case
/// @param varp receives the entry, which the dictionary owns; may be NULL. Unchanged on error
/// @return DPL_SUCCESS; DPL_ENOENT if there is none; DPL_EINVAL for NULL
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string; `varp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_get_lowered(
    dict: *const dpl_dict_t,
    key: *const c_char,
    varp: *mut *mut dpl_dict_var_t,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_dict_get_lowered";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `dict` is NULL or a dictionary; `key` is NULL or a string (contract of this function).
        let Some((dict, key)) = (unsafe { arguments(dict, key, NAME) }) else {
            return Error::Invalid.status();
        };
        let found = dict.find(&lowered(key));
        if found.is_null() {
            return Error::NotFound.status();
        }
        // SAFETY: `key` is NULL or a string; `varp` is NULL or writable (contract of this function).
        if let Some(varp) = unsafe { varp.as_mut() } {
            *varp = found;
        }
        SUCCESS
    })
}

/// Returns the string of a key.
///
/// @param dict the dictionary
/// @param key the key, compared exactly
/// @return the string, which the dictionary owns; NULL if there is none, if the value is not a string, or for
///         NULL
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_get_value(dict: *const dpl_dict_t, key: *const c_char) -> *mut c_char {
    const NAME: &CStr = c"dpl_dict_get_value";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `dict` is NULL or a dictionary; `key` is NULL or a string (contract of this function).
        let found = unsafe { arguments(dict, key, NAME) }.and_then(|(dict, key)| dict.text(key));
        found.map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut())
    })
}

/// Calls a function for each entry, until a call returns something other than DPL_SUCCESS.
///
/// @param dict the dictionary
/// @param cb_func the function, which may remove the entry that it is called with
/// @param cb_arg passed to the function
/// @return the result of the last call; DPL_SUCCESS if there is no entry; DPL_EINVAL for NULL
///
/// # Safety
/// `dict` is NULL or a dictionary that no other thread changes; `cb_func` is NULL or a function that takes
/// `cb_arg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_iterate(
    dict: *const dpl_dict_t,
    cb_func: dpl_dict_func_t,
    cb_arg: *mut c_void,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_dict_iterate";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `dict` is NULL or a dictionary that no other thread changes; `cb_func` is NULL or a
        // function that takes `cb_arg` (contract of this function).
        let Some((dict, function)) = (unsafe { dict.as_ref() }).zip(cb_func) else {
            refuse(None, NAME, "the dictionary or the function is NULL");
            return Error::Invalid.status();
        };
        // SAFETY: `dict` is NULL or a dictionary that no other thread changes; `cb_func` is NULL or a
        // function that takes `cb_arg` (contract of this function).
        let mut results = dict.vars().map(|var| unsafe { function(var, cb_arg) });
        results.find(|status| *status != SUCCESS).unwrap_or(SUCCESS)
    })
}

/// Returns the number of entries.
///
/// @param dict the dictionary; NULL counts as empty
///
/// # Safety
/// `dict` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_count(dict: *const dpl_dict_t) -> c_int {
    guard(c"dpl_dict_count", 0, || {
        // SAFETY: `dict` is NULL or a dictionary (contract of this function).
        unsafe { dict.as_ref() }.map_or(0, |dict| dict.vars().count() as c_int)
    })
}

/// Writes a dictionary to a file, for people to read.
///
/// @param dict the dictionary
/// @param f the file
/// @param level the number of spaces that lines are indented by
///
/// # Safety
/// `dict` is NULL or a dictionary; `f` is NULL or open for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_print(dict: *const dpl_dict_t, f: *mut FILE, level: c_int) {
    const NAME: &CStr = c"dpl_dict_print";
    guard(NAME, (), || {
        // SAFETY: `dict` is NULL or a dictionary (contract of this function).
        match unsafe { dict.as_ref() } {
            // SAFETY: `dict` is NULL or a dictionary; `f` is NULL or open for writing (contract of this
            // function).
            Some(dict) if !f.is_null() => unsafe { dict.print(f, level) },
            _ => refuse(None, NAME, "the dictionary or the file is NULL"),
        }
    })
}

/// Removes an entry from a dictionary and frees it.
///
/// @param dict the dictionary
/// @param var an entry of the dictionary; any other is left alone, with a line in the log
///
/// # Safety
/// `dict` is NULL or a dictionary that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_remove(dict: *mut dpl_dict_t, var: *mut dpl_dict_var_t) {
    const NAME: &CStr = c"dpl_dict_remove";
    guard(NAME, (), || {
        // SAFETY: `dict` is NULL or a dictionary that only the caller uses (contract of this function).
        if !unsafe { dict.as_ref() }.is_some_and(|dict| dict.remove(var)) {
            refuse(None, NAME, "the dictionary is NULL, or has no such entry");
        }
    })
}

/// Copies a dictionary and all that it contains. A pointer is copied, but not what it points to.
///
/// @param src the dictionary
/// @return the copy, to be freed with dpl_dict_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `src` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_dup(src: *const dpl_dict_t) -> *mut dpl_dict_t {
    const NAME: &CStr = c"dpl_dict_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `src` is NULL or a dictionary (contract of this function).
        match unsafe { src.as_ref() } {
            Some(src) => raw_or_null(src.copy()),
            None => {
                refuse(None, NAME, "the dictionary is NULL");
                ptr::null_mut()
            }
        }
    })
}

/// Returns the dictionary and the key of a call. `None`, with a line in the log, if one of them is NULL.
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string. Both stay valid for `'a`.
unsafe fn arguments<'a>(
    dict: *const Dict,
    key: *const c_char,
    function: &'static CStr,
) -> Option<(&'a Dict, &'a CStr)> {
    // SAFETY: `dict` is NULL or a dictionary; `key` is NULL or a string. Both stay valid for `'a` (contract
    // of this function).
    let both = unsafe { dict.as_ref().zip(string(key)) };
    if both.is_none() {
        refuse(None, function, "the dictionary or the key is NULL");
    }
    both
}
