//! Droplet's unit `addrlist`: what the list says, and blacklisting.
//!
//! Functions named `_nolock` are for a caller that holds dpl_addrlist_lock(); the others may be called
//! with it held or not.

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
use droplet_client::status::{Error, SUCCESS};

/// The hosts as text.
///
/// @param addrlist the list, or NULL for none
/// @return `IP:PORT,IP:PORT` in list order, IPv6 in brackets, so that it can be read as a list again; a host
///         without an address by its name. "" if there is none; to be freed with free(). NULL if memory is out
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

/// How many hosts there are.
///
/// @param addrlist the list, or NULL for none
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_count(addrlist: *mut dpl_addrlist_t) -> c_uint {
    guard(c"dpl_addrlist_count", 0, || {
        AddrList::of(addrlist).map_or(0, |list| list.hosts().count() as c_uint)
    })
}

/// How many hosts there are.
///
/// @param addrlist the list, or NULL for none
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_count_nolock(addrlist: *mut dpl_addrlist_t) -> c_uint {
    // SAFETY: the caller's promise.
    unsafe { dpl_addrlist_count(addrlist) }
}

/// How many hosts are not blacklisted, or no longer.
///
/// @param addrlist the list, or NULL for none
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_count_avail_nolock(addrlist: *mut dpl_addrlist_t) -> c_uint {
    guard(c"dpl_addrlist_count_avail_nolock", 0, || available(addrlist).len() as c_uint)
}

/// Lifts the blacklistings whose time is up.
///
/// @param addrlist the list, or NULL for none
/// @return DPL_SUCCESS; DPL_FAILURE for NULL
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

/// The n-th of the hosts that are not blacklisted, counted from 0 and from the start again after the last.
///
/// @param addrlist the list, or NULL for none
/// @param n the number
/// @param addrp receives the host, which the list owns; NULL if there is none
/// @return DPL_SUCCESS; DPL_ENOENT if there is none; DPL_EINVAL if `addrp` is NULL or `n` negative
///
/// # Safety
/// `addrlist` is NULL or a list; `addrp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get_nth(
    addrlist: *mut dpl_addrlist_t,
    n: c_int,
    addrp: *mut *mut dpl_addr_t,
) -> dpl_status_t {
    // SAFETY: the caller's promise.
    unsafe { nth(addrlist, n, addrp, c"dpl_addrlist_get_nth") }
}

/// Any of the hosts that are not blacklisted.
///
/// @param addrlist the list, or NULL for none
/// @param addrp receives the host, which the list owns; NULL if there is none
/// @return as dpl_addrlist_get_nth()
///
/// # Safety
/// `addrlist` is NULL or a list; `addrp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_get_rand(
    addrlist: *mut dpl_addrlist_t,
    addrp: *mut *mut dpl_addr_t,
) -> dpl_status_t {
    // SAFETY: the caller's promises.
    unsafe { nth(addrlist, fastrand::i32(0..), addrp, c"dpl_addrlist_get_rand") }
}

/// The host of this name and port, or else at an address that the name leads to.
///
/// @param addrlist the list, or NULL for none
/// @param host a name, which may be looked up, or a literal address
/// @param portstr a decimal port
/// @return the host, which the list owns; NULL if it is not in the list
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
        // SAFETY: the caller's promises.
        let found = unsafe { by_name(list, host, portstr) };
        found.map_or(ptr::null_mut(), |host| node_of(&host))
    })
}

/// The host at this address and port: of several the one that has most of these addresses.
///
/// @param addrlist the list, or NULL for none
/// @param host an address, or several
/// @param port the port, in host byte order
/// @return the host, which the list owns; NULL if it is not in the list
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
        // SAFETY: the caller's promise.
        let ips = unsafe { addresses(host) };
        let addresses: Vec<_> = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let found = list.hosts().with_any(&addresses);
        found.map_or(ptr::null_mut(), |host| node_of(&host))
    })
}

/// Blacklists a host.
///
/// @param addrlist the list
/// @param host as in dpl_addrlist_get_byname_nolock()
/// @param portstr a decimal port
/// @param expiretime for how long, in seconds; -1 for good. With any other negative number it has expired
/// @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE for a NULL list; DPL_EINVAL if
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
    // SAFETY: the caller's promises.
    unsafe {
        with_named(addrlist, host, portstr, c"dpl_addrlist_blacklist", |hosts, host| {
            host.record().failure(Fault::Ordered);
            hosts.blacklist(host, Moment::now(), wait, Fault::Ordered)
        })
    }
}

/// Lifts a host's blacklisting.
///
/// @param addrlist the list
/// @param host as in dpl_addrlist_get_byname_nolock()
/// @param portstr a decimal port
/// @return DPL_SUCCESS; DPL_ENOENT if the host is not in the list; DPL_FAILURE for a NULL list; DPL_EINVAL if
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
    // SAFETY: the caller's promises.
    unsafe {
        with_named(addrlist, host, portstr, c"dpl_addrlist_unblacklist", |hosts, host| {
            hosts.unblacklist(host)
        })
    }
}

/// Writes an address as `IP:PORT`, IPv6 in brackets.
///
/// @param host an address, the first of which counts
/// @param port the port, in host byte order
/// @param buf receives the text; DPL_ADDR_IDENT_STRLEN (53) bytes are enough for any
/// @param size_max the size of `buf` in bytes
/// @return `buf`, with as much of the text as fits and a NUL; a constant "" if nothing fits; NULL if an
///         argument is NULL
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
        // SAFETY: the caller's promise.
        let Some(ip) = (unsafe { addresses(host) }).first().copied() else {
            return ptr::null_mut();
        };
        if buf.is_null() {
            return ptr::null_mut();
        }
        let Some(room) = size_max.checked_sub(1) else { return c"".as_ptr().cast_mut() };
        let ident = SocketAddr::new(ip, port).to_string();
        let length = ident.len().min(room);
        // SAFETY: the buffer has room for that and the NUL.
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

/// Gives the n-th available host.
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
        // SAFETY: the caller's promise.
        let (Ok(n), Some(addrp)) = (usize::try_from(n), unsafe { addrp.as_mut() }) else {
            refuse(None, function, &format!("negative number {n}, or nowhere to put the host"));
            return Error::Invalid.status();
        };
        let available = available(addrlist);
        let chosen = n.checked_rem(available.len()).map(|place| node_of(&available[place]));
        *addrp = chosen.unwrap_or(ptr::null_mut());
        chosen.map_or(Error::NotFound.status(), |_| SUCCESS)
    })
}

/// Changes the host of this name; the closure says whether it is still in the list.
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
        // SAFETY: the caller's promises.
        let found = unsafe { by_name(list, host, port) };
        let changed = found.is_some_and(|host| change(list.hosts(), &host));
        if changed { SUCCESS } else { Error::NotFound.status() }
    })
}

/// # Safety
/// `host` and `port` are NULL or strings.
unsafe fn by_name(list: &AddrList, host: *const c_char, port: *const c_char) -> Option<Arc<Host>> {
    // SAFETY: the caller's promises.
    let (host, port) = unsafe { (string(host), string(port)) };
    let authority = Authority::new(host?, port?).ok()?;
    list.hosts().named(&authority).or_else(|| list.hosts().find_by_look_up(&authority, LOOKUP_WAIT))
}

/// `IP:PORT`, or `NAME:PORT` if it has no address yet.
fn shown(host: &Host) -> String {
    match host.addresses().known().first() {
        Some(address) => address.to_string(),
        None => format!("{}:{}", text(Some(host.name())), text(Some(host.port()))),
    }
}
