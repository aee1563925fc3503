//! Droplet's unit `httpreply`: the reply on a connection.
//!
//! A reply is read completely: by its length, in chunks, or until the peer closes the connection. Replies of 1xx are
//! skipped, except for the `100 Continue` that a request has asked for. Each read waits for at most the time of
//! `View::reply_timeout` ([`crate::abi::context_view`]). A line of the head may have 102,400 bytes, or `header_size` if
//! that is more. The head, with the replies of 1xx and the empty lines before it, may have 16 times as many.
//!
//! With `DPLX_REPLY_READER=droplet` in the environment the functions that read hand over to Droplet's own ([`next`]).

mod functions;
mod memory;
mod next;
pub(super) mod reading;

use std::ffi::CStr;

use libc::{c_char, c_int, c_uint, c_void};

use super::conn::in_use;
use super::transfer::blame;
use super::{dpl_conn_t, dpl_status_t, guard, refuse_beside};
use crate::abi::dictionary;
use crate::abi::droplet::Dict;
use crate::abi::memory::string;
use droplet_client::fault::Fault;
use droplet_client::http::error::{ReadError, SyntaxError};
use droplet_client::status::{Error, SUCCESS, code};
use functions::Functions;
use memory::{Memory, Results};
use reading::{Wanted, read, status};

/// `dpl_dict_t`.
pub type dpl_dict_t = Dict;

/// `dpl_header_func_t`: gets the name and the value of a field. A result other than DPL_SUCCESS ends the reading. It must
/// return: no longjmp() and no exception may leave it.
pub type dpl_header_func_t =
    Option<unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> dpl_status_t>;

/// `dpl_buffer_func_t`: gets bytes of the body, and their number. A result other than DPL_SUCCESS ends the reading. It must
/// return: no longjmp() and no exception may leave it.
pub type dpl_buffer_func_t = Option<unsafe extern "C" fn(*mut c_void, *mut c_char, c_uint) -> dpl_status_t>;

/// Reads a reply, and passes it on while it is received. A line of the head that is not a field is skipped. Bytes after
/// the reply and before the next request are dropped, and the connection is closed when it is released. So it is after a
/// reply that says `Connection: close`, or whose body ends with the connection.
///
/// @param conn the connection. After an error nothing more can be written on it, and it is closed when it is
///        released
/// @param expect_data 0 for the reply to a HEAD, which has no body although its head may say so
/// @param http_statusp receives the status; may be NULL. Unchanged on error
/// @param header_func called for each field, except for `Connection`, `Transfer-Encoding`, and for `Content-Length`
///        unless `expect_data` is 0; may be NULL
/// @param buffer_func called for each piece of the body, in a buffer that it may change. If it is NULL, the body is
///        dropped, and one that ends with the connection is not waited for
/// @param cb_arg passed to both functions, which may use other connections, but not this one, and must return: no longjmp()
///        and no exception may leave them
/// @return DPL_SUCCESS for any status of HTTP; DPL_EINVAL for NULL; DPL_FAILURE if there is no reply, it is
///         malformed or late, or a function did not return DPL_SUCCESS
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `http_statusp` is NULL or writable; the functions
/// are NULL or take `cb_arg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_read_http_reply_buffered(
    conn: *mut dpl_conn_t,
    expect_data: c_int,
    http_statusp: *mut c_int,
    header_func: dpl_header_func_t,
    buffer_func: dpl_buffer_func_t,
    cb_arg: *mut c_void,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_read_http_reply_buffered";
    if let Some(next) = next::read_buffered() {
        // SAFETY: the same arguments, to the function of the same name.
        return unsafe { next(conn, expect_data, http_statusp, header_func, buffer_func, cb_arg) };
    }
    guard(NAME, Error::Failure.status(), || {
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let mut receiver = Functions { header_func, buffer_func, cb_arg };
        let wanted = Wanted { body: expect_data != 0, data: buffer_func.is_some() };
        let outcome = read(&mut connection, wanted, &mut receiver, NAME);
        connection.into_raw();
        code(outcome.map_err(|_| Error::Failure).map(|reply| {
            // SAFETY: `http_statusp` is NULL or writable (contract of this function).
            if let Some(status) = unsafe { http_statusp.as_mut() } {
                *status = c_int::from(reply.status);
            }
        }))
    })
}

/// Reads a reply into memory. If there is none, or its status is 5xx, the host is blacklisted as by
/// dpl_blacklist_host(): a reused connection that the peer had only closed does not count.
///
/// @param conn the connection
/// @param expect_data 0 for the reply to a HEAD
/// @param buffer_provided 0 if the caller frees the body with free(). Otherwise the body is stored in the buffer
///        `*data_bufp`, which has room for `*data_lenp` bytes, and the rest is dropped
/// @param data_bufp receives the body, or NULL if there is none. NULL to drop it: one that ends with the connection is
///        then not waited for
/// @param data_lenp receives its length in bytes; may be NULL
/// @param headersp receives the fields, as in dpl_read_http_reply_buffered(), with names in lower case; to be
///        freed with dpl_dict_free(). May be NULL
/// @param connection_closep receives 1 if the connection is to be closed with dpl_conn_terminate(), else 0; may
///        be NULL
/// @return the result of dpl_map_http_status() for the status; DPL_FAILURE if there is no complete reply, DPL_ENOMEM if
///         memory runs out, DPL_ELIMIT if the body is longer than `*data_lenp` can say: the part that came is still
///         stored; DPL_ENOTSUPP if there is no Droplet in the process whose dictionary could hold the fields; DPL_EINVAL
///         for NULL, and nothing is stored
///
/// # Safety
/// `conn` is NULL or came from a function of this library; the pointers to results are NULL or writable. If
/// `buffer_provided` is not 0, `*data_bufp` has room for `*data_lenp` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_read_http_reply_ext(
    conn: *mut dpl_conn_t,
    expect_data: c_int,
    buffer_provided: c_int,
    data_bufp: *mut *mut c_char,
    data_lenp: *mut c_uint,
    headersp: *mut *mut dpl_dict_t,
    connection_closep: *mut c_int,
) -> dpl_status_t {
    // SAFETY: the same arguments, to the function of the same name; or the pointers are as read_into_memory() wants them
    // (contract of this function).
    unsafe {
        if let Some(next) = next::read_ext() {
            return next(
                conn,
                expect_data,
                buffer_provided,
                data_bufp,
                data_lenp,
                headersp,
                connection_closep,
            );
        }
        let is_provided = buffer_provided != 0;
        let results = Results { is_provided, data_bufp, data_lenp, headersp, connection_closep };
        read_into_memory(conn, expect_data != 0, results, c"dpl_read_http_reply_ext")
    }
}

/// Reads a reply into memory that the caller frees. It is dpl_read_http_reply_ext() without a buffer of the caller's.
///
/// @param conn the connection
/// @param expect_data 0 for the reply to a HEAD
/// @param data_bufp receives the body, to be freed with free(), or NULL if there is none; NULL to drop it
/// @param data_lenp receives its length in bytes
/// @param headersp as in dpl_read_http_reply_ext()
/// @param connection_closep as in dpl_read_http_reply_ext()
/// @return the same as dpl_read_http_reply_ext()
///
/// # Safety
/// As for [`dpl_read_http_reply_ext`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_read_http_reply(
    conn: *mut dpl_conn_t,
    expect_data: c_int,
    data_bufp: *mut *mut c_char,
    data_lenp: *mut c_uint,
    headersp: *mut *mut dpl_dict_t,
    connection_closep: *mut c_int,
) -> dpl_status_t {
    // SAFETY: as in dpl_read_http_reply_ext().
    unsafe {
        if let Some(next) = next::read() {
            return next(conn, expect_data, data_bufp, data_lenp, headersp, connection_closep);
        }
        let results = Results { is_provided: false, data_bufp, data_lenp, headersp, connection_closep };
        read_into_memory(conn, expect_data != 0, results, c"dpl_read_http_reply")
    }
}

/// Returns the status for a status of HTTP.
///
/// @param http_status the status of HTTP
/// @return DPL_SUCCESS for 100, 200, 201, 204 and 206; DPL_EREDIRECT for 301 and 302; DPL_EPERM for 403,
///         DPL_ENOENT for 404, DPL_ECONFLICT for 409, DPL_EPRECOND for 412, DPL_ERANGEUNAVAIL for 416;
///         DPL_FAILURE for all others
#[unsafe(no_mangle)]
pub extern "C" fn dpl_map_http_status(http_status: c_int) -> dpl_status_t {
    match http_status {
        100 | 200 | 201 | 204 | 206 => SUCCESS,
        301 | 302 => -15, // DPL_EREDIRECT
        403 => -18,       // DPL_EPERM
        404 => Error::NotFound.status(),
        409 => -20, // DPL_ECONFLICT
        412 => -19, // DPL_EPRECOND
        416 => -21, // DPL_ERANGEUNAVAIL
        _ => Error::Failure.status(),
    }
}

/// Returns whether these fields say that the reply is the last one of its connection. What dpl_read_http_reply() stores
/// never says so, as in the original: a connection whose reply was the last is closed when it is released.
///
/// @param headers_returned the fields, with names in lower case
/// @return 1 if `connection` has `close` among its options, or for NULL; else 0
///
/// # Safety
/// `headers_returned` is NULL or a dictionary of strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_connection_close(headers_returned: *mut dpl_dict_t) -> c_int {
    guard(c"dpl_connection_close", 1, || {
        if headers_returned.is_null() {
            return 1;
        }
        // SAFETY: not NULL, so it is a dictionary of strings (contract of this function), which own their text.
        let value = unsafe { string(dictionary::value(headers_returned, c"connection")) };
        let options = value.unwrap_or_default().to_bytes().split(|byte| *byte == b',');
        let closes = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
        c_int::from(options.into_iter().any(closes))
    })
}

/// Returns the location in the fields of a reply.
///
/// @param headers_returned the fields, as dpl_read_http_reply() stores them
/// @return the value of `location`, which the dictionary owns; NULL if there is none, or for NULL
///
/// # Safety
/// `headers_returned` is NULL or a dictionary of strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_location(headers_returned: *mut dpl_dict_t) -> *mut c_char {
    guard(c"dpl_location", std::ptr::null_mut(), || {
        // SAFETY: `headers_returned` is NULL or a dictionary of strings (contract of this function).
        unsafe { dictionary::value(headers_returned, c"location") }
    })
}

/// Reads a reply for [`dpl_read_http_reply_ext`].
///
/// # Safety
/// As for [`dpl_read_http_reply_ext`].
unsafe fn read_into_memory(
    conn: *mut dpl_conn_t,
    with_body: bool,
    results: Results,
    function: &'static CStr,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: `results` is valid until this function returns (contract of this function).
        let mut memory = match unsafe { Memory::for_results(&results) } {
            Ok(memory) => memory,
            Err(error) => {
                let is_invalid = error == Error::Invalid;
                refuse_beside(
                    conn,
                    function,
                    if is_invalid { "the buffer is NULL" } else { "out of memory" },
                );
                return error.status();
            }
        };
        let Some(mut connection) = in_use(conn, function) else { return Error::Invalid.status() };
        let wanted = Wanted { body: with_body, data: memory.wants_data() };
        let outcome = read(&mut connection, wanted, &mut memory, function);
        let keeps_alive = connection.context().is_some_and(|context| context.view().keeps_alive());
        let fault = match &outcome {
            Ok(reply) => (reply.status / 100 == 5).then_some(Fault::Replied),
            Err(ReadError::Syntax(SyntaxError::OutOfMemory)) => None,
            Err(ReadError::Syntax(_)) => Some(Fault::Reported),
            Err(ReadError::Source(error)) => (!error.is_local()).then_some(Fault::Reported),
            Err(ReadError::Receiver(_)) => None,
        };
        if let Some(fault) = fault {
            blame(&mut connection, fault, function);
        }
        connection.into_raw();
        let is_last = outcome.as_ref().map_or(true, |reply| reply.is_last) || !keeps_alive;
        // SAFETY: as above.
        unsafe { memory.hand_over(&results, is_last) };
        outcome.map_or_else(|error| status(&error), |reply| dpl_map_http_status(reply.status.into()))
    })
}
