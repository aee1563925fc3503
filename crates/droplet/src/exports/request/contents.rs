//! Setters of resources below the base path, behaviors, data, ranges, conditions and metadata.

use std::ffi::CString;

use libc::{c_char, c_int, c_uint};

use super::{Request as _, dpl_condition_t, set, try_set};
use crate::abi::layout::Value;
use crate::exports::dict::dpl_dict_t;
use crate::http::request::{below, resource_below};
use droplet_conn::abi::layout::{Range, RequestHead};
use droplet_conn::abi::memory::{replace, string};
use droplet_conn::exports::{dpl_req_t, dpl_status_t};

/// Sets the resource, a path below the context's `base_path`. "", NULL and `/` mean the base path itself, but not `/`
/// if the context has `preserve_root_path`.
///
/// @param req the request
/// @param resource the resource, not percent-encoded
/// @return DPL_SUCCESS; DPL_EINVAL if the request is NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `resource` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_resource(req: *mut dpl_req_t, resource: *const c_char) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `resource` is NULL or a string (contract
    // of this function).
    unsafe {
        let resource = string(resource).unwrap_or_default().to_bytes();
        let change = |req: &mut RequestHead, resource: &[u8]| {
            let keeps_root = req.fields().is_some_and(|fields| fields.preserves_root_path());
            let resource = resource_below(&req.base_path(), resource, keeps_root);
            replace(&mut req.resource, &owned(resource))
        };
        try_set(req, Some(resource), change, c"dpl_req_set_resource")
    }
}

/// Sets the resource to copy from, a path below the context's `base_path`.
///
/// @param req the request
/// @param src_resource the resource
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// As for [`dpl_req_set_src_resource_ext`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_src_resource(
    req: *mut dpl_req_t,
    src_resource: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `src_resource` is NULL or a string
    // (contract of this function).
    unsafe { dpl_req_set_src_resource_ext(req, src_resource, 1) }
}

/// Sets the resource to copy from.
///
/// @param req the request
/// @param src_resource the resource
/// @param add_base_path 0 to take it as it is, else it is a path below the context's `base_path`
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `src_resource` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_src_resource_ext(
    req: *mut dpl_req_t,
    src_resource: *const c_char,
    add_base_path: c_int,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `src_resource` is NULL or a string
    // (contract of this function).
    unsafe {
        let resource = string(src_resource).map(|text| text.to_bytes());
        let change = |req: &mut RequestHead, resource: &[u8]| {
            let base = if add_base_path == 0 { b"/".to_vec() } else { req.base_path() };
            replace(&mut req.src_resource, &owned(below(&base, resource)))
        };
        try_set(req, resource, change, c"dpl_req_set_src_resource_ext")
    }
}

/// Adds a text to the subresource. A semicolon separates it from the subresource that is set already.
///
/// @param req the request
/// @param subresource the text
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `subresource` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_add_subresource(
    req: *mut dpl_req_t,
    subresource: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `subresource` is NULL or a string
    // (contract of this function); a request's strings end with a NUL.
    unsafe {
        let added = string(subresource).map(|text| text.to_bytes());
        let change = |req: &mut RequestHead, added: &[u8]| {
            let all = match string(req.subresource) {
                Some(present) => [present.to_bytes(), b";", added].concat(),
                None => added.to_vec(),
            };
            replace(&mut req.subresource, &owned(all))
        };
        try_set(req, added, change, c"dpl_req_add_subresource")
    }
}

/// Switches behaviors on.
///
/// @param req the request; NULL has no effect
/// @param flags bits of DPL_BEHAVIOR_*
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_add_behavior(req: *mut dpl_req_t, flags: c_uint) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.behavior_flags |= flags as c_int, c"dpl_req_add_behavior") }
}

/// Switches behaviors off.
///
/// @param req the request; NULL has no effect
/// @param flags bits of DPL_BEHAVIOR_*
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_rm_behavior(req: *mut dpl_req_t, flags: c_uint) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.behavior_flags &= !(flags as c_int), c"dpl_req_rm_behavior") }
}

/// Sets the data to send.
///
/// @param req the request; NULL has no effect
/// @param data_buf the data, which the caller keeps and which must outlive the request
/// @param data_len their length in bytes
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_data(req: *mut dpl_req_t, data_buf: *const c_char, data_len: c_uint) {
    let change = |req: &mut RequestHead| {
        req.data_buf = data_buf;
        req.data_len = data_len;
        req.data_enabled = 1;
    };
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, change, c"dpl_req_set_data") }
}

/// Sets the range of bytes. It replaces the range that was set before.
///
/// @param req the request
/// @param start the first byte, counted from 0; DPL_UNDEF for the last `end` bytes
/// @param end the last byte; DPL_UNDEF for all bytes from `start` on
/// @return DPL_SUCCESS; DPL_EINVAL for NULL
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_add_range(req: *mut dpl_req_t, start: u64, end: u64) -> dpl_status_t {
    let change = |req: &mut RequestHead, range| {
        req.range = range;
        req.range_enabled = 1;
        Ok(())
    };
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { try_set(req, Some(Range { start, end }), change, c"dpl_req_add_range") }
}

/// Sets the conditions that the object must meet.
///
/// @param req the request; NULL has no effect
/// @param condition the conditions, which are copied; NULL has no effect
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `condition` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_condition(req: *mut dpl_req_t, condition: *const dpl_condition_t) {
    let change = |req: &mut RequestHead, condition: &_| {
        req.condition = *condition;
        Ok(())
    };
    // SAFETY: `req` is NULL or a request that only the caller uses; `condition` is NULL or valid (contract of
    // this function).
    unsafe { try_set(req, condition.as_ref(), change, c"dpl_req_set_condition") };
}

/// Sets the conditions that the object to copy from must meet.
///
/// @param req the request; NULL has no effect
/// @param condition the conditions, which are copied; NULL has no effect
///
/// # Safety
/// As for [`dpl_req_set_condition`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_copy_source_condition(
    req: *mut dpl_req_t,
    condition: *const dpl_condition_t,
) {
    let change = |req: &mut RequestHead, condition: &_| {
        req.copy_source_condition = *condition;
        Ok(())
    };
    // SAFETY: `req` is NULL or a request that only the caller uses; `condition` is NULL or valid (contract of
    // this function).
    unsafe { try_set(req, condition.as_ref(), change, c"dpl_req_set_copy_source_condition") };
}

/// Sets one entry of the metadata.
///
/// @param req the request
/// @param key the name
/// @param value the value
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `key` and `value` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_add_metadatum(
    req: *mut dpl_req_t,
    key: *const c_char,
    value: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `key` and `value` are NULL or strings
    // (contract of this function).
    unsafe {
        let entry = string(key).zip(string(value));
        let change = |req: &mut RequestHead, (key, value): (&_, &std::ffi::CStr)| {
            req.metadata()?.set(key, Value::string(value.to_bytes())?)
        };
        try_set(req, entry, change, c"dpl_req_add_metadatum")
    }
}

/// Sets entries of the metadata.
///
/// @param req the request
/// @param metadata the names and values, which are copied; NULL for none
/// @return DPL_SUCCESS; DPL_EINVAL if the request is NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `metadata` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_add_metadata(
    req: *mut dpl_req_t,
    metadata: *const dpl_dict_t,
) -> dpl_status_t {
    let change = |req: &mut RequestHead, metadata: Option<&dpl_dict_t>| match metadata {
        Some(metadata) => req.metadata()?.set_all(metadata, |key| Some(key)),
        None => Ok(()),
    };
    // SAFETY: `req` is NULL or a request that only the caller uses; `metadata` is NULL or a dictionary
    // (contract of this function).
    unsafe { try_set(req, Some(metadata.as_ref()), change, c"dpl_req_add_metadata") }
}

/// Returns a text as a string of C. Texts are made of strings, so they have no NUL.
fn owned(text: Vec<u8>) -> CString {
    CString::new(text).unwrap_or_default()
}
