//! Droplet's unit `dict`: dictionaries with strings, dictionaries, vectors or pointers for values.

mod table;

use std::ffi::CStr;
use std::ptr;

use libc::{FILE, c_char, c_int, c_void};

use super::owned::{Owned, raw_or_null};
use super::value::dpl_value_t;
use crate::layout::{Dict, DictVar, Value};
use droplet_client::status::{Error, SUCCESS, code};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_status_t, guard, refuse};
use table::lowered;

/// `dpl_dict_t`.
pub type dpl_dict_t = Dict;
/// `dpl_dict_var_t`.
pub type dpl_dict_var_t = DictVar;

/// `dpl_dict_func_t`: anything but DPL_SUCCESS ends the walk.
pub type dpl_dict_func_t = Option<unsafe extern "C" fn(*mut dpl_dict_var_t, *mut c_void) -> dpl_status_t>;

/// Makes an empty dictionary.
///
/// @param n_buckets how many buckets its entries are spread over, more than 0
/// @return the dictionary, to be freed with dpl_dict_free(); NULL for any other number, or if memory is out
#[unsafe(no_mangle)]
pub extern "C" fn dpl_dict_new(n_buckets: c_int) -> *mut dpl_dict_t {
    const NAME: &CStr = c"dpl_dict_new";
    guard(NAME, ptr::null_mut(), || {
        let made = Dict::new(usize::try_from(n_buckets).unwrap_or(0));
        if let Err(Error::Invalid) = made {
            refuse(None, NAME, &format!("no dictionary has {n_buckets} buckets"));
        }
        raw_or_null(made)
    })
}

/// Frees a dictionary with its entries and their values; what pointers among them lead to stays.
///
/// @param dict the dictionary; NULL has no effect
///
/// # Safety
/// `dict` is NULL or a dictionary that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_free(dict: *mut dpl_dict_t) {
    // SAFETY: the caller's promise.
    guard(c"dpl_dict_free", (), || drop(unsafe { Owned::from_raw(dict) }))
}

/// Frees an entry with its value. It must be in no dictionary: see dpl_dict_remove().
///
/// @param var the entry; NULL has no effect
///
/// # Safety
/// `var` is NULL or an entry that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_var_free(var: *mut dpl_dict_var_t) {
    // SAFETY: the caller's promise.
    guard(c"dpl_dict_var_free", (), || drop(unsafe { Owned::from_raw(var) }))
}

/// The entry of a key.
///
/// @param dict the dictionary
/// @param key the key, matched to the letter
/// @return the entry, which stays the dictionary's; NULL if there is none, or for NULL
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_get(dict: *const dpl_dict_t, key: *const c_char) -> *mut dpl_dict_var_t {
    const NAME: &CStr = c"dpl_dict_get";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        unsafe { arguments(dict, key, NAME) }.map_or(ptr::null_mut(), |(dict, key)| dict.find(key))
    })
}

/// The entry of a key in small letters.
///
/// @param dict the dictionary, to which entries were added with `lowered`
/// @param key the key, in letters of any case
/// @param varp receives the entry, which stays the dictionary's; NULL only to see whether there is one.
///        Unchanged on error
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
        // SAFETY: the caller's promises.
        let Some((dict, key)) = (unsafe { arguments(dict, key, NAME) }) else {
            return Error::Invalid.status();
        };
        let found = dict.find(&lowered(key));
        if found.is_null() {
            return Error::NotFound.status();
        }
        // SAFETY: the caller's promise.
        if let Some(varp) = unsafe { varp.as_mut() } {
            *varp = found;
        }
        SUCCESS
    })
}

/// The string of a key.
///
/// @param dict the dictionary
/// @param key the key, matched to the letter
/// @return the string, which stays the dictionary's; NULL if there is none, if the value is no string, or
///         for NULL
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_get_value(dict: *const dpl_dict_t, key: *const c_char) -> *mut c_char {
    const NAME: &CStr = c"dpl_dict_get_value";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let found = unsafe { arguments(dict, key, NAME) }.and_then(|(dict, key)| dict.text(key));
        found.map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut())
    })
}

/// Calls a function for each entry, until one call returns something else than DPL_SUCCESS.
///
/// @param dict the dictionary
/// @param cb_func the function, which may remove the entry it is handed
/// @param cb_arg handed to it
/// @return what the last call returned; DPL_SUCCESS if there is no entry; DPL_EINVAL for NULL
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
        // SAFETY: the caller's promise.
        let Some((dict, function)) = (unsafe { dict.as_ref() }).zip(cb_func) else {
            refuse(None, NAME, "the dictionary or the function is NULL");
            return Error::Invalid.status();
        };
        // SAFETY: the caller's promise.
        let mut results = dict.vars().map(|var| unsafe { function(var, cb_arg) });
        results.find(|status| *status != SUCCESS).unwrap_or(SUCCESS)
    })
}

/// How many entries there are.
///
/// @param dict the dictionary, or NULL for none
///
/// # Safety
/// `dict` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_count(dict: *const dpl_dict_t) -> c_int {
    guard(c"dpl_dict_count", 0, || {
        // SAFETY: the caller's promise.
        unsafe { dict.as_ref() }.map_or(0, |dict| dict.vars().count() as c_int)
    })
}

/// Writes a dictionary to a file, for people to read.
///
/// @param dict the dictionary
/// @param f the file
/// @param level by how many spaces lines are indented
///
/// # Safety
/// `dict` is NULL or a dictionary; `f` is NULL or open for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_print(dict: *const dpl_dict_t, f: *mut FILE, level: c_int) {
    const NAME: &CStr = c"dpl_dict_print";
    guard(NAME, (), || {
        // SAFETY: the caller's promise.
        match unsafe { dict.as_ref() } {
            // SAFETY: the caller's promise.
            Some(dict) if !f.is_null() => unsafe { dict.print(f, level) },
            _ => refuse(None, NAME, "the dictionary or the file is NULL"),
        }
    })
}

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

/// Takes an entry out of a dictionary and frees it.
///
/// @param dict the dictionary
/// @param var an entry of it; any other is left alone, with a line in the log
///
/// # Safety
/// `dict` is NULL or a dictionary that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_remove(dict: *mut dpl_dict_t, var: *mut dpl_dict_var_t) {
    const NAME: &CStr = c"dpl_dict_remove";
    guard(NAME, (), || {
        // SAFETY: the caller's promise.
        if !unsafe { dict.as_ref() }.is_some_and(|dict| dict.remove(var)) {
            refuse(None, NAME, "the dictionary is NULL, or has no such entry");
        }
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

/// Copies a dictionary and all that it contains; of pointers only those themselves.
///
/// @param src the dictionary
/// @return its copy, to be freed with dpl_dict_free(); NULL for NULL, or if memory is out
///
/// # Safety
/// `src` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_dict_dup(src: *const dpl_dict_t) -> *mut dpl_dict_t {
    const NAME: &CStr = c"dpl_dict_dup";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        match unsafe { src.as_ref() } {
            Some(src) => raw_or_null(src.copy()),
            None => {
                refuse(None, NAME, "the dictionary is NULL");
                ptr::null_mut()
            }
        }
    })
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

/// A dictionary and a key that C must hand in.
///
/// # Safety
/// `dict` is NULL or a dictionary; `key` is NULL or a string. Both stay valid for `'a`.
unsafe fn arguments<'a>(
    dict: *const Dict,
    key: *const c_char,
    function: &'static CStr,
) -> Option<(&'a Dict, &'a CStr)> {
    // SAFETY: the caller's promises.
    let both = unsafe { dict.as_ref().zip(string(key)) };
    if both.is_none() {
        refuse(None, function, "the dictionary or the key is NULL");
    }
    both
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
