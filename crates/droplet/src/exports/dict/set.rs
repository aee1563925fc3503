//! Functions that set entries of a dictionary, one or many.

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

/// Sets the value of a key to the copy of a value.
///
/// @param dict the dictionary
/// @param key the key, which is copied
/// @param value the value, which stays the caller's
/// @param lowered 0 to keep the key as it is, else for one in small letters
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
        // SAFETY: the caller's promises.
        let Some(value) = (unsafe { value.as_ref() }) else {
            refuse(None, NAME, "the value is NULL");
            return Error::Invalid.status();
        };
        // SAFETY: the caller's promises.
        unsafe { set(dict, key, || value.copy(), lowered != 0, NAME) }
    })
}

/// Sets the value of a key to a string.
///
/// @param dict the dictionary
/// @param key the key, which is copied
/// @param string the string, which is copied
/// @param lowered 0 to keep the key as it is, else for one in small letters
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
        // SAFETY: the caller's promise.
        let Some(text) = (unsafe { self::string(string) }) else {
            refuse(None, NAME, "the string is NULL");
            return Error::Invalid.status();
        };
        // SAFETY: the caller's promises.
        unsafe { set(dict, key, || Value::string(text.to_bytes()), lowered != 0, NAME) }
    })
}

/// Sets copies of all entries of another dictionary.
///
/// @param dst the dictionary
/// @param src the other one, or NULL for none
/// @return DPL_SUCCESS; DPL_FAILURE if `dst` is NULL; DPL_ENOMEM
///
/// # Safety
/// `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_copy(dst: *mut dpl_dict_t, src: *const dpl_dict_t) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe { set_all(dst, src, |key| Some(key), c"dpl_dict_copy") }
}

/// Sets copies of the entries whose key begins with a prefix, without it.
///
/// @param dst the dictionary
/// @param src where the entries come from, or NULL for none
/// @param prefix the prefix, matched to the letter; NULL matches nothing
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
    // SAFETY: the caller's promises.
    unsafe {
        let prefix = string(prefix);
        set_all(dst, src, |key| without_prefix(key, prefix?), c"dpl_dict_filter_prefix")
    }
}

/// Sets copies of the entries whose key does not begin with a prefix.
///
/// @param dst the dictionary
/// @param src where the entries come from, or NULL for none
/// @param prefix the prefix, matched to the letter; with NULL nothing is set
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
    // SAFETY: the caller's promises.
    unsafe {
        let prefix = string(prefix);
        let is_kept = |key: &CStr| prefix.is_some_and(|prefix| without_prefix(key, prefix).is_none());
        set_all(dst, src, |key| is_kept(key).then_some(key), c"dpl_dict_filter_no_prefix")
    }
}

/// The rest of a key that begins with a prefix.
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
    // SAFETY: the caller's promises.
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
        // SAFETY: the caller's promises.
        let (dst, src) = unsafe { (dst.as_ref(), src.as_ref()) };
        let Some(dst) = dst else {
            refuse(None, function, "the dictionary is NULL");
            return Error::Failure.status();
        };
        code(src.map_or(Ok(()), |src| dst.set_all(src, rename)))
    })
}
