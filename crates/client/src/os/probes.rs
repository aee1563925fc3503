//! Static probes (USDT) for bpftrace, perf and SystemTap. Each is one nop, and a note in the library that says where it
//! is and where its arguments are; docs/observability.md lists them.

use std::ffi::{CStr, c_void};

/// A connection was checked out.
#[inline(always)]
pub fn checkout(connection: *const c_void) {
    probe::probe!(droplet_conn, checkout, connection);
}

/// A connection is given back.
#[inline(always)]
pub fn release(connection: *const c_void) {
    probe::probe!(droplet_conn, release, connection);
}

/// An attempt to connect has ended: with this fault, or -1 without one.
#[inline]
pub fn connect(host: &CStr, port: &CStr, fault: i64) {
    probe::probe!(droplet_conn, connect, host.as_ptr(), port.as_ptr(), fault);
}

/// A host is blacklisted for this fault and this number of seconds, or -1 for good.
#[inline]
pub fn blacklist(host: &CStr, port: &CStr, fault: i64, seconds: i64) {
    probe::probe!(droplet_conn, blacklist, host.as_ptr(), port.as_ptr(), fault, seconds);
}
