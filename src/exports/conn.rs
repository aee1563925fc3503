//! Droplet's unit `conn`.

use std::ffi::CStr;
use std::io::IoSlice;
use std::ptr;
use std::sync::atomic::AtomicPtr;

use libc::{c_char, c_int, iovec};

use super::transfer::write;
use super::{
    call_log, context, dpl_conn_t, dpl_ctx_t, dpl_req_t, dpl_status_t, guard, guard_hot, refuse,
    refuse_beside, text,
};
use crate::abi::call::ContextCall;
use crate::abi::connection::Connection;
use crate::abi::context::Context;
use crate::abi::memory::string;
use crate::abi::owned_context::is_own;
use crate::abi::request::Request;
use droplet_client::fault::Fault;
use droplet_client::net::authority::Authority;
use droplet_client::net::stream::File;
use droplet_client::os::clock;
use droplet_client::os::probes;
use droplet_client::os::sys::{self, Descriptor, OpenFile};
use droplet_client::status::{Error, code};
use droplet_client::{log, trace};

/// Not used, neither here nor in Droplet, which exports it.
#[unsafe(no_mangle)]
pub static dpl_default_conn_ctx: AtomicPtr<dpl_ctx_t> = AtomicPtr::new(ptr::null_mut());

/// Makes the connection pool of a context. Droplet calls this when it makes a context. The caller frees the pool with
/// dpl_conn_pool_destroy().
///
/// @param ctx a new context in a layout of Droplet 3.0 since June 2014, or of Bareos. Its connection limits have
///        their default values, which no profile changes
/// @return DPL_SUCCESS; DPL_FAILURE if the layout is unknown, or if the SSL_CTX was made by another OpenSSL than the
///         one that this library is linked with; DPL_EINVAL if `ctx` is NULL; DPL_ENOMEM
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
        // SAFETY: not NULL, so it points to a `dpl_ctx_t` (contract of this function).
        let made = unsafe { Context::make(ctx, is_own(ctx)) };
        code(made.map(|context| context.read_environment(&call_log(Some(context), NAME))).map_err(|reason| {
            refuse(None, NAME, &reason.to_string());
            reason.error()
        }))
    })
}

/// Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in use stay
/// usable. They are closed when they are given back.
///
/// @param ctx the context. NULL and a context without a pool have no effect
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

/// Gets a connection for a request: an idle one that is still good, or a new one. Of several idle ones it is the one
/// released last. The connection belongs to the calling thread, which gives it back with dpl_conn_release() or
/// dpl_conn_terminate().
///
/// The hosts of the profile take turns. A host that refuses, or does not answer within `conn_timeout` seconds, is
/// blacklisted for `blacklist_expiretime` seconds, and the next host is tried. If no other host is left, hosts that are
/// blacklisted for a reply are used all the same, and those that failed are probed before their time: 50 ms after the
/// failure, and then at doubling distance. If a host has not answered after 250 ms, or after an equal part of the time that
/// the call has left for all hosts, the next host is tried beside it, and the first that answers is used. If none
/// answers in time, an idle connection to a host that was not tried serves. With virtual hosting the connection is made
/// to `BUCKET.HOST`. A host is left out if that is longer than 253 characters, the most that fit into the 255 bytes of
/// RFC 1035, section 2.3.4.
///
/// @param ctx the context. Its limits and timeouts are read at every call
/// @param req the request. Its `host` and `port` are set to the host of the connection, without a final dot and without
///        a zone. The strings are freed with the request
/// @param connp receives the connection; unchanged on failure. If it is NULL, the connection is closed at once
/// @return DPL_SUCCESS; DPL_FAILURE if no host is left, and dplx_last_error() names each and why; DPL_ELIMIT if
///         `n_conn_max` allows no further connection, at once or after the time of dplx_ctx_set_wait();
///         DPL_ESYS if the system is out of descriptors or ports, or its routes or filters forbid every connect;
///         DPL_ENOMEM; DPL_ENAMETOOLONG if all hosts are left out because `BUCKET.HOST` is too long; DPL_EINVAL if
///         `ctx` or `req` is NULL, if the bucket contains a blank, a bracket or a control character (a line end), if
///         the context has `use_https` and no SSL_CTX, or if it was freed during the call
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
        // SAFETY: each is NULL or valid for its type, and only the caller uses the request (contract of this function).
        let (context, request, connp) =
            unsafe { (context(ctx, NAME), Request::from_pointer(req), connp.as_mut()) };
        let Some(context) = context else { return Error::Invalid.status() };
        let Some(mut request) = request else {
            refuse(Some(context), NAME, "the request is NULL");
            return Error::Invalid.status();
        };
        let call = ContextCall::new(context, NAME);
        code(call.checkout(&mut request).map(|connection| {
            if let Some(connp) = connp {
                *connp = handed_out(connection);
            }
        }))
    })
}

/// Gets a connection to one host by name, idle or new. The host need not be in the profile. If it is, its idle
/// connections are used, its turn does not change, and a failure does not blacklist it.
///
/// @param ctx the context
/// @param af not used: all addresses of the host are tried, of either family
/// @param host a name or a literal address
/// @param portstr a decimal port
/// @return the connection, which the caller gives back with dpl_conn_release() or dpl_conn_terminate(); NULL on failure
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
        // SAFETY: each is NULL, or a context or string (contract of this function).
        let (context, host, port) = unsafe { (context(ctx, NAME), string(host), string(portstr)) };
        let Some(context) = context else { return ptr::null_mut() };
        let authority = host.zip(port).and_then(|(host, port)| Authority::new(host, port).ok());
        let Some(authority) = authority else {
            refuse(Some(context), NAME, &format!("invalid host and port: {}:{}", text(host), text(port)));
            return ptr::null_mut();
        };
        let opened = ContextCall::new(context, NAME).open_host(&authority);
        opened.map_or(ptr::null_mut(), handed_out)
    })
}

/// Makes a connection that reads from and writes to an open file, pipe or socket. It does not count as a connection of
/// the context.
///
/// @param ctx the context
/// @param fd an open descriptor. The connection owns it; on failure the caller still does
/// @return the connection, which the caller gives back with dpl_conn_release(); that closes the descriptor. NULL on
///         failure
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; nobody else closes `fd` once the call has succeeded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_open_file(ctx: *mut dpl_ctx_t, fd: c_int) -> *mut dpl_conn_t {
    const NAME: &CStr = c"dpl_conn_open_file";
    guard(NAME, ptr::null_mut(), || {
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return ptr::null_mut() };
        let opened = match OpenFile::behind(fd) {
            // SAFETY: it is open, and nobody else closes it (contract of this function).
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

/// Gives a connection back. It stays open for later requests, or is closed. It is closed if it failed, if bytes on it
/// are unread, if nothing came back since something was written, if its context was freed, or if it leads to a file.
///
/// The descriptor in `conn->fd` is the one that is closed. A program that keeps the descriptor sets the field to -1.
/// A program that puts another descriptor there hands that over. `conn->host`, `conn->port` and `conn->read_buf` are
/// blocks from malloc(), which the program may free and replace, the first two by NULL as well. The blocks that are
/// there in the end are freed.
///
/// @param conn the connection, which must not be used any more. NULL has no effect. A connection that was given back
///        before is logged and left alone
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_release(conn: *mut dpl_conn_t) {
    const NAME: &CStr = c"dpl_conn_release";
    guard_hot(NAME, (), || {
        let Some(connection) = given_back(conn, NAME) else { return };
        let Some(context) = connection.context() else { return after_its_context(NAME) };
        ContextCall::that_cannot_fail(context, NAME).release(connection);
    })
}

/// Gives a connection back and closes it at once. Call this after an error, instead of dpl_conn_release().
///
/// @param conn as in dpl_conn_release()
///
/// # Safety
/// As for [`dpl_conn_release`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_terminate(conn: *mut dpl_conn_t) {
    const NAME: &CStr = c"dpl_conn_terminate";
    guard_hot(NAME, (), || {
        let Some(connection) = given_back(conn, NAME) else { return };
        if connection.context().is_none() {
            after_its_context(NAME);
        }
    })
}

/// Writes all entries of an iovec, in order. Without a byte in them nothing is sent. If it fails, the connection is
/// closed when it is given back. The host is blacklisted if the connection was new, or if the write timed out, unless
/// the host has sent a reply already.
///
/// @param conn the connection
/// @param iov the entries, whose contents may be changed; may be NULL if `n_iov` is 0. An entry of length 0 may have
///        any address, also NULL
/// @param n_iov the number of entries, without an upper limit
/// @param timeout the longest time without progress in seconds; -1 waits for ever, 0 does not wait
/// @return DPL_SUCCESS; DPL_ETIMEOUT; DPL_EINVAL if `conn` or `iov` is NULL or `n_iov` is negative; DPL_ENOMEM if memory
///         runs out; DPL_FAILURE for any other reason
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `iov` is NULL or points to `n_iov` entries, each of which
/// describes readable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_conn_writev_all(
    conn: *mut dpl_conn_t,
    iov: *mut iovec,
    n_iov: c_int,
    timeout: c_int,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_conn_writev_all";
    guard_hot(NAME, Error::Failure.status(), || {
        // SAFETY: `iov` is NULL or points to `n_iov` entries (contract of this function).
        let Some(pieces) = (unsafe { pieces(iov, n_iov) }) else {
            refuse_beside(conn, NAME, &format!("invalid iovec ({n_iov} entries)"));
            return Error::Invalid.status();
        };
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let written = write(&mut connection, pieces, clock::seconds(timeout), NAME);
        connection.into_raw();
        code(written)
    })
}

/// Blacklists a host for the context's `blacklist_expiretime`, and closes its idle connections. Droplet calls this
/// when a reply is broken or has a status of 5xx.
///
/// If `host` is the `host` field of a connection in use, the same pointer, the call is about that connection. It is
/// closed when it is given back. If its reply was complete, the idle connections of the host stay open. If it was
/// reused and nothing came back on it, the host is not blacklisted: the host had closed the connection while it was
/// idle.
///
/// If `host` is neither the name of a host in the profile nor `BUCKET.HOST` of one that connections were made to nor a
/// literal address, it is looked up, which takes `conn_timeout` seconds at most. If that is negative, or with
/// `DPLX_LOOK_UP=caller` in the environment, it takes as long as the resolver does.
///
/// @param ctx the context
/// @param host the host: its name in the profile, `BUCKET.HOST`, any name that leads to its address, or the `host`
///        field of a connection in use
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
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
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
        // SAFETY: `host` and `portstr` are NULL or strings (contract of this function).
        let (host, port) = unsafe { (string(host), string(portstr)) };
        match host.zip(port).and_then(|(host, port)| Authority::new(host, port).ok()) {
            Some(authority) => call.blacklist(&authority, fault),
            None => {
                refuse(Some(context), NAME, &format!("invalid host and port: {}:{}", text(host), text(port)));
            }
        }
    })
}

/// Takes a connection that C passes to a call, which gives it back to C at its end; logs that there is none.
#[inline]
#[track_caller]
pub fn in_use(conn: *mut dpl_conn_t, function: &'static CStr) -> Option<Connection> {
    if conn.is_null() {
        refuse(None, function, "the connection is NULL");
    }
    known(conn, Connection::from_raw(conn), function)
}

/// Takes a connection whose use ends; logs a pointer other than NULL that is none in use.
#[inline]
#[track_caller]
fn given_back(conn: *mut dpl_conn_t, function: &'static CStr) -> Option<Connection> {
    known(conn, Connection::from_raw_at_end(conn), function).inspect(|_| probes::release(conn.cast()))
}

#[inline]
#[track_caller]
fn known(conn: *mut dpl_conn_t, recalled: Option<Connection>, function: &'static CStr) -> Option<Connection> {
    if recalled.is_none() && !conn.is_null() {
        let why = "it was given back before, another call uses it, or this library has not made it";
        refuse(None, function, &format!("this connection is not in use: {why}"));
    }
    recalled
}

/// Hands a connection that was checked out to C.
#[inline]
pub fn handed_out(connection: Connection) -> *mut dpl_conn_t {
    let conn = connection.into_raw();
    probes::checkout(conn.cast());
    conn
}

/// Logs that a connection is given back after its context was freed. It is closed.
#[cold]
#[track_caller]
fn after_its_context(function: &'static CStr) {
    log!(&call_log(None, function), Warning, "the context of this connection was freed before it");
}

/// Returns an iovec as slices; `None` if it is invalid. An entry of length 0 may have any address, as in writev(2).
///
/// # Safety
/// `iov` is NULL or points to `count` entries, each of which describes memory that is readable and stays unchanged for
/// `'a`.
unsafe fn pieces<'a>(iov: *mut iovec, count: c_int) -> Option<&'a mut [IoSlice<'a>]> {
    let count = usize::try_from(count).ok()?;
    if count == 0 {
        return Some(&mut []);
    }
    if iov.is_null() || !iov.is_aligned() {
        return None;
    }
    // SAFETY: aligned and not NULL, so it points to `count` entries (contract of this function).
    let raw = unsafe { std::slice::from_raw_parts_mut(iov, count) };
    for piece in raw {
        if piece.iov_len == 0 {
            piece.iov_base = ptr::NonNull::dangling().as_ptr();
        } else if piece.iov_base.is_null() || piece.iov_len > isize::MAX as usize {
            return None;
        }
    }
    // SAFETY: IoSlice has the layout of an iovec, as its documentation guarantees. Each entry has an address other than
    // NULL and a valid length now, and its memory is readable for `'a` (contract of this function).
    Some(unsafe { std::slice::from_raw_parts_mut(iov.cast(), count) })
}
