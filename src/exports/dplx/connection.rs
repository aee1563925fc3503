//! Reads from and writes to a connection.

use std::ffi::CStr;
use std::io::IoSlice;
use std::slice;

use libc::{c_int, c_void, size_t, ssize_t};

use super::time;
use crate::abi::connection::{Connection, peer_name};
use crate::abi::last_error;
use crate::exports::conn::in_use;
use crate::exports::transfer::write;
use crate::exports::{dpl_conn_t, dpl_status_t, guard, read_failed, refuse, refuse_beside};
use droplet_client::net::stream::TransferError;
use droplet_client::status::{Error, SUCCESS, code};

/// Reads what there is, at least one byte, from a plain or TLS connection. Bytes that Droplet's reply reader has left
/// in its buffer come first.
///
/// A program reads a reply either by this function or by dplx_reply_read(): bytes that are read here from the middle of a
/// reply are missing from what dplx_reply_read() reads afterwards.
///
/// After a dplx_conn_read() or dplx_conn_write() a request counts as being under way: the connection is closed when
/// it is given back, unless dplx_conn_reply_complete() is called before.
///
/// @param conn the connection
/// @param buffer receives the bytes
/// @param size the size of `buffer` in bytes, at least 1
/// @param timeout_ms the time to wait for the first byte in milliseconds; -1 waits for ever, 0 does not wait
/// @return the number of bytes; 0 at the end, when the peer sends no more; a negative dpl_status_t on failure:
///         DPL_ETIMEOUT, after which the call may be repeated; DPL_EINVAL if `conn` or `buffer` is NULL or `size` is 0;
///         DPL_ENOMEM if memory runs out; DPL_FAILURE, also if TLS ends without a close_notify, or after dplx_cancel()
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `buffer` is NULL or writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_read(
    conn: *mut dpl_conn_t,
    buffer: *mut c_void,
    size: size_t,
    timeout_ms: c_int,
) -> ssize_t {
    const NAME: &CStr = c"dplx_conn_read";
    // SAFETY: `conn` and `buffer` are as read_into() wants them (contract of this function).
    unsafe {
        read_into(conn, buffer, size, NAME, |connection, buffer| read(connection, buffer, timeout_ms, NAME))
    }
}

/// Has `read` read from a connection into a buffer of C. Returns the number of bytes, or a negative status.
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `buffer` is NULL or writable for `size` bytes.
pub(super) unsafe fn read_into(
    conn: *mut dpl_conn_t,
    buffer: *mut c_void,
    size: size_t,
    function: &'static CStr,
    read: impl FnOnce(&mut Connection, &mut [u8]) -> Result<usize, Error>,
) -> ssize_t {
    guard(function, Error::Failure.status() as ssize_t, || {
        if buffer.is_null() || size == 0 || size > isize::MAX as usize {
            refuse_beside(conn, function, &format!("invalid buffer ({size} bytes)"));
            return Error::Invalid.status() as ssize_t;
        }
        let Some(mut connection) = in_use(conn, function) else { return Error::Invalid.status() as ssize_t };
        // SAFETY: not NULL, so it is writable for `size` bytes (contract of this function), which are written before
        // they are read.
        let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), size) };
        let outcome = read(&mut connection, buffer);
        connection.into_raw();
        outcome.map_or_else(|error| error.status() as ssize_t, |count| count as ssize_t)
    })
}

fn read(
    connection: &mut Connection,
    buffer: &mut [u8],
    timeout_ms: c_int,
    function: &'static CStr,
) -> Result<usize, Error> {
    let timeout = time(timeout_ms, connection.context(), function)?;
    if connection.is_broken() && connection.stream().tls().is_some() && !connection.was_cancelled() {
        // OpenSSL forbids further reads. A plain socket may still hold the server's reason for rejecting the request.
        let peer = peer_name(connection);
        refuse(connection.context(), function, &format!("read from {peer}: the connection failed before"));
        return Err(Error::Failure);
    }
    connection.read(buffer, timeout).map_err(|error| {
        let peer = peer_name(connection);
        if matches!(error, TransferError::TimedOut) {
            // The caller asked for this timeout, so it is not logged.
            last_error::note(format_args!("read from {peer}: {error}"));
        } else {
            read_failed(connection, function, format_args!("read from {peer}: {error}"));
        }
        error.error()
    })
}

/// Writes all bytes of a block, as dpl_conn_writev_all() does. A block of 0 bytes is no request.
///
/// @param conn the connection
/// @param data the bytes; may be NULL if `size` is 0
/// @param size the number of bytes
/// @param timeout_ms the longest time without progress in milliseconds; -1 waits for ever, 0 does not wait
/// @return as dpl_conn_writev_all()
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `data` is NULL or readable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_write(
    conn: *mut dpl_conn_t,
    data: *const c_void,
    size: size_t,
    timeout_ms: c_int,
) -> dpl_status_t {
    const NAME: &CStr = c"dplx_conn_write";
    guard(NAME, Error::Failure.status(), || {
        if size > isize::MAX as usize || (data.is_null() && size > 0) {
            refuse_beside(conn, NAME, &format!("invalid block ({size} bytes)"));
            return Error::Invalid.status();
        }
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let Ok(timeout) = time(timeout_ms, connection.context(), NAME) else {
            connection.into_raw();
            return Error::Invalid.status();
        };
        let block: &[u8] = match size {
            0 => &[],
            // SAFETY: not NULL, so it is readable for `size` bytes (contract of this function).
            _ => unsafe { slice::from_raw_parts(data.cast::<u8>(), size) },
        };
        if size > 0 {
            connection.begin_exchange();
        }
        let written = write(&mut connection, &mut [IoSlice::new(block)], timeout, NAME);
        connection.into_raw();
        code(written)
    })
}

/// Says that the reply to all that was written has been read to its end, so that dpl_conn_release() may keep the
/// connection for later requests. dplx_reply_read() does that by itself; of what dplx_conn_read() has read only the program
/// knows the length. Do not call this if the server has announced that it will close the connection. If the server sends
/// more than the reply, or ends the connection, or the request was not written to its end, that is still noticed, and the
/// connection is closed.
///
/// @param conn the connection
/// @return DPL_SUCCESS; DPL_EINVAL if `conn` is NULL or not in use; DPL_FAILURE if dplx_reply_read() has begun with the reply
///         and has not come to its end: it has no effect then
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_reply_complete(conn: *mut dpl_conn_t) -> dpl_status_t {
    const NAME: &CStr = c"dplx_conn_reply_complete";
    guard(NAME, Error::Failure.status(), || {
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let is_complete = connection.end_reply();
        if is_complete {
            connection.end_exchange(false);
        } else {
            let peer = peer_name(&connection);
            refuse(connection.context(), NAME, &format!("reply from {peer}: it was not read to its end"));
        }
        connection.into_raw();
        if is_complete { SUCCESS } else { Error::Failure.status() }
    })
}

/// Returns the descriptor of a connection, for poll() or for options of its socket. The connection still owns it: do
/// not close it, and over TLS do not read from it or write to it. Bytes that TLS has decrypted already do not make it
/// readable.
///
/// @param conn the connection
/// @return the descriptor; -1 if `conn` is NULL or not in use
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_fd(conn: *mut dpl_conn_t) -> c_int {
    const NAME: &CStr = c"dplx_conn_fd";
    guard(NAME, -1, || {
        let Some(connection) = in_use(conn, NAME) else { return -1 };
        let fd = connection.head().fd;
        connection.into_raw();
        fd
    })
}
