//! Reading from and writing to a connection.

use std::ffi::CStr;
use std::io::IoSlice;
use std::slice;

use libc::{c_int, c_void, size_t, ssize_t};

use crate::abi::connection::{Connection, peer_name};
use crate::abi::last_error;
use crate::exports::conn::in_use;
use crate::exports::transfer::write;
use crate::exports::{call_log, dpl_conn_t, dpl_status_t, guard, refuse};
use droplet_client::log;
use droplet_client::net::stream::TransferError;
use droplet_client::os::clock;
use droplet_client::status::{Error, SUCCESS, code};

/// Reads what there is, plain or TLS, at least one byte. Bytes that Droplet's reply reader has left over
/// come first.
///
/// From the first dplx_conn_read() or dplx_conn_write() on, a connection counts as being in the middle of a
/// request, and is closed when it is given back, unless dplx_conn_reply_complete() was called since.
///
/// @param conn the connection
/// @param buffer receives the bytes
/// @param size the most bytes to read, at least 1
/// @param timeout_ms how long to wait for the first byte, in milliseconds; -1 for no limit, 0 not to wait
/// @return how many bytes were read; 0 at the end, when the peer sends no more; negative on failure, a
///         dpl_status_t: DPL_ETIMEOUT, after which one may try again; DPL_EINVAL for NULL or no size;
///         DPL_FAILURE, also for TLS that ends without a close_notify
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
    guard(NAME, Error::Failure.status() as ssize_t, || {
        if buffer.is_null() || size == 0 || size > isize::MAX as usize {
            refuse(None, NAME, &format!("no buffer of {size} bytes"));
            return Error::Invalid.status() as ssize_t;
        }
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() as ssize_t };
        // SAFETY: the caller's promise. What the memory holds before is not looked at.
        let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), size) };
        let outcome = read(&mut connection, buffer, timeout_ms, NAME);
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
    if connection.is_broken() && connection.stream().tls().is_some() {
        // OpenSSL forbids to go on. From a socket an answer may still come: why a request was not taken.
        let peer = peer_name(connection);
        refuse(connection.context(), function, &format!("read from {peer}: the connection failed before"));
        return Err(Error::Failure);
    }
    connection.read(buffer, clock::milliseconds(timeout_ms)).map_err(|error| {
        let peer = peer_name(connection);
        if matches!(error, TransferError::TimedOut) {
            // That is what the caller asked for, and nothing for a log.
            last_error::note(format_args!("read from {peer}: {error}"));
        } else {
            connection.mark_broken();
            log!(&call_log(connection.context(), function), Error, "read from {peer}: {error}");
        }
        error.error()
    })
}

/// Writes all of a block: dpl_conn_writev_all() for one piece, and with a timeout like that of
/// dplx_conn_read().
///
/// @param conn the connection
/// @param data the bytes; NULL if there are none
/// @param size how many
/// @param timeout_ms how long no byte may move, in milliseconds; -1 for no limit, 0 not to wait
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
            refuse(None, NAME, &format!("no block of {size} bytes"));
            return Error::Invalid.status();
        }
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let block: &[u8] = match size {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { slice::from_raw_parts(data.cast::<u8>(), size) },
        };
        connection.begin_exchange();
        let timeout = clock::milliseconds(timeout_ms);
        let written = write(&mut connection, &mut [IoSlice::new(block)], timeout, NAME);
        connection.into_raw();
        code(written)
    })
}

/// Says that the reply to all that was written has been read to its end, so that dpl_conn_release() may keep
/// the connection for others. How long a reply is only its reader knows: call this where the message ends
/// (RFC 9112, section 6), and not if the server has announced that it will close the connection. What it has
/// sent beyond, an error or the end is still noticed, and the connection is then closed all the same.
///
/// @param conn the connection
/// @return DPL_SUCCESS; DPL_EINVAL for NULL or a connection that is not in use
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_reply_complete(conn: *mut dpl_conn_t) -> dpl_status_t {
    const NAME: &CStr = c"dplx_conn_reply_complete";
    guard(NAME, Error::Failure.status(), || {
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        connection.end_exchange();
        connection.into_raw();
        SUCCESS
    })
}

/// The descriptor of a connection: to wait on it, or to set options of its socket. It stays the
/// connection's: it is not to be closed, and over TLS not to be read from or written to. Bytes that TLS has
/// taken in already do not make it readable.
///
/// @param conn the connection
/// @return the descriptor; -1 for NULL or a connection that is not in use
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
