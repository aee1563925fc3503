//! `dpl_dict_t`, made and read by Droplet's own functions.

use std::ffi::{CStr, c_char};
use std::ptr::{self, NonNull};

use libc::c_int;

use super::droplet::{Dict, DictFunctions, dict_functions};
use droplet_client::status::{Error, SUCCESS};

/// A dictionary that nobody else has. Dropped, it is freed.
pub struct Dictionary {
    dict: NonNull<Dict>,
    functions: DictFunctions,
}

impl Dictionary {
    /// Makes an empty dictionary. `Unsupported` if there is no Droplet in the process.
    pub fn new(buckets: usize) -> Result<Dictionary, Error> {
        let functions = dict_functions().ok_or(Error::Unsupported)?;
        let buckets = c_int::try_from(buckets).map_err(|_| Error::OutOfMemory)?;
        // SAFETY: dpl_dict_new() accepts any number.
        let dict = unsafe { (functions.new)(buckets) };
        Ok(Dictionary { dict: NonNull::new(dict).ok_or(Error::OutOfMemory)?, functions })
    }

    /// Sets the value of a key, which is stored in lower case. An earlier value is replaced.
    pub fn set(&mut self, key: &CStr, value: &CStr) -> Result<(), Error> {
        // SAFETY: a dictionary and two strings, which are copied.
        let status = unsafe { (self.functions.add)(self.dict.as_ptr(), key.as_ptr(), value.as_ptr(), 1) };
        if status == SUCCESS { Ok(()) } else { Err(Error::OutOfMemory) }
    }

    /// Gives the dictionary to C, which frees it with `dpl_dict_free()`.
    pub fn into_raw(self) -> *mut Dict {
        let dict = self.dict.as_ptr();
        std::mem::forget(self);
        dict
    }
}

impl Drop for Dictionary {
    fn drop(&mut self) {
        // SAFETY: nobody else has the dictionary.
        unsafe { (self.functions.free)(self.dict.as_ptr()) };
    }
}

/// Returns the value of a key, a string that the dictionary owns; NULL if there is none.
///
/// # Safety
/// `dict` is NULL or a dictionary whose values are strings.
pub unsafe fn value(dict: *const Dict, key: &CStr) -> *mut c_char {
    match dict_functions() {
        // SAFETY: not NULL, so it is a dictionary (contract of this function); the key is a string.
        Some(functions) if !dict.is_null() => unsafe { (functions.value)(dict, key.as_ptr()) },
        _ => ptr::null_mut(),
    }
}
