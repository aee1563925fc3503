//! Setters that store their argument unchanged.

use std::ffi::CStr;

use libc::{c_char, c_int, time_t};

use super::{set, try_set};
use droplet_conn::abi::layout::RequestHead;
use droplet_conn::abi::memory::{replace, string};
use droplet_conn::exports::{dpl_req_t, dpl_status_t};

/// `dpl_method_t`.
pub type dpl_method_t = c_int;
/// `dpl_location_constraint_t`.
pub type dpl_location_constraint_t = c_int;
/// `dpl_canned_acl_t`.
pub type dpl_canned_acl_t = c_int;
/// `dpl_storage_class_t`.
pub type dpl_storage_class_t = c_int;
/// `dpl_copy_directive_t`.
pub type dpl_copy_directive_t = c_int;
/// `dpl_ftype_t`.
pub type dpl_ftype_t = c_int;

/// Sets the host, for the field `Host`. dpl_try_connect() sets it too.
///
/// @param req the request
/// @param host the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `host` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_host(req: *mut dpl_req_t, host: *const c_char) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `host` is NULL or a string (contract of
    // this function).
    unsafe { set_string(req, host, |req| &mut req.host, c"dpl_req_set_host") }
}

/// Sets the port, for the field `Host`. dpl_try_connect() sets it too.
///
/// @param req the request
/// @param port the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `port` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_port(req: *mut dpl_req_t, port: *const c_char) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `port` is NULL or a string (contract of
    // this function).
    unsafe { set_string(req, port, |req| &mut req.port, c"dpl_req_set_port") }
}

/// Sets the bucket. With virtual hosting, the connection is made to `BUCKET.HOST`.
///
/// @param req the request
/// @param bucket the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `bucket` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_bucket(req: *mut dpl_req_t, bucket: *const c_char) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `bucket` is NULL or a string (contract of
    // this function).
    unsafe { set_string(req, bucket, |req| &mut req.bucket, c"dpl_req_set_bucket") }
}

/// Sets the subresource, the beginning of the query.
///
/// @param req the request
/// @param subresource the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `subresource` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_subresource(
    req: *mut dpl_req_t,
    subresource: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `subresource` is NULL or a string
    // (contract of this function).
    unsafe { set_string(req, subresource, |req| &mut req.subresource, c"dpl_req_set_subresource") }
}

/// Sets the value of `Cache-Control`.
///
/// @param req the request
/// @param cache_control the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `cache_control` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_cache_control(
    req: *mut dpl_req_t,
    cache_control: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `cache_control` is NULL or a string
    // (contract of this function).
    unsafe { set_string(req, cache_control, |req| &mut req.cache_control, c"dpl_req_set_cache_control") }
}

/// Sets the value of `Content-Disposition`.
///
/// @param req the request
/// @param content_disposition the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `content_disposition` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_content_disposition(
    req: *mut dpl_req_t,
    content_disposition: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `content_disposition` is NULL or a string
    // (contract of this function).
    unsafe {
        set_string(
            req,
            content_disposition,
            |req| &mut req.content_disposition,
            c"dpl_req_set_content_disposition",
        )
    }
}

/// Sets the value of `Content-Encoding`.
///
/// @param req the request
/// @param content_encoding the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `content_encoding` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_content_encoding(
    req: *mut dpl_req_t,
    content_encoding: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `content_encoding` is NULL or a string
    // (contract of this function).
    unsafe {
        set_string(req, content_encoding, |req| &mut req.content_encoding, c"dpl_req_set_content_encoding")
    }
}

/// Sets the value of `Content-Type`.
///
/// @param req the request
/// @param content_type the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `content_type` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_content_type(
    req: *mut dpl_req_t,
    content_type: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `content_type` is NULL or a string
    // (contract of this function).
    unsafe { set_string(req, content_type, |req| &mut req.content_type, c"dpl_req_set_content_type") }
}

/// Sets the bucket to copy from.
///
/// @param req the request
/// @param src_bucket the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `src_bucket` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_src_bucket(
    req: *mut dpl_req_t,
    src_bucket: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `src_bucket` is NULL or a string
    // (contract of this function).
    unsafe { set_string(req, src_bucket, |req| &mut req.src_bucket, c"dpl_req_set_src_bucket") }
}

/// Sets the subresource to copy from.
///
/// @param req the request
/// @param src_subresource the string, which is copied
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `src_subresource` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_src_subresource(
    req: *mut dpl_req_t,
    src_subresource: *const c_char,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `src_subresource` is NULL or a string
    // (contract of this function).
    unsafe {
        set_string(req, src_subresource, |req| &mut req.src_subresource, c"dpl_req_set_src_subresource")
    }
}

/// Sets the method.
///
/// @param req the request; NULL has no effect
/// @param method the method
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_method(req: *mut dpl_req_t, method: dpl_method_t) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.method = method, c"dpl_req_set_method") }
}

/// Sets the location of a new bucket.
///
/// @param req the request; NULL has no effect
/// @param location_constraint the location
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_location_constraint(
    req: *mut dpl_req_t,
    location_constraint: dpl_location_constraint_t,
) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe {
        set(req, |req| req.location_constraint = location_constraint, c"dpl_req_set_location_constraint")
    }
}

/// Sets the access control list, one of the predefined lists.
///
/// @param req the request; NULL has no effect
/// @param canned_acl the list
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_canned_acl(req: *mut dpl_req_t, canned_acl: dpl_canned_acl_t) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.canned_acl = canned_acl, c"dpl_req_set_canned_acl") }
}

/// Sets the storage class.
///
/// @param req the request; NULL has no effect
/// @param storage_class the storage class
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_storage_class(req: *mut dpl_req_t, storage_class: dpl_storage_class_t) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.storage_class = storage_class, c"dpl_req_set_storage_class") }
}

/// Sets the time at which a signed URL expires.
///
/// @param req the request; NULL has no effect
/// @param expires the time
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_expires(req: *mut dpl_req_t, expires: time_t) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.expires = expires, c"dpl_req_set_expires") }
}

/// Sets the kind of copy.
///
/// @param req the request; NULL has no effect
/// @param copy_directive the kind
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_copy_directive(
    req: *mut dpl_req_t,
    copy_directive: dpl_copy_directive_t,
) {
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { set(req, |req| req.copy_directive = copy_directive, c"dpl_req_set_copy_directive") }
}

/// Sets the kind of object.
///
/// @param req the request
/// @param object_type the kind
/// @return DPL_SUCCESS; DPL_EINVAL for NULL
///
/// # Safety
/// `req` is NULL or a request that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_set_object_type(
    req: *mut dpl_req_t,
    object_type: dpl_ftype_t,
) -> dpl_status_t {
    let change = |req: &mut RequestHead, object_type| {
        req.object_type = object_type;
        Ok(())
    };
    // SAFETY: `req` is NULL or a request that only the caller uses (contract of this function).
    unsafe { try_set(req, Some(object_type), change, c"dpl_req_set_object_type") }
}

/// Sets a string of a request to a copy of `text`.
///
/// # Safety
/// `req` is NULL or a request that only the caller uses; `text` is NULL or a string.
unsafe fn set_string(
    req: *mut dpl_req_t,
    text: *const c_char,
    field: impl FnOnce(&mut RequestHead) -> &mut *mut c_char,
    function: &'static CStr,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request that only the caller uses; `text` is NULL or a string (contract of
    // this function).
    unsafe { try_set(req, string(text), |req, text| replace(field(req), text), function) }
}
