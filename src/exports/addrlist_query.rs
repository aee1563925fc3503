//! Droplet's unit `addrlist`: queries, and blacklisting.
//!
//! The caller of a function named `_nolock` holds dpl_addrlist_lock(). The other functions may be called with it held
//! or not.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::ptr;
use std::sync::Arc;

use libc::{c_char, c_int, c_uint, c_ushort, hostent, size_t, time_t};

use super::addrlist::list;
use super::{c_string_from_malloc, dpl_addr_t, dpl_addrlist_t, dpl_status_t, guard, refuse, text};
use crate::abi::addrlist::{AddrList, LOOKUP_WAIT, node_of};
use crate::abi::hostent::addresses;
use crate::abi::memory::string;
use droplet_client::fault::Fault;
use droplet_client::hosts::{Host, Hosts};
use droplet_client::net::authority::Authority;
use droplet_client::os::clock::{self, Moment};
use droplet_client::os::random;
use droplet_client::status::{Error, SUCCESS};

/// Returns the hosts as text, which dpl_addrlist_create_from_str() accepts.
///
/// @param addrlist the list; NULL counts as an empty one
/// @return `IP:PORT,IP:PORT` in the order of the list, IPv6 addresses in brackets, the name of a host without an
///         address instead of one; "" for an empty list. The caller frees it with free(). NULL if memory runs out
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get(addrlist: *mut dpl_addrlist_t) -> *mut c_char {
    guard(c"dpl_addrlist_get", ptr::null_mut(), || {
        let hosts = AddrList::of(addrlist).map(|list| list.hosts().all()).unwrap_or_default();
        let texts: Vec<_> = hosts.iter().map(|host| shown(host)).collect();
        c_string_from_malloc(texts.join(","))
    })
}

/// Returns the number of hosts.
///
/// @param addrlist the list; NULL counts as an empty one
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_count(addrlist: *mut dpl_addrlist_t) -> c_uint {
    guard(c"dpl_addrlist_count", 0, || {
        AddrList::of(addrlist).map_or(0, |list| list.hosts().count() as c_uint)
    })
}

/// Returns the number of hosts.
///
/// @param addrlist the list; NULL counts as an empty one
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_count_nolock(addrlist: *mut dpl_addrlist_t) -> c_uint {
    // SAFETY: both functions have the same contract.
    unsafe { dpl_addrlist_count(addrlist) }
}

/// Returns the number of hosts that are not blacklisted now.
///
/// @param addrlist the list; NULL counts as an empty one
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_count_avail_nolock(addrlist: *mut dpl_addrlist_t) -> c_uint {
    guard(c"dpl_addrlist_count_avail_nolock", 0, || available(addrlist).len() as c_uint)
}

/// Lifts the blacklistings whose time is over.
///
/// @param addrlist the list
/// @return DPL_SUCCESS; DPL_FAILURE if `addrlist` is NULL
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_refresh_blacklist_nolock(
    addrlist: *mut dpl_addrlist_t,
) -> dpl_status_t {
    guard(c"dpl_addrlist_refresh_blacklist_nolock", Error::Failure.status(), || {
        let Some(list) = list(addrlist, c"dpl_addrlist_refresh_blacklist_nolock") else {
            return Error::Failure.status();
        };
        list.hosts().expire(Moment::now());
        SUCCESS
    })
}

/// Gets the n-th of the hosts that are not blacklisted, modulo their number.
///
/// @param addrlist the list; NULL counts as an empty one
/// @param n the number, counted from 0
/// @param addrp receives the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if there
///        is none
/// @return DPL_SUCCESS; DPL_ENOENT if there is none; DPL_EINVAL if `addrp` is NULL or `n` is negative
///
/// # Safety
/// `addrlist` is NULL or a list; `addrp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get_nth(
    addrlist: *mut dpl_addrlist_t,
    n: c_int,
    addrp: *mut *mut dpl_addr_t,
) -> dpl_status_t {
    // SAFETY: both functions have the same contract.
    unsafe { nth(addrlist, n, addrp, c"dpl_addrlist_get_nth") }
}

/// Gets a random one of the hosts that are not blacklisted.
///
/// @param addrlist the list; NULL counts as an empty one
/// @param addrp receives the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if there
///        is none
/// @return as dpl_addrlist_get_nth()
///
/// # Safety
/// `addrlist` is NULL or a list; `addrp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get_rand(
    addrlist: *mut dpl_addrlist_t,
    addrp: *mut *mut dpl_addr_t,
) -> dpl_status_t {
    // SAFETY: both functions have the same contract.
    unsafe { nth(addrlist, random::generator().i32(0..), addrp, c"dpl_addrlist_get_rand") }
}

/// Finds the host of this name and port or, without one, the host at an address of the name.
///
/// If no host of the list has this name, and it is no literal address, it is looked up, which takes 5 seconds at most.
/// With `DPLX_LOOK_UP=caller` in the environment it takes as long as the resolver does. Meanwhile the caller holds the
/// lock, so other threads that want it wait; calls that get connections do not take it.
///
/// @param addrlist the list; NULL counts as an empty one
/// @param host a name, which may be looked up, or a literal address
/// @param portstr a decimal port
/// @return the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if it is not in the list
///
/// # Safety
/// `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get_byname_nolock(
    addrlist: *mut dpl_addrlist_t,
    host: *const c_char,
    portstr: *const c_char,
) -> *mut dpl_addr_t {
    guard(c"dpl_addrlist_get_byname_nolock", ptr::null_mut(), || {
        let Some(list) = AddrList::of(addrlist) else { return ptr::null_mut() };
        // SAFETY: `host` and `portstr` are NULL or strings (contract of this function).
        let found = unsafe { by_name(list, host, portstr) };
        found.map_or(ptr::null_mut(), |host| node_of(&host))
    })
}

/// Finds the host at this address and port. Of several it is the one that has most of the addresses.
///
/// @param addrlist the list; NULL counts as an empty one
/// @param host one or more addresses
/// @param port the port, in host byte order
/// @return the host, which the list owns (dpl_addrlist_lock() says for how long it is valid); NULL if it is not in the list
///
/// # Safety
/// `addrlist` is NULL or a list; `host` is NULL or points to a valid `hostent`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get_byip_nolock(
    addrlist: *mut dpl_addrlist_t,
    host: *mut hostent,
    port: c_ushort,
) -> *mut dpl_addr_t {
    guard(c"dpl_addrlist_get_byip_nolock", ptr::null_mut(), || {
        let Some(list) = AddrList::of(addrlist) else { return ptr::null_mut() };
        // SAFETY: `host` is NULL or a valid `hostent` (contract of this function).
        let ips = unsafe { addresses(host) };
        let addresses: Vec<_> = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let found = list.hosts().with_any(&addresses);
        found.map_or(ptr::null_mut(), |host| node_of(&host))
    })
}

/// Blacklists a host. The call may look its name up, and take as long as dpl_addrlist_get_byname_nolock().
///
/// @param addrlist the list
/// @param host as in dpl_addrlist_get_byname_nolock()
/// @param portstr a decimal port
/// @param expiretime the time in seconds; -1 is for good. Any other negative number counts as 0
/// @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE if `addrlist` is NULL; DPL_EINVAL if
///         `host` or `portstr` is NULL
///
/// # Safety
/// `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_blacklist(
    addrlist: *mut dpl_addrlist_t,
    host: *const c_char,
    portstr: *const c_char,
    expiretime: time_t,
) -> dpl_status_t {
    let wait = clock::expiry(expiretime);
    // SAFETY: `addrlist` is NULL or a list, the others NULL or strings (contract of this function).
    unsafe {
        with_named(addrlist, host, portstr, c"dpl_addrlist_blacklist", |hosts, host| {
            host.record().failure(Fault::Ordered);
            hosts.blacklist(host, Moment::now(), wait, Fault::Ordered).is_some()
        })
    }
}

/// Lifts a host's blacklisting. The call may look its name up, and take as long as dpl_addrlist_get_byname_nolock().
///
/// @param addrlist the list
/// @param host as in dpl_addrlist_get_byname_nolock()
/// @param portstr a decimal port
/// @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE if `addrlist` is NULL; DPL_EINVAL if
///         `host` or `portstr` is NULL
///
/// # Safety
/// `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_unblacklist(
    addrlist: *mut dpl_addrlist_t,
    host: *const c_char,
    portstr: *const c_char,
) -> dpl_status_t {
    // SAFETY: `addrlist` is NULL or a list, the others NULL or strings (contract of this function).
    unsafe {
        with_named(addrlist, host, portstr, c"dpl_addrlist_unblacklist", |hosts, host| {
            hosts.unblacklist(host)
        })
    }
}

/// Writes an address as `IP:PORT`, IPv6 in brackets.
///
/// @param host the address; only the first of several is used
/// @param port the port, in host byte order
/// @param buf receives the text, cut off at `size_max`, with a NUL. DPL_ADDR_IDENT_STRLEN (53) bytes are enough for any
///        address
/// @param size_max the size of `buf` in bytes
/// @return `buf`; a constant "" if `size_max` is 0; NULL if an argument is NULL, or `host` has no address
///
/// # Safety
/// `host` is NULL or points to a valid `hostent`; `buf` is NULL or writable for `size_max` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addr_get_ident(
    host: *mut hostent,
    port: c_ushort,
    buf: *mut c_char,
    size_max: size_t,
) -> *mut c_char {
    guard(c"dpl_addr_get_ident", ptr::null_mut(), || {
        // SAFETY: `host` is NULL or a valid `hostent` (contract of this function).
        let Some(ip) = (unsafe { addresses(host) }).first().copied() else {
            return ptr::null_mut();
        };
        if buf.is_null() {
            return ptr::null_mut();
        }
        let Some(room) = size_max.checked_sub(1) else { return c"".as_ptr().cast_mut() };
        let ident = SocketAddr::new(ip, port).to_string();
        let length = ident.len().min(room);
        // SAFETY: `length` is less than `size_max`, for which `buf` is writable (contract of this function).
        unsafe {
            buf.cast::<u8>().copy_from_nonoverlapping(ident.as_ptr(), length);
            buf.add(length).write(0);
        }
        buf
    })
}

fn available(addrlist: *mut dpl_addrlist_t) -> Vec<Arc<Host>> {
    AddrList::of(addrlist).map(|list| list.hosts().not_blacklisted(Moment::now())).unwrap_or_default()
}

/// Gets the n-th available host.
///
/// # Safety
/// As for [`dpl_addrlist_get_nth`].
unsafe fn nth(
    addrlist: *mut dpl_addrlist_t,
    n: c_int,
    addrp: *mut *mut dpl_addr_t,
    function: &'static CStr,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        // SAFETY: `addrp` is NULL or writable (contract of this function).
        let (Ok(n), Some(addrp)) = (usize::try_from(n), unsafe { addrp.as_mut() }) else {
            refuse(None, function, &format!("n ({n}) is negative, or addrp is NULL"));
            return Error::Invalid.status();
        };
        let available = available(addrlist);
        let chosen = n.checked_rem(available.len()).map(|place| node_of(&available[place]));
        *addrp = chosen.unwrap_or(ptr::null_mut());
        chosen.map_or(Error::NotFound.status(), |_| SUCCESS)
    })
}

/// Calls `change` with the host of this name. It returns false if the host has left the list.
///
/// # Safety
/// `addrlist` is NULL or a list; `host` and `port` are NULL or strings.
unsafe fn with_named(
    addrlist: *mut dpl_addrlist_t,
    host: *const c_char,
    port: *const c_char,
    function: &'static CStr,
    change: impl FnOnce(&Hosts, &Arc<Host>) -> bool,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        let Some(list) = list(addrlist, function) else { return Error::Failure.status() };
        if host.is_null() || port.is_null() {
            refuse(None, function, "the host or its port is NULL");
            return Error::Invalid.status();
        }
        // SAFETY: `host` and `port` are strings (contract of this function).
        let found = unsafe { by_name(list, host, port) };
        let changed = found.is_some_and(|host| change(list.hosts(), &host));
        if changed { SUCCESS } else { Error::NotFound.status() }
    })
}

/// Finds the host of this name and port or, without one, the host at an address of the name.
///
/// # Safety
/// `host` and `port` are NULL or strings.
unsafe fn by_name(list: &AddrList, host: *const c_char, port: *const c_char) -> Option<Arc<Host>> {
    // SAFETY: the contract of this function.
    let (host, port) = unsafe { (string(host), string(port)) };
    let authority = Authority::new(host?, port?).ok()?;
    list.hosts().named(&authority).or_else(|| list.hosts().find_by_look_up(&authority, LOOKUP_WAIT))
}

/// Returns a host as `IP:PORT`, or as `NAME:PORT` if it has no address yet.
fn shown(host: &Host) -> String {
    match host.addresses().known().first() {
        Some(address) => address.to_string(),
        None => format!("{}:{}", text(Some(host.name())), text(Some(host.port()))),
    }
}
