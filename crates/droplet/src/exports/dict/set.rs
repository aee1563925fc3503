//! Functions that set entries of a dictionary, one at a time or all of another dictionary.

use std::ffi::CStr;

use libc::{c_char, c_int};

use super::{arguments, dpl_dict_t};
use crate::abi::dict::lowered;
use crate::abi::layout::{Dict, Value};
use crate::abi::owned::Owned;
use crate::exports::value::dpl_value_t;
use droplet_client::status::{Error, code};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_status_t, guard, refuse};

/// Sets the value of a key to a copy of a value.
///
/// @param dict the dictionary
/// @param key the key, which is copied
/// @param value the value, which the caller keeps
/// @param lowered 0 to keep the key as it is, else to set it in lower case
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `dict` is NULL or a dictionary that only the caller uses; `key` is NULL or a string; `value` is NULL or a
/// value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_add_value(
    dict: *mut dpl_dict_t,
    key: *const c_char,
    value: *mut dpl_value_t,
    lowered: c_int,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_dict_add_value";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `value` is NULL or a value (contract of this function).
        let Some(value) = (unsafe { value.as_ref() }) else {
            refuse(None, NAME, "the value is NULL");
            return Error::Invalid.status();
        };
        // SAFETY: `dict` is NULL or a dictionary that only the caller uses; `key` is NULL or a string;
        // `value` is NULL or a value (contract of this function).
        unsafe { set(dict, key, || value.copy(), lowered != 0, NAME) }
    })
}

/// Sets the value of a key to a string.
///
/// @param dict the dictionary
/// @param key the key, which is copied
/// @param string the string, which is copied
/// @param lowered 0 to keep the key as it is, else to set it in lower case
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `dict` is NULL or a dictionary that only the caller uses; `key` and `string` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_add(
    dict: *mut dpl_dict_t,
    key: *const c_char,
    string: *const c_char,
    lowered: c_int,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_dict_add";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `key` and `string` are NULL or strings (contract of this function).
        let Some(text) = (unsafe { self::string(string) }) else {
            refuse(None, NAME, "the string is NULL");
            return Error::Invalid.status();
        };
        // SAFETY: `dict` is NULL or a dictionary that only the caller uses; `key` and `string` are NULL or
        // strings (contract of this function).
        unsafe { set(dict, key, || Value::string(text.to_bytes()), lowered != 0, NAME) }
    })
}

/// Sets copies of all entries of another dictionary.
///
/// @param dst the dictionary
/// @param src the other one; NULL counts as empty
/// @return DPL_SUCCESS; DPL_FAILURE if `dst` is NULL; DPL_ENOMEM
///
/// # Safety
/// `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_copy(dst: *mut dpl_dict_t, src: *const dpl_dict_t) -> dpl_status_t {
    // SAFETY: `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary
    // (contract of this function).
    unsafe { set_all(dst, src, |key| Some(key), c"dpl_dict_copy") }
}

/// Sets copies of the entries whose key begins with a prefix. The prefix is removed from the key.
///
/// @param dst the dictionary
/// @param src the dictionary that entries are copied from; NULL counts as empty
/// @param prefix the prefix, compared exactly; NULL matches no key
/// @return as dpl_dict_copy()
///
/// # Safety
/// `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary; `prefix` is NULL
/// or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_filter_prefix(
    dst: *mut dpl_dict_t,
    src: *const dpl_dict_t,
    prefix: *const c_char,
) -> dpl_status_t {
    // SAFETY: `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary;
    // `prefix` is NULL or a string (contract of this function).
    unsafe {
        let prefix = string(prefix);
        set_all(dst, src, |key| without_prefix(key, prefix?), c"dpl_dict_filter_prefix")
    }
}

/// Sets copies of the entries whose key does not begin with a prefix.
///
/// @param dst the dictionary
/// @param src the dictionary that entries are copied from; NULL counts as empty
/// @param prefix the prefix, compared exactly; with NULL nothing is set
/// @return as dpl_dict_copy()
///
/// # Safety
/// As for [`dpl_dict_filter_prefix`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_filter_no_prefix(
    dst: *mut dpl_dict_t,
    src: *const dpl_dict_t,
    prefix: *const c_char,
) -> dpl_status_t {
    // SAFETY: `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary;
    // `prefix` is NULL or a string (contract of this function).
    unsafe {
        let prefix = string(prefix);
        let is_kept = |key: &CStr| prefix.is_some_and(|prefix| without_prefix(key, prefix).is_none());
        set_all(dst, src, |key| is_kept(key).then_some(key), c"dpl_dict_filter_no_prefix")
    }
}

/// Returns a key without a prefix. `None` if it does not begin with the prefix.
fn without_prefix<'a>(key: &'a CStr, prefix: &CStr) -> Option<&'a CStr> {
    let rest = key.to_bytes_with_nul().strip_prefix(prefix.to_bytes())?;
    CStr::from_bytes_with_nul(rest).ok()
}

/// Sets the value of a key.
///
/// # Safety
/// As for [`dpl_dict_add_value`].
unsafe fn set(
    dict: *mut Dict,
    key: *const c_char,
    value: impl FnOnce() -> Result<Owned<Value>, Error>,
    is_lowered: bool,
    function: &'static CStr,
) -> dpl_status_t {
    // SAFETY: `dict` is NULL or a dictionary that only the caller uses; `key` is NULL or a string; `value` is
    // NULL or a value (contract of this function).
    let Some((dict, key)) = (unsafe { arguments(dict, key, function) }) else {
        return Error::Invalid.status();
    };
    code(
        value()
            .and_then(|value| if is_lowered { dict.set(&lowered(key), value) } else { dict.set(key, value) }),
    )
}

/// Sets copies of another dictionary's entries under the keys that `rename` gives.
///
/// # Safety
/// As for [`dpl_dict_copy`].
unsafe fn set_all(
    dst: *mut Dict,
    src: *const Dict,
    rename: impl Fn(&CStr) -> Option<&CStr>,
    function: &'static CStr,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary
        // (contract of this function).
        let (dst, src) = unsafe { (dst.as_ref(), src.as_ref()) };
        let Some(dst) = dst else {
            refuse(None, function, "the dictionary is NULL");
            return Error::Failure.status();
        };
        code(src.map_or(Ok(()), |src| dst.set_all(src, rename)))
    })
}
