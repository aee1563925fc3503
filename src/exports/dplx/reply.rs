//! Reads a reply of HTTP step by step.

use std::ffi::CStr;
use std::io;
use std::ptr;
use std::time::Instant;

use libc::{c_char, c_int, c_uint, c_void, size_t, ssize_t};

use super::connection::read_into;
use super::time;
use crate::abi::connection::{Connection, SteppedReply, peer_name};
use crate::abi::last_error;
use crate::abi::memory::string;
use crate::exports::conn::in_use;
use crate::exports::httpreply::reading::{self, Wanted};
use crate::exports::{dpl_conn_t, guard, guard_aside, read_failed, refuse, refuse_beside};
use droplet_client::http::error::{ReadError, SyntaxError};
use droplet_client::http::reader::{ReplyReader, Source};
use droplet_client::net::stream::TransferError;
use droplet_client::os::sys;
use droplet_client::status::Error;

/// A connection as a source of bytes, up to a deadline.
struct Until<'a> {
    connection: &'a mut Connection,
    deadline: Option<Instant>,
}

impl Source for Until<'_> {
    type Error = TransferError;

    fn buffered(&mut self) -> &mut [u8] {
        self.connection.buffered()
    }

    fn consume(&mut self, count: usize) {
        self.connection.consume(count);
    }

    fn fill(&mut self) -> Result<bool, TransferError> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let has_more = self.connection.fill(left)?;
        if !has_more && self.connection.is_broken() {
            // A write that failed may have taken the error which says that this is not the end.
            return Err(TransferError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(has_more)
    }

    fn is_silent(&mut self) -> bool {
        self.connection.stream().is_silent()
    }
}

type StepError = ReadError<TransferError, std::convert::Infallible>;

/// Reads the status of the reply to the request that was written last, and its head. Replies of 1xx are skipped, except
/// for 101, and for the `100 Continue` that the request has asked for: the final reply then follows what the program
/// writes next.
///
/// The library knows from what was written by its functions whether the request is a HEAD, whose reply has no body.
/// A reply has to be read to its end, by dplx_reply_read(), before the next request is written on the connection.
///
/// After a write that failed, a plain connection may still have a reply that says why; over TLS it has none.
///
/// No host is blacklisted, whatever the status is. A program that takes a status such as 503 for a fault of the host calls
/// dpl_blacklist_host().
///
/// @param conn the connection
/// @param timeout_ms the time to wait for the head in milliseconds; -1 waits for ever, 0 does not wait
/// @return the status of HTTP, from 100 to 999; again the same until the next request. A negative dpl_status_t on
///         failure: DPL_ETIMEOUT, after which the call may be repeated; DPL_EINVAL for NULL; DPL_ENOMEM if memory
///         runs out; DPL_FAILURE if there is no reply or it cannot be read. After the latter two the connection is closed
///         when it is given back
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_reply_status(conn: *mut dpl_conn_t, timeout_ms: c_int) -> c_int {
    const NAME: &CStr = c"dplx_reply_status";
    guard(NAME, Error::Failure.status(), || {
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let status = step(&mut connection, timeout_ms, NAME, |reader, source| reader.read_head(source));
        connection.into_raw();
        status.map_or_else(Error::status, c_int::from)
    })
}

/// Reads bytes of the body of a reply: by its length, in chunks, or to the end of the connection. If the head was not
/// read, it is read first. After the end, dpl_conn_release() keeps the connection for later requests, unless the server
/// has said that it closes it, or has sent more than the reply; dplx_conn_reply_complete() is not needed.
///
/// @param conn the connection
/// @param buffer receives the bytes
/// @param size the size of `buffer` in bytes, at least 1
/// @param timeout_ms the time to wait in milliseconds; -1 waits for ever, 0 does not wait
/// @return the number of bytes; 0 at the end of the reply; a negative dpl_status_t on failure: DPL_ETIMEOUT, after which
///         the call may be repeated; DPL_EINVAL if `conn` or `buffer` is NULL or `size` is 0; DPL_ENOMEM if memory
///         runs out; DPL_FAILURE if the reply is cut short or cannot be read. After the latter two the connection is
///         closed when it is given back
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `buffer` is NULL or writable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_reply_read(
    conn: *mut dpl_conn_t,
    buffer: *mut c_void,
    size: size_t,
    timeout_ms: c_int,
) -> ssize_t {
    const NAME: &CStr = c"dplx_reply_read";
    // SAFETY: `conn` and `buffer` are as read_into() wants them (contract of this function).
    unsafe {
        read_into(conn, buffer, size, NAME, |connection, buffer| {
            step(connection, timeout_ms, NAME, |reader, source| reader.read_data(source, buffer))
        })
    }
}

/// Returns a field of the reply whose head dplx_reply_status() or dplx_reply_read() has read. A field that stands there
/// several times has several values; blanks around a value are no part of it.
///
/// @param conn the connection
/// @param name the name of the field, in any case
/// @param index 0 for the first value, 1 for the second, and so on
/// @return the value, a string that the connection owns until the next request is written or the connection is given
///         back; NULL if there is none, or the head was not read, or for NULL, or if memory is short
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_reply_field(
    conn: *mut dpl_conn_t,
    name: *const c_char,
    index: c_uint,
) -> *const c_char {
    const NAME: &CStr = c"dplx_reply_field";
    // A field that is missing is no failure.
    guard_aside(NAME, ptr::null(), || {
        // SAFETY: `name` is NULL or a string (contract of this function).
        let Some(name) = (unsafe { string(name) }) else {
            refuse_beside(conn, NAME, "the name is NULL");
            return ptr::null();
        };
        let Some(mut connection) = in_use(conn, NAME) else { return ptr::null() };
        let mut value = ptr::null();
        if let Some(mut reply) = connection.take_reply() {
            let found = reply.field(name, index as usize);
            connection.keep_reply(reply);
            value = found.unwrap_or_else(|error| {
                refuse(connection.context(), NAME, &error.to_string());
                ptr::null()
            });
        }
        connection.into_raw();
        value
    })
}

/// Takes a step in the reply to the last request.
fn step<T>(
    connection: &mut Connection,
    timeout_ms: c_int,
    function: &'static CStr,
    take: impl FnOnce(&mut ReplyReader, &mut Until<'_>) -> Result<T, StepError>,
) -> Result<T, Error> {
    let timeout = time(timeout_ms, connection.context(), function)?;
    let begun = connection.take_reply();
    let is_over = begun.as_ref().is_some_and(|reply| reply.reader.is_over());
    let has_failed = begun.as_ref().is_some_and(|reply| reply.reader.has_failed());
    // After a failed write a plain socket may still hold the server's reason for rejecting the request.
    let cannot_be_read =
        connection.is_broken() && (connection.was_cancelled() || connection.stream().tls().is_some());
    if !is_over && (has_failed || cannot_be_read) {
        begun.into_iter().for_each(|reply| connection.keep_reply(reply));
        let peer = peer_name(connection);
        let why = if connection.was_cancelled() { "cancelled" } else { "the connection failed before" };
        read_failed(connection, function, format_args!("reply from {peer}: {why}"));
        return Err(Error::Failure);
    }
    let mut reply = begun.unwrap_or_else(|| {
        connection.begin_exchange();
        connection.drop_surplus();
        let wanted = Wanted { body: !connection.is_head_request(), data: true };
        Box::new(SteppedReply::new(ReplyReader::new(reading::expected(connection, wanted))))
    });
    reply.reader.set_continuation(connection.waits_to_continue());
    let deadline = sys::deadline(timeout);
    let outcome = take(&mut reply.reader, &mut Until { connection: &mut *connection, deadline });
    if reply.reader.is_over() && !is_over {
        reading::finish(connection, &reply.reader.reply());
    }
    if !reply.reader.is_begun() && !connection.has_written() {
        // Nobody has asked for a reply yet.
        return outcome.map_err(|error| failed(connection, function, error));
    }
    if outcome.as_ref().is_err_and(|error| !matches!(error, ReadError::Source(TransferError::TimedOut))) {
        reply.reader.give_up();
    }
    connection.keep_reply(reply);
    outcome.map_err(|error| failed(connection, function, error))
}

/// Notes that a step failed. After a timeout it may be repeated.
fn failed(connection: &mut Connection, function: &'static CStr, error: StepError) -> Error {
    let peer = peer_name(connection);
    let (text, error) = match error {
        ReadError::Source(error @ TransferError::TimedOut) => {
            // The caller asked for this timeout, so it is not logged.
            last_error::note(format_args!("reply from {peer}: {error}"));
            return Error::TimedOut;
        }
        ReadError::Source(error) => (error.to_string(), error.error()),
        ReadError::Syntax(error @ SyntaxError::OutOfMemory) => (error.to_string(), Error::OutOfMemory),
        ReadError::Syntax(error) => (error.to_string(), Error::Failure),
        ReadError::Receiver(never) => match never {},
    };
    read_failed(connection, function, format_args!("reply from {peer}: {text}"));
    error
}
