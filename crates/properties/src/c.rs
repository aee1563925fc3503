//! The C functions that targets call, by their names, and what C programs do around them.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Once;

use droplet_conn::abi::layout::{Addr, AddrListHead, Context30};
use libc::{FILE, c_char, c_int, c_uint, c_void, size_t, ssize_t, time_t};

// The functions are in these packages. They are linked only if they are named.
use droplet as _;
use droplet_conn as _;

pub(crate) const SUCCESS: c_int = 0;
pub(crate) const FAILURE: c_int = -1;
pub(crate) const ENOENT: c_int = -2;
pub(crate) const EINVAL: c_int = -3;
pub(crate) const ETIMEOUT: isize = -4;

/// A context in the layout of Droplet 3.0, which this library makes.
pub(crate) type Context = Context30;

/// `dpl_conn_t`.
pub(crate) type Connection = c_void;

/// `dpl_req_t`.
pub(crate) type Request = c_void;

/// `dpl_dict_t`.
#[repr(C)]
pub(crate) struct Dict {
    _buckets: *mut *mut Entry,
    _count: c_uint,
}

/// `dpl_dict_var_t`.
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) older: *mut Entry,
    pub(crate) newer: *mut Entry,
    pub(crate) key: *mut c_char,
    pub(crate) value: *mut Value,
}

/// `dpl_value_t`.
#[repr(C)]
pub(crate) struct Value {
    pub(crate) content: *mut c_void,
    pub(crate) kind: c_int,
}

/// `dpl_vec_t`.
#[repr(C)]
pub(crate) struct Vector {
    pub(crate) items: *mut *mut Value,
    pub(crate) count: c_int,
    pub(crate) size: c_int,
    pub(crate) growth: c_int,
}

/// `dpl_sbuf_t`.
#[repr(C)]
pub(crate) struct Sbuf {
    pub(crate) text: *mut c_char,
    pub(crate) length: usize,
    pub(crate) allocated: usize,
}

/// `dpl_range_t`.
#[repr(C)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The beginning of `dplx_host_stats_t`: the rest is left out, as the size says.
#[repr(C)]
pub(crate) struct HostStatistics {
    pub(crate) size: size_t,
    pub(crate) host: [u8; 256],
    pub(crate) port: [u8; 8],
    pub(crate) state: i32,
    pub(crate) fault: i32,
}

type Log = unsafe extern "C" fn(*mut c_void, *mut Context, c_int, *const c_char);
pub(crate) type FieldFunction = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> c_int;
pub(crate) type DataFunction = unsafe extern "C" fn(*mut c_void, *mut c_char, c_uint) -> c_int;
type EntryFunction = unsafe extern "C" fn(*mut Entry, *mut c_void) -> c_int;
type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

unsafe extern "C" {
    fn dplx_set_log(callback: Option<Log>, user: *mut c_void);
    pub(crate) fn dplx_ctx_new(profile: *const c_char) -> *mut Context;
    pub(crate) fn dplx_ctx_free(ctx: *mut Context);
    pub(crate) fn dpl_ctx_new_from_dict(profile: *const Dict) -> *mut Context;
    pub(crate) fn dpl_ctx_free(ctx: *mut Context);
    pub(crate) fn dplx_last_error() -> *const c_char;

    pub(crate) fn dplx_connect(ctx: *mut Context, timeout_ms: c_int) -> *mut Connection;
    pub(crate) fn dplx_conn_write(
        conn: *mut Connection,
        data: *const c_void,
        size: size_t,
        timeout_ms: c_int,
    ) -> c_int;
    pub(crate) fn dplx_reply_status(conn: *mut Connection, timeout_ms: c_int) -> c_int;
    pub(crate) fn dplx_reply_read(
        conn: *mut Connection,
        buffer: *mut c_void,
        size: size_t,
        timeout_ms: c_int,
    ) -> ssize_t;
    pub(crate) fn dplx_reply_field(
        conn: *mut Connection,
        name: *const c_char,
        index: c_uint,
    ) -> *const c_char;
    pub(crate) fn dpl_conn_release(conn: *mut Connection);
    pub(crate) fn dpl_conn_terminate(conn: *mut Connection);
    pub(crate) fn dplx_host_stats(ctx: *mut Context, into: *mut HostStatistics, count: c_int) -> c_int;
    pub(crate) fn dpl_map_http_status(status: c_int) -> c_int;
    pub(crate) fn dpl_read_http_reply_ext(
        conn: *mut Connection,
        expect_data: c_int,
        buffer_provided: c_int,
        data: *mut *mut c_char,
        length: *mut c_uint,
        fields: *mut *mut Dict,
        closes: *mut c_int,
    ) -> c_int;
    pub(crate) fn dpl_read_http_reply_buffered(
        conn: *mut Connection,
        expect_data: c_int,
        status: *mut c_int,
        field: Option<FieldFunction>,
        data: Option<DataFunction>,
        argument: *mut c_void,
    ) -> c_int;

    pub(crate) fn dpl_addrlist_create(port: *const c_char) -> *mut AddrListHead;
    pub(crate) fn dpl_addrlist_create_from_str(
        port: *const c_char,
        hosts: *const c_char,
    ) -> *mut AddrListHead;
    pub(crate) fn dpl_addrlist_free(list: *mut AddrListHead);
    pub(crate) fn dpl_addrlist_set_from_str(list: *mut AddrListHead, hosts: *const c_char) -> c_int;
    pub(crate) fn dpl_addrlist_add_from_str(list: *mut AddrListHead, hosts: *const c_char) -> c_int;
    pub(crate) fn dpl_addrlist_get(list: *mut AddrListHead) -> *mut c_char;
    pub(crate) fn dpl_addrlist_count(list: *mut AddrListHead) -> c_uint;
    pub(crate) fn dpl_addrlist_count_avail_nolock(list: *mut AddrListHead) -> c_uint;
    pub(crate) fn dpl_addrlist_get_nth(list: *mut AddrListHead, n: c_int, into: *mut *mut Addr) -> c_int;
    pub(crate) fn dpl_addrlist_get_byname_nolock(
        list: *mut AddrListHead,
        host: *const c_char,
        port: *const c_char,
    ) -> *mut Addr;
    pub(crate) fn dpl_addrlist_blacklist(
        list: *mut AddrListHead,
        host: *const c_char,
        port: *const c_char,
        seconds: time_t,
    ) -> c_int;
    pub(crate) fn dpl_addrlist_unblacklist(
        list: *mut AddrListHead,
        host: *const c_char,
        port: *const c_char,
    ) -> c_int;
    pub(crate) fn dpl_addr_get_ident(
        host: *mut libc::hostent,
        port: u16,
        buffer: *mut c_char,
        size: size_t,
    ) -> *mut c_char;

    pub(crate) fn dpl_dict_new(buckets: c_int) -> *mut Dict;
    pub(crate) fn dpl_dict_free(dict: *mut Dict);
    pub(crate) fn dpl_dict_get(dict: *const Dict, key: *const c_char) -> *mut Entry;
    pub(crate) fn dpl_dict_get_lowered(dict: *const Dict, key: *const c_char, into: *mut *mut Entry)
    -> c_int;
    pub(crate) fn dpl_dict_get_value(dict: *const Dict, key: *const c_char) -> *mut c_char;
    pub(crate) fn dpl_dict_iterate(
        dict: *const Dict,
        function: Option<EntryFunction>,
        argument: *mut c_void,
    ) -> c_int;
    pub(crate) fn dpl_dict_count(dict: *const Dict) -> c_int;
    pub(crate) fn dpl_dict_print(dict: *const Dict, file: *mut FILE, level: c_int);
    pub(crate) fn dpl_dict_remove(dict: *mut Dict, entry: *mut Entry);
    pub(crate) fn dpl_dict_dup(from: *const Dict) -> *mut Dict;
    pub(crate) fn dpl_dict_add(
        dict: *mut Dict,
        key: *const c_char,
        text: *const c_char,
        is_lowered: c_int,
    ) -> c_int;
    pub(crate) fn dpl_dict_add_value(
        dict: *mut Dict,
        key: *const c_char,
        value: *mut Value,
        is_lowered: c_int,
    ) -> c_int;
    pub(crate) fn dpl_dict_copy(to: *mut Dict, from: *const Dict) -> c_int;
    pub(crate) fn dpl_dict_filter_prefix(to: *mut Dict, from: *const Dict, prefix: *const c_char) -> c_int;
    pub(crate) fn dpl_dict_filter_no_prefix(to: *mut Dict, from: *const Dict, prefix: *const c_char)
    -> c_int;

    pub(crate) fn dpl_vec_new(size: c_int, growth: c_int) -> *mut Vector;
    pub(crate) fn dpl_vec_free(vector: *mut Vector);
    pub(crate) fn dpl_vec_add(vector: *mut Vector, item: *mut c_void) -> c_int;
    pub(crate) fn dpl_vec_add_value(vector: *mut Vector, value: *mut Value) -> c_int;
    pub(crate) fn dpl_vec_get(vector: *mut Vector, at: c_int) -> *mut c_void;
    pub(crate) fn dpl_vec_dup(vector: *mut Vector) -> *mut Vector;
    pub(crate) fn dpl_vec_sort(vector: *mut Vector, compare: Option<Compare>);
    pub(crate) fn dpl_value_dup(value: *mut Value) -> *mut Value;
    pub(crate) fn dpl_value_free(value: *mut Value);

    pub(crate) fn dpl_sbuf_new(size: size_t) -> *mut Sbuf;
    pub(crate) fn dpl_sbuf_free(buffer: *mut Sbuf);
    pub(crate) fn dpl_sbuf_add(buffer: *mut Sbuf, bytes: *const c_char, length: size_t) -> c_int;
    pub(crate) fn dpl_sbuf_add_str(buffer: *mut Sbuf, text: *const c_char) -> c_int;
    pub(crate) fn dpl_sbuf_dup(buffer: *const Sbuf) -> *mut Sbuf;
    pub(crate) fn dpl_sbuf_url_encode(buffer: *mut Sbuf) -> c_int;

    pub(crate) fn dpl_req_new(ctx: *mut Context) -> *mut Request;
    pub(crate) fn dpl_req_free(req: *mut Request);
    pub(crate) fn dpl_req_set_method(req: *mut Request, method: c_int);
    pub(crate) fn dpl_req_set_host(req: *mut Request, host: *const c_char) -> c_int;
    pub(crate) fn dpl_req_set_port(req: *mut Request, port: *const c_char) -> c_int;
    pub(crate) fn dpl_req_set_resource(req: *mut Request, resource: *const c_char) -> c_int;
    pub(crate) fn dpl_req_set_subresource(req: *mut Request, subresource: *const c_char) -> c_int;
    pub(crate) fn dpl_req_add_subresource(req: *mut Request, subresource: *const c_char) -> c_int;
    pub(crate) fn dpl_add_host_to_headers(req: *mut Request, fields: *mut Dict) -> c_int;
    pub(crate) fn dpl_add_range_to_headers(range: *const Range, fields: *mut Dict) -> c_int;
    pub(crate) fn dpl_add_basic_authorization_to_headers(req: *const Request, fields: *mut Dict) -> c_int;
    pub(crate) fn dpl_req_gen_http_request(
        ctx: *mut Context,
        req: *mut Request,
        fields: *const Dict,
        query: *const Dict,
        buffer: *mut c_char,
        size: c_int,
        length: *mut c_uint,
    ) -> c_int;
}

/// Drops messages of the library: most inputs cause some.
pub(crate) fn be_quiet() {
    unsafe extern "C" fn drop_message(_: *mut c_void, _: *mut Context, _: c_int, text: *const c_char) {
        // SAFETY: the library passes a string.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        assert!(!text.contains("bug in droplet-conn"), "{text}");
    }
    static ONCE: Once = Once::new();
    // SAFETY: the function takes NULL, from any thread.
    ONCE.call_once(|| unsafe { dplx_set_log(Some(drop_message), ptr::null_mut()) });
}

/// Returns a C string of these bytes, up to the first NUL.
pub(crate) fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).expect("no NUL is left")
}

/// Returns a copy of a C string. `None` for NULL.
///
/// # Safety
/// `text` is NULL or a string.
pub(crate) unsafe fn copied(text: *const c_char) -> Option<Vec<u8>> {
    // SAFETY: not NULL, and so a string (contract of this function).
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes().to_vec())
}

/// Returns the entries of a dictionary, in the order of `dpl_dict_iterate`.
///
/// # Safety
/// `dict` is NULL or a dictionary.
pub(crate) unsafe fn entries(dict: *const Dict) -> Vec<*mut Entry> {
    unsafe extern "C" fn gather(entry: *mut Entry, into: *mut c_void) -> c_int {
        // SAFETY: `into` is the vector below.
        unsafe { (*into.cast::<Vec<*mut Entry>>()).push(entry) };
        SUCCESS
    }
    let mut all: Vec<*mut Entry> = Vec::new();
    if !dict.is_null() {
        // SAFETY: a dictionary (contract of this function), and a function that takes the vector.
        assert_eq!(unsafe { dpl_dict_iterate(dict, Some(gather), (&raw mut all).cast()) }, SUCCESS);
    }
    all
}

/// Returns the keys and the strings of a dictionary, in the order of `dpl_dict_iterate`.
///
/// # Safety
/// `dict` is NULL or a dictionary whose values are strings.
pub(crate) unsafe fn texts(dict: *const Dict) -> Vec<(Vec<u8>, Vec<u8>)> {
    // SAFETY: entries and their values are valid; the values are strings (contract of this function).
    unsafe {
        let text = |entry: *mut Entry| {
            let value = (*(*entry).value).content.cast::<Sbuf>();
            (copied((*entry).key).expect("a key"), copied((*value).text).expect("a string"))
        };
        entries(dict).into_iter().map(text).collect()
    }
}
