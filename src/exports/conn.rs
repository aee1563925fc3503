//! Droplet's unit `conn`.

use std::ffi::CStr;
use std::io::IoSlice;
use std::ptr;
use std::sync::atomic::AtomicPtr;

use libc::{c_char, c_int, iovec};

use super::transfer::write;
use super::{
    call_log, context, dpl_conn_t, dpl_ctx_t, dpl_req_t, dpl_status_t, guard, guard_hot, refuse, text,
};
use crate::abi::call::ContextCall;
use crate::abi::connection::Connection;
use crate::abi::context::Context;
use crate::abi::last_error;
use crate::abi::memory::string;
use crate::abi::request::Request;
use droplet_client::fault::Fault;
use droplet_client::net::authority::Authority;
use droplet_client::net::stream::File;
use droplet_client::os::clock;
use droplet_client::os::sys::{self, Descriptor, OpenFile};
use droplet_client::status::{Error, code};
use droplet_client::{log, trace};

/// Never read, here as in the original, which exports it.
#[unsafe(no_mangle)]
pub static dpl_default_conn_ctx: AtomicPtr<dpl_ctx_t> = AtomicPtr::new(ptr::null_mut());

/// Makes the connection pool of a context. Droplet calls it when it makes the context, and the caller
/// frees the pool with dpl_conn_pool_destroy().
///
/// @param ctx a new context, in the layout of Droplet 3.0 or of Bareos, whose connection limits still have
///        their default values (which no profile changes)
/// @return DPL_SUCCESS; DPL_FAILURE if the layout is not known, or the SSL_CTX was made by another OpenSSL than
///         the one that this library is linked with; DPL_EINVAL for NULL; DPL_ENOMEM
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_pool_init(ctx: *mut dpl_ctx_t) -> dpl_status_t {
    const NAME: &CStr = c"dpl_conn_pool_init";
    guard(NAME, Error::Failure.status(), || {
        if ctx.is_null() {
            refuse(None, NAME, "the context is NULL");
            return Error::Invalid.status();
        }
        // SAFETY: not NULL, and the caller's promise.
        let made = unsafe { Context::make(ctx) };
        code(made.map_err(|reason| {
            refuse(None, NAME, &reason.to_string());
            reason.error()
        }))
    })
}

/// Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in
/// use stay usable; when they are given back they are closed.
///
/// @param ctx a context, or NULL; one whose pool was not made is left alone
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t` that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_pool_destroy(ctx: *mut dpl_ctx_t) {
    const NAME: &CStr = c"dpl_conn_pool_destroy";
    guard(NAME, (), || {
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
        if let Some(context) = unsafe { Context::of(ctx) } {
            ContextCall::that_cannot_fail(context, NAME).destroy_pool();
        }
    })
}

/// Gets a connection for a request: an idle one that is still good, the one released last first, or a new
/// one. The calling thread has it to itself and gives it back with dpl_conn_release() or
/// dpl_conn_terminate().
///
/// The hosts of the profile take turns. One that cannot be connected to within `conn_timeout` seconds, or
/// refuses, is blacklisted for `blacklist_expiretime` seconds and the next one is tried; one that has not
/// answered after 250 ms is raced by the next. With virtual hosting the connection is made to
/// `BUCKET.HOST`.
///
/// @param ctx the context, from which limits and timeouts are read at every call
/// @param req the request; its `host` and `port` are set to what was connected to, strings that are freed
///        with it. The host has neither a final dot nor a zone
/// @param connp receives the connection; unchanged on error. NULL: the connection is closed at once
/// @return DPL_SUCCESS; DPL_FAILURE if no host is left; DPL_ELIMIT if `n_conn_max` leaves no connection to try
///         one with; DPL_ESYS if the system is out of descriptors or ports, or forbids every connect (routes,
///         filters); DPL_ENOMEM; DPL_ENAMETOOLONG if
///         `BUCKET.HOST` is longer than 253 characters (RFC 1035); DPL_EINVAL for a NULL context or
///         request
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `req` is NULL or points to a `dpl_req_t` that only the caller
/// uses; `connp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_try_connect(
    ctx: *mut dpl_ctx_t,
    req: *mut dpl_req_t,
    connp: *mut *mut dpl_conn_t,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_try_connect";
    guard_hot(NAME, Error::Failure.status(), || {
        // SAFETY: the caller's promises.
        let (context, request, connp) =
            unsafe { (context(ctx, NAME), Request::from_pointer(req), connp.as_mut()) };
        let Some(context) = context else { return Error::Invalid.status() };
        let Some(mut request) = request else {
            refuse(Some(context), NAME, "the request is NULL");
            return Error::Invalid.status();
        };
        let outcome = ContextCall::new(context, NAME).checkout(&mut request);
        if outcome.as_ref().is_err_and(|error| *error == Error::Failure) {
            last_error::note_if_none("no host is left: all are blacklisted");
        }
        code(outcome.map(|connection| {
            if let Some(connp) = connp {
                *connp = connection.into_raw();
            }
        }))
    })
}

/// Gets a connection to one host by name, idle or new. The host need not be in the profile; if it is, its
/// idle connections are used, its turn is not counted, and a failure does not blacklist it.
///
/// @param ctx the context
/// @param af not used: every address of the host is tried, of either family
/// @param host a name, or a literal address
/// @param portstr a decimal port
/// @return the connection, to be given back with dpl_conn_release() or dpl_conn_terminate(); NULL on
///         failure
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_open_host(
    ctx: *mut dpl_ctx_t,
    af: c_int,
    host: *const c_char,
    portstr: *const c_char,
) -> *mut dpl_conn_t {
    const NAME: &CStr = c"dpl_conn_open_host";
    let _ = af;
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let (context, host, port) = unsafe { (context(ctx, NAME), string(host), string(portstr)) };
        let Some(context) = context else { return ptr::null_mut() };
        let authority = host.zip(port).and_then(|(host, port)| Authority::new(host, port).ok());
        let Some(authority) = authority else {
            refuse(Some(context), NAME, &format!("no host and port: {}:{}", text(host), text(port)));
            return ptr::null_mut();
        };
        let opened = ContextCall::new(context, NAME).open_host(&authority);
        opened.map_or(ptr::null_mut(), Connection::into_raw)
    })
}

/// Makes a connection that reads from and writes to an open local file, pipe or socket. It does not count
/// as a connection of the context.
///
/// @param ctx the context
/// @param fd an open descriptor, which the connection owns from then on; on failure it stays the caller's
/// @return the connection, to be given back with dpl_conn_release(), which closes the descriptor; NULL on
///         failure
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; nobody else closes `fd` once the call has succeeded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_open_file(ctx: *mut dpl_ctx_t, fd: c_int) -> *mut dpl_conn_t {
    const NAME: &CStr = c"dpl_conn_open_file";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return ptr::null_mut() };
        let opened = match OpenFile::behind(fd) {
            // SAFETY: it is open, and its owner gives it up.
            Ok(file) => ContextCall::new(context, NAME)
                .open_file(|| File::new(unsafe { Descriptor::adopt(fd, file) })),
            Err(error) => {
                refuse(Some(context), NAME, &format!("descriptor {fd}: {}", sys::error_text(&error)));
                return ptr::null_mut();
            }
        };
        opened.map_or(ptr::null_mut(), Connection::into_raw)
    })
}

/// Gives a connection back. It stays open for later requests, unless it failed, bytes on it were left
/// unread, nothing has come back since something was written, or its context was freed; then, and if it leads
/// to a file, it is closed.
///
/// What is closed is the descriptor in `conn->fd`. A program that takes the descriptor for itself sets the field
/// to -1, one that puts another in its place hands that over. `conn->host`, `conn->port` and `conn->read_buf` are
/// blocks of malloc(), which the program may free and replace, the names by NULL too; what is there in the end
/// is freed.
///
/// @param conn the connection, which must not be used any more; NULL has no effect. One that was given
///        back before is left alone, with a line in the log
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_release(conn: *mut dpl_conn_t) {
    const NAME: &CStr = c"dpl_conn_release";
    guard_hot(NAME, (), || {
        let Some(connection) = from_raw(conn, NAME) else { return };
        let Some(context) = connection.context() else { return after_its_context(NAME) };
        ContextCall::that_cannot_fail(context, NAME).release(connection);
    })
}

/// Gives a connection back and closes it at once: to be called instead of dpl_conn_release() after an
/// error.
///
/// @param conn the connection, which must not be used any more; otherwise as in dpl_conn_release()
///
/// # Safety
/// As for [`dpl_conn_release`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_terminate(conn: *mut dpl_conn_t) {
    const NAME: &CStr = c"dpl_conn_terminate";
    guard_hot(NAME, (), || {
        let Some(connection) = from_raw(conn, NAME) else { return };
        if connection.context().is_none() {
            after_its_context(NAME);
        }
    })
}

/// Writes all of an IO vector, in order. A connection on which that failed is closed when it is given
/// back; its host is blacklisted if the connection was a new one, or took no byte for too long, unless a reply
/// is there already.
///
/// @param conn the connection
/// @param iov the pieces, which may be modified; NULL if there are none. A piece of no length may have no
///        address
/// @param n_iov how many there are, any number
/// @param timeout how long no byte may move, in seconds; -1 for no limit, 0 not to wait
/// @return DPL_SUCCESS; DPL_ETIMEOUT; DPL_EINVAL for NULL or a negative count; DPL_FAILURE
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `iov` is NULL or points to `n_iov` pieces of
/// readable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_writev_all(
    conn: *mut dpl_conn_t,
    iov: *mut iovec,
    n_iov: c_int,
    timeout: c_int,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_conn_writev_all";
    guard_hot(NAME, Error::Failure.status(), || {
        // SAFETY: the caller's promise.
        let Some(pieces) = (unsafe { pieces(iov, n_iov) }) else {
            refuse(None, NAME, &format!("no vector of {n_iov} pieces"));
            return Error::Invalid.status();
        };
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let written = write(&mut connection, pieces, clock::seconds(timeout), NAME);
        connection.into_raw();
        code(written)
    })
}

/// Blacklists a host for the context's `blacklist_expiretime`. Droplet calls it when a reply is broken or
/// has a status of 5xx. Its idle connections are closed, unless it is for a connection whose reply was complete.
/// If nothing came back on a connection that was used before, the peer had merely
/// closed it while it was idle: then only that connection is not used again.
///
/// @param ctx the context
/// @param host the host, as in the profile, as `BUCKET.HOST`, or as any name that leads to its address;
///        where it is the `host` of a connection in use, that connection is meant
/// @param portstr a decimal port
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `host` and `portstr` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_blacklist_host(
    ctx: *mut dpl_ctx_t,
    host: *const c_char,
    portstr: *const c_char,
) {
    const NAME: &CStr = c"dpl_blacklist_host";
    guard(NAME, (), || {
        // SAFETY: the caller's promise.
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return };
        let call = ContextCall::new(context, NAME);
        let mut fault = Fault::Reported;
        let owner = context.id().and_then(|id| Connection::owner_of_host_name(id, host));
        if let Some(mut connection) = owner {
            connection.mark_broken();
            let excuse = connection.excuse();
            if connection.has_reply() {
                fault = Fault::Replied;
            }
            connection.into_raw();
            if let Some(excuse) = excuse {
                trace!(&call, "{excuse}: the host is not to blame");
                return;
            }
        }
        // SAFETY: the caller's promises.
        let (host, port) = unsafe { (string(host), string(portstr)) };
        match host.zip(port).and_then(|(host, port)| Authority::new(host, port).ok()) {
            Some(authority) => call.blacklist(&authority, fault),
            None => refuse(Some(context), NAME, &format!("no host and port: {}:{}", text(host), text(port))),
        }
    })
}

/// What C hands in for a call, and gets back after it.
#[inline]
#[track_caller]
pub fn in_use(conn: *mut dpl_conn_t, function: &'static CStr) -> Option<Connection> {
    if conn.is_null() {
        refuse(None, function, "the connection is NULL");
    }
    from_raw(conn, function)
}

/// What C has given back, or hands in for a call.
#[inline]
#[track_caller]
fn from_raw(conn: *mut dpl_conn_t, function: &'static CStr) -> Option<Connection> {
    let recalled = Connection::from_raw(conn);
    if recalled.is_none() && !conn.is_null() {
        let fault = "this connection is not in use: it was given back before, or is none of this library";
        refuse(None, function, fault);
    }
    recalled
}

/// A connection is given back that outlived its context: it is closed.
#[cold]
#[track_caller]
fn after_its_context(function: &'static CStr) {
    log!(&call_log(None, function), Warning, "the context of this connection was freed before it");
}

/// An IO vector as slices. A piece of no length may have any address, as in writev(2).
///
/// # Safety
/// `iov` is NULL or points to `count` pieces of readable memory, which stay unchanged for `'a`.
unsafe fn pieces<'a>(iov: *mut iovec, count: c_int) -> Option<&'a mut [IoSlice<'a>]> {
    let count = usize::try_from(count).ok()?;
    if count == 0 {
        return Some(&mut []);
    }
    if iov.is_null() || !iov.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise.
    let raw = unsafe { std::slice::from_raw_parts_mut(iov, count) };
    for piece in raw {
        if piece.iov_len == 0 {
            piece.iov_base = ptr::NonNull::dangling().as_ptr();
        } else if piece.iov_base.is_null() || piece.iov_len > isize::MAX as usize {
            return None;
        }
    }
    // SAFETY: IoSlice has the layout of an iovec on Unix, as its documentation guarantees; each piece is
    // now what a slice must be.
    Some(unsafe { std::slice::from_raw_parts_mut(iov.cast(), count) })
}
