//! Droplet's unit `httprequest`: requests as text, and the fields that go with them.

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
use droplet_conn::abi::layout::{Condition, ConditionOne, Range, RequestHead};
use droplet_conn::abi::memory::string;
use droplet_conn::exports::{dpl_ctx_t, dpl_req_t, dpl_status_t, guard, refuse};

/// `dpl_method_t` as text.
const METHODS: [&str; 5] = ["GET", "PUT", "DELETE", "HEAD", "POST"];

/// `DPL_UNDEF`.
const UNDEFINED: u64 = u64::MAX;

/// Sets the field `Host` to the host and port of a request; a port of 80 is left out. Without a host nothing
/// is set.
///
/// @param req the request, which dpl_try_connect() has told where it is connected to
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
    // SAFETY: the caller's promises; a request's strings end with a NUL.
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
/// @param range the first and the last byte, of which one may be DPL_UNDEF: the last `end` bytes, or all
///        from `start` on
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
    // SAFETY: the caller's promises.
    unsafe { add_range(range, Some(c"Range"), headers, c"dpl_add_range_to_headers") }
}

/// Sets the field `Content-Range`, otherwise as dpl_add_range_to_headers().
///
/// @param range as there
/// @param headers as there
/// @return as there
///
/// # Safety
/// As for [`dpl_add_range_to_headers`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_content_range_to_headers(
    range: *const dpl_range_t,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe { add_range(range, Some(c"Content-Range"), headers, c"dpl_add_content_range_to_headers") }
}

/// Sets a field of any name to a range, otherwise as dpl_add_range_to_headers().
///
/// @param range as there
/// @param field the field's name
/// @param headers as there
/// @return as there
///
/// # Safety
/// As for [`dpl_add_range_to_headers`]; `field` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_add_range_to_headers_internal(
    range: *const dpl_range_t,
    field: *const c_char,
    headers: *mut dpl_dict_t,
) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe { add_range(range, string(field), headers, c"dpl_add_range_to_headers_internal") }
}

/// Sets the fields `If-Modified-Since`, `If-Unmodified-Since`, `If-Match` and `If-None-Match`, those of them
/// that there are conditions for. An etag is written as it is.
///
/// @param condition the conditions
/// @param headers the fields
/// @return DPL_SUCCESS; DPL_EINVAL for NULL, more than DPL_COND_MAX conditions, or a time that no calendar
///         has; DPL_ENOMEM
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
    // SAFETY: the caller's promises.
    unsafe { add_to(condition, headers, add, c"dpl_add_condition_to_headers") }
}

/// Sets the field `Authorization` to the context's `access_key` and `secret_key` (RFC 7617). Without one of
/// them nothing is set.
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
    // SAFETY: the caller's promises.
    unsafe { add_to(req, headers, add, c"dpl_add_basic_authorization_to_headers") }
}

/// Writes the head of a request: the request line and the fields, without the empty line that ends it.
///
/// @param ctx the context, whose `url_encoding` and `encode_slashes` say how the resource is written
/// @param req the request, of which the method, the resource and the subresource count
/// @param headers the fields, in the order of dpl_dict_iterate(); NULL for none
/// @param query_params the parameters of the query, which are written as they are; NULL for none. An empty
///        dictionary is an empty query, `?`
/// @param buf receives the text, without a NUL at its end
/// @param len the size of `buf` in bytes
/// @param lenp receives the length of the text; may be NULL. Unchanged on error
/// @return DPL_SUCCESS; DPL_FAILURE if `buf` is too small; DPL_EINVAL for NULL, a method that there is not,
///         a value that is no string, or text with a line's end in it
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
        // SAFETY: the caller's promises.
        let (fields, req, headers, query) =
            unsafe { (Fields::of(ctx), req.as_ref(), headers.as_ref(), query_params.as_ref()) };
        let (Some((fields, req)), Ok(size)) = (fields.zip(req), usize::try_from(len)) else {
            refuse(None, NAME, "the context or the request is NULL, or the length is negative");
            return Error::Invalid.status();
        };
        let Ok(head) = head(fields, req, headers, query).inspect_err(|_| {
            refuse(None, NAME, "an unknown method, a field without a name, or text with a line's end in it");
        }) else {
            return Error::Invalid.status();
        };
        let text = head.text();
        if buf.is_null() {
            refuse(None, NAME, "the buffer is NULL");
            return Error::Invalid.status();
        }
        if text.len() > size {
            return Error::Failure.status();
        }
        // SAFETY: the caller's promises, and the text is no longer than that.
        unsafe {
            buf.cast::<u8>().copy_from(text.as_ptr(), text.len());
            if let Some(lenp) = lenp.as_mut() {
                *lenp = text.len() as c_uint;
            }
        }
        SUCCESS
    })
}

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

/// A field or a parameter: its name and its value.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// The entries of a dictionary, all of which must be strings.
fn strings(dict: &Dict) -> Result<Vec<Entry<'_>>, Error> {
    dict.entries()
        .map(|(key, value)| Ok((key.to_bytes(), value.as_string().ok_or(Error::Invalid)?.text().to_bytes())))
        .collect()
}

/// The name and the value of the field that a condition is sent as; none for one of an unknown type.
fn condition_field(condition: &ConditionOne) -> Result<Option<(&'static CStr, Vec<u8>)>, Error> {
    let date = || {
        let time = utc(condition.content[0] as time_t).as_ref().and_then(request::date);
        time.map(String::into_bytes).ok_or(Error::Invalid)
    };
    let etag = || {
        // SAFETY: any bytes are valid.
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

/// gmtime_r(3).
fn utc(time: time_t) -> Option<UtcTime> {
    let mut parts = MaybeUninit::uninit();
    // SAFETY: `parts` is writable, and filled in unless NULL is returned.
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
    // SAFETY: the caller's promises.
    unsafe { add_to(range, headers, add, function) }
}

/// Adds to fields what comes from an argument. Neither may be NULL.
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
        // SAFETY: the caller's promises.
        let Some((from, headers)) = (unsafe { from.as_ref().zip(headers.as_ref()) }) else {
            refuse(None, function, "the fields, or what to add to them, are NULL");
            return Error::Invalid.status();
        };
        code(add(from, headers))
    })
}

/// Sets a field. What is made of strings has no NUL in it.
fn set(headers: &Dict, name: &CStr, value: Vec<u8>) -> Result<(), Error> {
    let value = CString::new(value).map_err(|_| Error::Invalid)?;
    headers.set(name, Value::string(value.to_bytes())?)
}
