//! Droplet's unit `httpreply`: what comes back on a connection.
//!
//! A reply is read to its end: by its length, in chunks, or until the peer closes the connection. Replies
//! that announce another (1xx) are passed over, except for the `100 Continue` that a request has asked for.
//! Each read waits for at most the context's `read_timeout`. A line of the head may have `header_size` bytes,
//! the head 16 times as many, with the replies of 1xx and the empty lines before it.

mod functions;
mod memory;
mod reading;

use std::ffi::{CStr, CString};
use std::ptr;

use libc::{c_char, c_int, c_uint, c_void};

use super::dict::dpl_dict_t;
use crate::http::reader::Failure;
use droplet_client::fault::Fault;
use droplet_client::status::{Error, SUCCESS, code};
use droplet_conn::exports::conn::in_use;
use droplet_conn::exports::transfer::blame;
use droplet_conn::exports::{dpl_conn_t, dpl_status_t, guard, refuse};
use functions::Functions;
use memory::{Memory, Results};
use reading::{fields, read};

/// `dpl_header_func_t`: a field's name and value; anything but DPL_SUCCESS ends the reading.
pub type dpl_header_func_t =
    Option<unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> dpl_status_t>;

/// `dpl_buffer_func_t`: bytes of the body, and how many; anything but DPL_SUCCESS ends the reading.
pub type dpl_buffer_func_t = Option<unsafe extern "C" fn(*mut c_void, *mut c_char, c_uint) -> dpl_status_t>;

/// Reads a reply, and hands it on as it comes in. A line of its head that is no field is passed over. Bytes that
/// come after it, before the next request, are dropped, and close the connection when it is given back.
///
/// @param conn the connection. If this fails nothing more is written on it, and it is closed when it is given
///        back
/// @param expect_data 0 for the reply to a HEAD, which has no body whatever its head says
/// @param http_statusp receives the status; may be NULL. Unchanged on error
/// @param header_func is called for each field, but for `Transfer-Encoding`, and for `Content-Length` unless
///        `expect_data` is 0; may be NULL
/// @param buffer_func is called for the body, piece by piece, in a buffer that it may change; may be NULL
/// @param cb_arg handed to both
/// @return DPL_SUCCESS, whatever the status; DPL_EINVAL for NULL; DPL_FAILURE if there is no reply, it is
///         malformed, does not come in time, or one of the functions did not return DPL_SUCCESS
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
    guard(NAME, Error::Failure.status(), || {
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let mut receiver = Functions { header_func, buffer_func, cb_arg };
        let outcome = read(&mut connection, expect_data != 0, &mut receiver, NAME);
        connection.into_raw();
        code(outcome.map_err(|_| Error::Failure).map(|reply| {
            // SAFETY: the caller's promise.
            if let Some(status) = unsafe { http_statusp.as_mut() } {
                *status = c_int::from(reply.status);
            }
        }))
    })
}

/// Reads a reply into memory. If there is none, or its status is 5xx, its host is blacklisted as by
/// dpl_blacklist_host(): a reused connection that the peer had merely closed does not count.
///
/// @param conn the connection
/// @param expect_data 0 for the reply to a HEAD
/// @param buffer_provided 0 for a body that the caller frees with free(); else it is put into the buffer that
///        `data_bufp` points to, which has room for `*data_lenp` bytes, and what does not fit is dropped
/// @param data_bufp receives the body; NULL to drop it. NULL is received if there is none
/// @param data_lenp receives its length in bytes
/// @param headersp receives the fields, as in dpl_read_http_reply_buffered(), their names in small letters;
///        to be freed with dpl_dict_free(). May be NULL
/// @param connection_closep receives 1 if the connection is to be given back with dpl_conn_terminate(), else
///        0; may be NULL
/// @return as dpl_map_http_status() for the status; DPL_FAILURE if there is no reply, and what came of it is
///         still received; DPL_EINVAL for NULL, and nothing is received
///
/// # Safety
/// `conn` is NULL or came from a function of this library; the pointers to results are NULL or writable; a
/// buffer that is provided has the room that is said.
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
    // SAFETY: the caller's promises.
    unsafe {
        let is_provided = buffer_provided != 0;
        let results = Results { is_provided, data_bufp, data_lenp, headersp, connection_closep };
        read_into_memory(conn, expect_data != 0, results, c"dpl_read_http_reply_ext")
    }
}

/// Reads a reply into memory that the caller frees: dpl_read_http_reply_ext() without a buffer.
///
/// @param conn as there
/// @param expect_data as there
/// @param data_bufp as there
/// @param data_lenp as there
/// @param headersp as there
/// @param connection_closep as there
/// @return as there
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
    // SAFETY: the caller's promises.
    unsafe {
        let results = Results { is_provided: false, data_bufp, data_lenp, headersp, connection_closep };
        read_into_memory(conn, expect_data != 0, results, c"dpl_read_http_reply")
    }
}

/// The status that a status of HTTP means.
///
/// @param http_status the status of HTTP
/// @return DPL_SUCCESS for 100, 200, 201, 204 and 206; DPL_EREDIRECT for 301 and 302; DPL_EPERM for 403,
///         DPL_ENOENT for 404, DPL_ECONFLICT for 409, DPL_EPRECOND for 412, DPL_ERANGEUNAVAIL for 416;
///         DPL_FAILURE for all others
#[unsafe(no_mangle)]
pub extern "C" fn dpl_map_http_status(http_status: c_int) -> dpl_status_t {
    match http_status {
        100 | 200 | 201 | 204 | 206 => SUCCESS,
        301 | 302 => -15,
        403 => -18,
        404 => Error::NotFound.status(),
        409 => -20,
        412 => -19,
        416 => -21,
        _ => Error::Failure.status(),
    }
}

/// Whether the fields of a reply say that nothing follows it on its connection.
///
/// @param headers_returned the fields, as dpl_read_http_reply() gives them
/// @return 1 if `connection` has `close` among its options, or for NULL; else 0
///
/// # Safety
/// `headers_returned` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_connection_close(headers_returned: *mut dpl_dict_t) -> c_int {
    guard(c"dpl_connection_close", 1, || {
        // SAFETY: the caller's promise.
        let Some(headers) = (unsafe { headers_returned.as_ref() }) else { return 1 };
        let options = headers.text(c"connection").unwrap_or_default().to_bytes().split(|byte| *byte == b',');
        let closes = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
        c_int::from(options.into_iter().any(closes))
    })
}

/// Where the fields of a reply lead to.
///
/// @param headers_returned the fields, as dpl_read_http_reply() gives them
/// @return the value of `location`, which stays the dictionary's; NULL if there is none, or for NULL
///
/// # Safety
/// `headers_returned` is NULL or a dictionary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_location(headers_returned: *mut dpl_dict_t) -> *mut c_char {
    guard(c"dpl_location", ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let location = unsafe { headers_returned.as_ref() }.and_then(|headers| headers.text(c"location"));
        location.map_or(ptr::null_mut(), |location| location.as_ptr().cast_mut())
    })
}

/// Reads a reply for [`dpl_read_http_reply_ext`].
///
/// # Safety
/// As there.
unsafe fn read_into_memory(
    conn: *mut dpl_conn_t,
    with_body: bool,
    results: Results,
    function: &'static CStr,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: the caller's promise.
        let mut memory = match unsafe { Memory::for_results(&results) } {
            Ok(memory) => memory,
            Err(error) => {
                refuse(None, function, "there is no buffer, or no memory");
                return error.status();
            }
        };
        let Some(mut connection) = in_use(conn, function) else { return Error::Invalid.status() };
        let outcome = read(&mut connection, with_body, &mut memory, function);
        let keeps_alive = fields(&connection).is_some_and(|fields| fields.keeps_alive());
        let fault = match &outcome {
            Ok(reply) => (reply.status / 100 == 5).then_some(Fault::Replied),
            Err(Failure::Malformed(_)) => Some(Fault::Reported),
            Err(Failure::Source(error)) => (!error.is_local()).then_some(Fault::Reported),
            Err(Failure::Receiver(_)) => None,
        };
        if let Some(fault) = fault {
            blame(&mut connection, fault, function);
        }
        connection.into_raw();
        let is_last = outcome.as_ref().map_or(true, |reply| reply.is_last) || !keeps_alive;
        // SAFETY: the caller's promise.
        unsafe { memory.hand_over(&results, outcome.is_ok(), is_last) };
        outcome.map_or(Error::Failure.status(), |reply| dpl_map_http_status(reply.status.into()))
    })
}

/// A name or value of a field, none of which has a NUL in it.
fn c_string(text: &[u8]) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Failure)
}
