//! Droplet's unit `httprequest`: the head of a request as text, and its fields.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::slice;

use libc::{c_char, c_int, c_uint, time_t};

use super::dict::dpl_dict_t;
use super::request::{Request as _, dpl_condition_t, dpl_range_t};
use crate::abi::context_fields::Fields;
use crate::abi::layout::{Dict, Value};
use crate::http::request::{self, Head, UtcTime};
use droplet_client::status::{Error, SUCCESS, code};
use droplet_conn::abi::context::Context;
use droplet_conn::abi::layout::{Condition, ConditionOne, Range, RequestHead};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_ctx_t, dpl_req_t, dpl_status_t, guard, refuse};

/// The names of the methods, in the order of `dpl_method_t`.
const METHODS: [&str; 5] = ["GET", "PUT", "DELETE", "HEAD", "POST"];

/// `DPL_UNDEF`.
const UNDEFINED: u64 = u64::MAX;

/// Sets the field `Host` to the host and port of a request. A port of 80 is left out. Without a host nothing is
/// set.
///
/// @param req the request, whose host and port dpl_try_connect() has set
/// @param headers the fields
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request; `headers` is NULL or a dictionary that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_host_to_headers(
    req: *mut dpl_req_t,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    // SAFETY: `req` is NULL or a request; `headers` is NULL or a dictionary that only the caller uses
    // (contract of this function); a request's strings end with a NUL.
    unsafe {
        let add = |req: &RequestHead, headers: &Dict| match string(req.host) {
            Some(host) => {
                let port = string(req.port).map(CStr::to_bytes);
                set(headers, c"Host", request::host(host.to_bytes(), port))
            }
            None => Ok(()),
        };
        add_to(req, headers, add, c"dpl_add_host_to_headers")
    }
}

/// Sets the field `Range`.
///
/// @param range the first and the last byte. If `start` is DPL_UNDEF, the range is the last `end` bytes; if `end` is
///        DPL_UNDEF, it is all bytes from `start` on
/// @param headers the fields
/// @return DPL_SUCCESS; DPL_EINVAL for NULL, or if both are DPL_UNDEF; DPL_ENOMEM
///
/// # Safety
/// `range` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_range_to_headers(
    range: *const dpl_range_t,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    // SAFETY: `range` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses (contract
    // of this function).
    unsafe { add_range(range, Some(c"Range"), headers, c"dpl_add_range_to_headers") }
}

/// Sets the field `Content-Range`, and is otherwise like dpl_add_range_to_headers().
///
/// @param range the range
/// @param headers the fields
/// @return the same as dpl_add_range_to_headers()
///
/// # Safety
/// As for [`dpl_add_range_to_headers`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_content_range_to_headers(
    range: *const dpl_range_t,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    // SAFETY: `range` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses (contract
    // of this function).
    unsafe { add_range(range, Some(c"Content-Range"), headers, c"dpl_add_content_range_to_headers") }
}

/// Sets a field of any name to a range, and is otherwise like dpl_add_range_to_headers().
///
/// @param range the range
/// @param field the name of the field
/// @param headers the fields
/// @return the same as dpl_add_range_to_headers()
///
/// # Safety
/// As for [`dpl_add_range_to_headers`]; `field` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_range_to_headers_internal(
    range: *const dpl_range_t,
    field: *const c_char,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    // SAFETY: `range` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses; `field`
    // is NULL or a string (contract of this function).
    unsafe { add_range(range, string(field), headers, c"dpl_add_range_to_headers_internal") }
}

/// Sets the field of each condition: `If-Modified-Since`, `If-Unmodified-Since`, `If-Match` or `If-None-Match`.
/// An etag is not quoted.
///
/// @param condition the conditions
/// @param headers the fields
/// @return DPL_SUCCESS; DPL_EINVAL for NULL, more than DPL_COND_MAX conditions, or a time that gmtime(3) refuses;
///         DPL_ENOMEM
///
/// # Safety
/// `condition` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_condition_to_headers(
    condition: *const dpl_condition_t,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    let add = |condition: &Condition, headers: &Dict| {
        let count = usize::try_from(condition.n_conds).unwrap_or(0);
        let all = condition.conds.get(..count).ok_or(Error::Invalid)?;
        all.iter().try_for_each(|one| match condition_field(one)? {
            Some((name, value)) => set(headers, name, value),
            None => Ok(()),
        })
    };
    // SAFETY: `condition` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses
    // (contract of this function).
    unsafe { add_to(condition, headers, add, c"dpl_add_condition_to_headers") }
}

/// Sets the field `Authorization` to the context's `access_key` and `secret_key` (RFC 7617). Unless the context has
/// both, nothing is set.
///
/// @param req a request of the context
/// @param headers the fields
/// @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `req` is NULL or a request; `headers` is NULL or a dictionary that only the caller uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_basic_authorization_to_headers(
    req: *const dpl_req_t,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    let add = |req: &RequestHead, headers: &Dict| {
        let fields = req.fields();
        match fields.as_ref().and_then(Fields::keys) {
            Some((name, password)) => {
                set(headers, c"Authorization", request::basic_authorization(name, password).into_bytes())
            }
            None => Ok(()),
        }
    };
    // SAFETY: `req` is NULL or a request; `headers` is NULL or a dictionary that only the caller uses
    // (contract of this function).
    unsafe { add_to(req, headers, add, c"dpl_add_basic_authorization_to_headers") }
}

/// Writes the head of a request: the request line and the fields, without the empty line that ends it.
///
/// @param ctx the context; its `url_encoding` and `encode_slashes` say how the resource is encoded
/// @param req the request; its method, resource and subresource are used
/// @param headers the fields, in the order of dpl_dict_iterate(); NULL for none
/// @param query_params the parameters of the query, which are not encoded; NULL for none. An empty dictionary is an
///        empty query, `?`
/// @param buf receives the text, without a NUL at its end
/// @param len the size of `buf` in bytes
/// @param lenp receives the length of the text; may be NULL. Unchanged on error
/// @return DPL_SUCCESS; DPL_FAILURE if `buf` is too small; DPL_EINVAL for NULL, an unknown method, a value that is
///         not a string, or text with a line end in it
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or a request; `headers` and `query_params` are NULL
/// or dictionaries; `buf` is NULL or has room for `len` bytes; `lenp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_req_gen_http_request(
    ctx: *mut dpl_ctx_t,
    req: *mut dpl_req_t,
    headers: *const dpl_dict_t,
    query_params: *const dpl_dict_t,
    buf: *mut c_char,
    len: c_int,
    lenp: *mut c_uint,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_req_gen_http_request";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or a request; `headers` and
        // `query_params` are NULL or dictionaries; `buf` is NULL or has room for `len` bytes (contract of
        // this function).
        let (context, fields, req, headers, query) = unsafe {
            (Context::of(ctx), Fields::of(ctx), req.as_ref(), headers.as_ref(), query_params.as_ref())
        };
        let (Some((fields, req)), Ok(size)) = (fields.zip(req), usize::try_from(len)) else {
            refuse(context, NAME, "the context or the request is NULL, or the length is negative");
            return Error::Invalid.status();
        };
        let Ok(head) = head(fields, req, headers, query).inspect_err(|_| {
            refuse(context, NAME, "an unknown method, a field without a name, or text with a line end in it");
        }) else {
            return Error::Invalid.status();
        };
        let text = head.text();
        if buf.is_null() {
            refuse(context, NAME, "the buffer is NULL");
            return Error::Invalid.status();
        }
        if text.len() > size {
            return Error::Failure.status();
        }
        // SAFETY: `buf` is NULL or has room for `len` bytes; `lenp` is NULL or writable (contract of this
        // function), and the text is no longer than that.
        unsafe {
            buf.cast::<u8>().copy_from(text.as_ptr(), text.len());
            if let Some(lenp) = lenp.as_mut() {
                *lenp = text.len() as c_uint;
            }
        }
        SUCCESS
    })
}

/// Makes the head of a request.
fn head(
    fields: Fields,
    req: &RequestHead,
    headers: Option<&Dict>,
    query: Option<&Dict>,
) -> Result<Head, Error> {
    let method = usize::try_from(req.method).ok().and_then(|at| METHODS.get(at)).ok_or(Error::Invalid)?;
    // SAFETY: a request's strings end with a NUL.
    let (resource, subresource) = unsafe { (string(req.resource), string(req.subresource)) };
    let path = resource.map(|resource| request::path(resource.to_bytes(), fields.encoding()));
    let subresource = subresource.map(CStr::to_bytes);
    let query = query.map(strings).transpose()?;
    let mut head = Head::new(method, path, subresource, query)?;
    headers
        .map(strings)
        .transpose()?
        .unwrap_or_default()
        .into_iter()
        .try_for_each(|(name, value)| head.field(name, value))?;
    Ok(head)
}

/// The name and the value of a field or a parameter.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// Returns the entries of a dictionary. An error unless all values are strings.
fn strings(dict: &Dict) -> Result<Vec<Entry<'_>>, Error> {
    dict.entries()
        .map(|(key, value)| Ok((key.to_bytes(), value.as_string().ok_or(Error::Invalid)?.text().to_bytes())))
        .collect()
}

/// Returns the name and the value of the field for a condition. `None` for an unknown type.
fn condition_field(condition: &ConditionOne) -> Result<Option<(&'static CStr, Vec<u8>)>, Error> {
    let date = || {
        let time = utc(condition.content[0] as time_t).as_ref().and_then(request::date);
        time.map(String::into_bytes).ok_or(Error::Invalid)
    };
    let etag = || {
        // SAFETY: `content` has at least ETAG_SIZE bytes, and any bytes are valid as u8.
        let bytes = unsafe { slice::from_raw_parts(condition.content.as_ptr().cast::<u8>(), ETAG_SIZE) };
        bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
    };
    Ok(match condition.r#type {
        0 => Some((c"If-Modified-Since", date()?)),
        1 => Some((c"If-Unmodified-Since", date()?)),
        2 => Some((c"If-Match", etag())),
        3 => Some((c"If-None-Match", etag())),
        _ => None,
    })
}

/// `DPL_ETAG_SIZE`, with the NUL.
const ETAG_SIZE: usize = 65;

/// Converts a time to UTC with gmtime_r(3). `None` if the year has too many digits.
fn utc(time: time_t) -> Option<UtcTime> {
    let mut parts = MaybeUninit::uninit();
    // SAFETY: `parts` is writable, and initialised unless the result is NULL.
    let parts = unsafe { libc::gmtime_r(&time, parts.as_mut_ptr()).as_ref() }?;
    Some(UtcTime {
        weekday: parts.tm_wday as usize,
        day: parts.tm_mday,
        month: parts.tm_mon as usize,
        year: i64::from(parts.tm_year) + 1900,
        clock: [parts.tm_hour, parts.tm_min, parts.tm_sec],
    })
}

/// Sets a field to a range.
///
/// # Safety
/// As for [`dpl_add_range_to_headers`].
unsafe fn add_range(
    range: *const Range,
    field: Option<&CStr>,
    headers: *mut Dict,
    function: &'static CStr,
) -> dpl_status_t {
    let add = |range: &Range, headers: &Dict| {
        let [start, end] = [range.start, range.end].map(|end| (end != UNDEFINED).then_some(end));
        let text = request::range(start, end).ok_or(Error::Invalid)?;
        set(headers, field.ok_or(Error::Invalid)?, text.into_bytes())
    };
    // SAFETY: `range` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses (contract
    // of this function).
    unsafe { add_to(range, headers, add, function) }
}

/// Calls `add` with an argument and the fields. If one of them is NULL, the result is DPL_EINVAL, with a line in the log.
///
/// # Safety
/// `from` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses.
unsafe fn add_to<T>(
    from: *const T,
    headers: *mut Dict,
    add: impl FnOnce(&T, &Dict) -> Result<(), Error>,
    function: &'static CStr,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: `from` is NULL or valid; `headers` is NULL or a dictionary that only the caller uses
        // (contract of this function).
        let Some((from, headers)) = (unsafe { from.as_ref().zip(headers.as_ref()) }) else {
            refuse(None, function, "the fields, or what to add to them, are NULL");
            return Error::Invalid.status();
        };
        code(add(from, headers))
    })
}

/// Sets a field. Values are made of strings, so they have no NUL.
fn set(headers: &Dict, name: &CStr, value: Vec<u8>) -> Result<(), Error> {
    let value = CString::new(value).map_err(|_| Error::Invalid)?;
    headers.set(name, Value::string(value.to_bytes())?)
}
