//! Facts about a connection.

use std::ffi::CStr;
use std::io::Write;
use std::net::SocketAddr;
use std::ptr;

use libc::{c_char, size_t};

use crate::abi::connection::Connection;
use crate::abi::sized::{SizeFirst, fill};
use crate::exports::conn::in_use;
use crate::exports::{dpl_conn_t, dpl_status_t, guard, refuse};
use droplet_client::checkout::ClientConnection as _;
use droplet_client::os::libssl;
use droplet_client::os::sys::{self, Traffic};
use droplet_client::status::{Error, SUCCESS};

/// Facts about a connection. The caller sets `size` to sizeof(dplx_conn_info_t).
#[repr(C)]
pub struct dplx_conn_info_t {
    /// The size of this struct in bytes. Later versions may add fields at its end. The library leaves out fields beyond
    /// the caller's size, and sets fields that it does not know to 0.
    pub size: size_t,
    /// The name that it is connected to: as in the profile, or `BUCKET.HOST`; NULL for a file. It is valid until the
    /// connection is given back. As an argument of dpl_blacklist_host() it means this connection.
    pub host: *const c_char,
    /// The port, valid as long as `host`; NULL for a file.
    pub port: *const c_char,
    /// The version of TLS, a constant such as "TLSv1.3"; NULL without TLS.
    pub tls_version: *const c_char,
    /// The cipher suite, a constant such as "TLS_AES_256_GCM_SHA384"; NULL without TLS.
    pub tls_cipher: *const c_char,
    /// Bytes sent since the connection was opened, as the kernel counts them. They include the bytes of TLS itself.
    pub bytes_out: u64,
    /// Bytes received since the connection was opened, read or not.
    pub bytes_in: u64,
    /// Number of times that the connection was reused: 0 for a new one.
    pub reused: u32,
    /// 1 if a TLS session was resumed, else 0.
    pub tls_resumed: u32,
    /// The address that it is connected to, such as "127.0.0.1:80" or "[::1]:80"; "" for a file.
    pub peer: [c_char; 64],
}

// SAFETY: it is repr(C), begins with its size, and consists of integers and pointers.
unsafe impl SizeFirst for dplx_conn_info_t {}

/// Returns facts about a connection. It costs a system call.
///
/// @param conn the connection
/// @param info receives the facts. The caller sets its `size`
/// @return DPL_SUCCESS; DPL_EINVAL if an argument is NULL, `conn` is not in use, or `size` is smaller than
///         sizeof(size_t)
///
/// # Safety
/// `conn` is NULL or came from a function of this library; `info` is NULL or begins with its size, and is
/// writable for that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_info(conn: *mut dpl_conn_t, info: *mut dplx_conn_info_t) -> dpl_status_t {
    const NAME: &CStr = c"dplx_conn_info";
    guard(NAME, Error::Failure.status(), || {
        let Some(mut connection) = in_use(conn, NAME) else { return Error::Invalid.status() };
        let (context, facts) = (connection.context(), facts(&mut connection));
        connection.into_raw();
        // SAFETY: `info` is NULL, or begins with its size and is writable for that many bytes (contract of this
        // function).
        if !unsafe { fill(info, &facts) } {
            refuse(context, NAME, "the struct is NULL, or its size is not set");
            return Error::Invalid.status();
        }
        SUCCESS
    })
}

fn facts(connection: &mut Connection) -> dplx_conn_info_t {
    let head = connection.head();
    let (host, port, reused) = (head.host.cast_const(), head.port.cast_const(), head.n_hits);
    let peer = connection.peer().map_or([0; 64], c_text);
    let traffic = connection.stream().socket().and_then(sys::traffic);
    let Traffic { out: bytes_out, r#in: bytes_in } = traffic.unwrap_or_default();
    let tls = connection.stream().tls().map(|tls| {
        let (version, cipher) = libssl::protocol_and_cipher(tls.ssl());
        (version.as_ptr(), cipher.as_ptr(), u32::from(tls.ssl().session_reused()))
    });
    let (tls_version, tls_cipher, tls_resumed) = tls.unwrap_or((ptr::null(), ptr::null(), 0));
    dplx_conn_info_t {
        size: size_of::<dplx_conn_info_t>(),
        host,
        port,
        tls_version,
        tls_cipher,
        bytes_out,
        bytes_in,
        reused,
        tls_resumed,
        peer,
    }
}

/// Returns an address as text. The array has room for an address of either family with its scope and port.
fn c_text(address: SocketAddr) -> [c_char; 64] {
    let mut bytes = [0; 64];
    let _ = write!(&mut bytes[..63], "{address}");
    bytes.map(|byte: u8| byte as c_char)
}

/// Returns the name that a connection is connected to: as in the profile, or `BUCKET.HOST`.
///
/// @param conn the connection
/// @return the name, which belongs to the connection and is valid until it is given back. As an argument of
///         dpl_blacklist_host() it means this connection. NULL for a file, or if `conn` is NULL or not in use
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_host(conn: *mut dpl_conn_t) -> *const c_char {
    text_of(conn, c"dplx_conn_host", |connection| connection.head().host)
}

/// Returns the port that a connection is connected to.
///
/// @param conn the connection
/// @return the decimal port, valid as long as dplx_conn_host(); NULL likewise
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_port(conn: *mut dpl_conn_t) -> *const c_char {
    text_of(conn, c"dplx_conn_port", |connection| connection.head().port)
}

/// Returns the address that a connection is connected to.
///
/// @param conn the connection
/// @return an address such as "127.0.0.1:80" or "[::1]:80", valid as long as dplx_conn_host(); NULL likewise, and if
///         memory runs out
///
/// # Safety
/// `conn` is NULL or came from a function of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_conn_address(conn: *mut dpl_conn_t) -> *const c_char {
    text_of(conn, c"dplx_conn_address", Connection::address)
}

fn text_of<T>(
    conn: *mut dpl_conn_t,
    function: &'static CStr,
    text: impl FnOnce(&mut Connection) -> *mut T,
) -> *const T {
    guard(function, ptr::null(), || {
        let Some(mut connection) = in_use(conn, function) else { return ptr::null() };
        let text = text(&mut connection);
        connection.into_raw();
        text.cast_const()
    })
}
