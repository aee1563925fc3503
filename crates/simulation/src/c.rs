//! The functions of the library, as a C program sees them.

use std::ffi::{c_char, c_int, c_uint, c_void};

use c_interface::abi::layout::{AddrListHead, ConnectionHead, Context30, RequestHead};

pub type Context = Context30;
pub type Connection = ConnectionHead;
pub type Request = RequestHead;

pub const SUCCESS: c_int = 0;
pub const FAILURE: c_int = -1;
pub const LIMIT: c_int = -8;

/// `dplx_host_stats_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HostStatistics {
    pub size: usize,
    pub host: [c_char; 256],
    pub port: [c_char; 8],
    pub state: i32,
    pub fault: i32,
    pub blacklisted_until: i64,
    pub idle: u64,
    pub attempts: u64,
    pub full_handshakes: u64,
    pub resumed_handshakes: u64,
    pub failures: [u64; 16],
    pub idle_limit_ms: u64,
    pub use_limit: u64,
}

/// `dplx_host_state_t`
pub const AVAILABLE: i32 = 0;
pub const SUSPECT: i32 = 1;
pub const OUT: i32 = 2;
pub const DUE: i32 = 3;

/// `dplx_fault_t`
pub const NAME: usize = 6;
pub const REPORTED: usize = 9;
pub const LOCAL: usize = 10;
pub const REPLIED: usize = 12;
pub const ORDERED: usize = 13;

pub type BufferFunction = unsafe extern "C" fn(*mut c_void, *mut c_char, c_uint) -> c_int;

unsafe extern "C" {
    pub fn dplx_ctx_new(profile: *const c_char) -> *mut Context;
    pub fn dplx_ctx_set_wait(ctx: *mut Context, milliseconds: c_int) -> c_int;
    pub fn dplx_ctx_free(ctx: *mut Context);
    pub fn dplx_req_new(ctx: *mut Context, bucket: *const c_char) -> *mut Request;
    pub fn dplx_req_free(req: *mut Request);
    pub fn dplx_use_new() -> u64;
    pub fn dplx_cancel(number: u64) -> c_int;
    pub fn dplx_connect_cancellable(
        ctx: *mut Context,
        req: *mut Request,
        number: u64,
        timeout_ms: c_int,
    ) -> *mut Connection;
    pub fn dplx_conn_fd(conn: *mut Connection) -> c_int;
    pub fn dplx_conn_write(
        conn: *mut Connection,
        data: *const c_void,
        size: usize,
        timeout_ms: c_int,
    ) -> c_int;
    pub fn dplx_reply_status(conn: *mut Connection, timeout_ms: c_int) -> c_int;
    pub fn dplx_reply_read(
        conn: *mut Connection,
        buffer: *mut c_void,
        size: usize,
        timeout_ms: c_int,
    ) -> isize;
    pub fn dplx_host_stats(ctx: *mut Context, stats: *mut HostStatistics, n: c_int) -> c_int;
    pub fn dplx_last_error() -> *const c_char;
    pub fn dpl_try_connect(ctx: *mut Context, req: *mut Request, connp: *mut *mut Connection) -> c_int;
    pub fn dpl_conn_open_host(
        ctx: *mut Context,
        af: c_int,
        host: *const c_char,
        port: *const c_char,
    ) -> *mut Connection;
    pub fn dpl_conn_release(conn: *mut Connection);
    pub fn dpl_conn_terminate(conn: *mut Connection);
    pub fn dpl_conn_writev_all(
        conn: *mut Connection,
        iov: *mut libc::iovec,
        n: c_int,
        timeout: c_int,
    ) -> c_int;
    pub fn dpl_blacklist_host(ctx: *mut Context, host: *const c_char, port: *const c_char);
    pub fn dpl_read_http_reply_buffered(
        conn: *mut Connection,
        expect_data: c_int,
        status: *mut c_int,
        header_func: *const c_void,
        buffer_func: Option<BufferFunction>,
        cb_arg: *mut c_void,
    ) -> c_int;
    pub fn dpl_read_http_reply_ext(
        conn: *mut Connection,
        expect_data: c_int,
        buffer_provided: c_int,
        data: *mut *mut c_char,
        length: *mut c_uint,
        headers: *mut *mut c_void,
        connection_close: *mut c_int,
    ) -> c_int;
    pub fn dpl_addrlist_set_from_str(list: *mut AddrListHead, hosts: *const c_char) -> c_int;
    pub fn dpl_addrlist_blacklist(
        list: *mut AddrListHead,
        host: *const c_char,
        port: *const c_char,
        seconds: i64,
    ) -> c_int;
    pub fn dpl_addrlist_unblacklist(
        list: *mut AddrListHead,
        host: *const c_char,
        port: *const c_char,
    ) -> c_int;
}
