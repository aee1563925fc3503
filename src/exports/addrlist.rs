//! Droplet's unit `addrlist`: lists, and the hosts in them.
//!
//! The caller of a function named `_nolock` holds dpl_addrlist_lock(). The other functions may be called with it held
//! or not.

use std::ffi::CStr;
use std::ptr;

use libc::c_char;

use super::{dpl_addr_t, dpl_addrlist_t, dpl_status_t, guard, refuse, text};
use crate::abi::addrlist::{AddError, AddrList, LOOKUP_WAIT};
use crate::abi::memory::string;
use crate::exports::call_log;
use droplet_client::log;
use droplet_client::net::authority::{Authority, parse_list};
use droplet_client::net::resolve::LookupError;
use droplet_client::os::reserve;
use droplet_client::status::{Error, SUCCESS, code};

/// Makes an empty list of hosts.
///
/// @param default_port the decimal port of hosts that are given without one; NULL for "80"
/// @return the list, which the caller frees with dpl_addrlist_free(); NULL if memory runs out
///
/// # Safety
/// `default_port` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_create(default_port: *const c_char) -> *mut dpl_addrlist_t {
    guard(c"dpl_addrlist_create", ptr::null_mut(), || {
        // SAFETY: `default_port` is NULL or a string (contract of this function).
        let default_port = unsafe { string(default_port) }.unwrap_or(c"80");
        AddrList::create(default_port).unwrap_or(ptr::null_mut())
    })
}

/// Makes a list of the hosts in a string. At least one host must have an address. Names without an address are in the
/// list as well, and are looked up again when their turn comes. All names are looked up at the same time, for 5 seconds
/// at most.
///
/// @param default_port the decimal port of hosts that are given without one; NULL for "80"
/// @param addrlist_str the hosts, separated by `;`, `,` or white space: a blank, tab, line feed, form feed or carriage
///        return, but no vertical tab. Each is a name or address, and may have a port after a colon. An IPv6 address
///        with a port stands in brackets. Text behind the digits of a port, and text behind a slash, is ignored
/// @return the list, which the caller frees with dpl_addrlist_free(); NULL if a host is malformed, if no host has an
///         address, or if `addrlist_str` is NULL
///
/// # Safety
/// `default_port` and `addrlist_str` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_create_from_str(
    default_port: *const c_char,
    addrlist_str: *const c_char,
) -> *mut dpl_addrlist_t {
    const NAME: &CStr = c"dpl_addrlist_create_from_str";
    // SAFETY: `default_port` is NULL or a string (contract of this function).
    let made = unsafe { dpl_addrlist_create(default_port) };
    let add = |list: &AddrList, authorities| {
        list.add_profile(authorities, LOOKUP_WAIT, |unresolved| {
            log!(&call_log(None, NAME), Warning, "{}", unresolved.warning());
        })
    };
    // SAFETY: `made` is a list, and `addrlist_str` is NULL or a string (contract of this function).
    if !made.is_null() && unsafe { with_hosts(made, addrlist_str, NAME, add) } != SUCCESS {
        // SAFETY: the list was just made, and nobody else has it.
        unsafe { dpl_addrlist_free(made) };
        return ptr::null_mut();
    }
    made
}

/// Frees a list and the hosts in it.
///
/// @param addrlist the list; NULL has no effect
///
/// # Safety
/// `addrlist` is NULL or a list that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_free(addrlist: *mut dpl_addrlist_t) {
    const NAME: &CStr = c"dpl_addrlist_free";
    guard(NAME, (), || {
        if !addrlist.is_null() && !AddrList::free(addrlist) {
            refuse(None, NAME, "this list was freed before, or was not created by this library");
        }
    })
}

/// Takes the lock under which a program may walk the list. The thread that holds it may take it again.
///
/// A host (dpl_addr_t) that a function returns belongs to the list, and is valid until it leaves the list.
/// dpl_addrlist_set_from_str() frees the hosts that leave; dpl_addrlist_clear_nolock(), dpl_addrlist_free() and the free of
/// the context that has the list free all; dpl_addrlist_remove_nolock() gives the host to its caller. The first takes this
/// lock itself. So a program in which other threads change the list holds the lock from before the call that returns a
/// host until it does not use the host any more. The addresses of a host change only when a thread takes the lock, its
/// `blacklist_expire_timestamp` at any time.
///
/// @param addrlist the list; NULL has no effect
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_lock(addrlist: *mut dpl_addrlist_t) {
    guard(c"dpl_addrlist_lock", (), || {
        if let Some(list) = AddrList::of(addrlist) {
            list.lock();
        }
    })
}

/// Releases the lock.
///
/// @param addrlist the list; NULL has no effect
///
/// # Safety
/// `addrlist` is NULL or a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_unlock(addrlist: *mut dpl_addrlist_t) {
    guard(c"dpl_addrlist_unlock", (), || {
        if let Some(list) = AddrList::of(addrlist) {
            list.unlock();
        }
    })
}

/// Adds a host at a random place of the list. A host whose address and port are in the list is not added again. Instead
/// the blacklisting of the one in the list is lifted. The name is looked up for 5 seconds at most.
///
/// @param addrlist the list
/// @param host a name, which is looked up, or a literal address
/// @param portstr a decimal port; NULL for the list's default
/// @return DPL_SUCCESS; DPL_EINVAL if `host` is NULL or malformed, or `portstr` is malformed; DPL_FAILURE if the name
///         has no address, or `addrlist` is NULL; DPL_ENOMEM
///
/// # Safety
/// `addrlist` is NULL or a list; `host` and `portstr` are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_add(
    addrlist: *mut dpl_addrlist_t,
    host: *const c_char,
    portstr: *const c_char,
) -> dpl_status_t {
    const NAME: &CStr = c"dpl_addrlist_add";
    guard(NAME, Error::Failure.status(), || {
        let Some(list) = list(addrlist, NAME) else { return Error::Failure.status() };
        // SAFETY: `host` and `portstr` are NULL or strings (contract of this function).
        let (host, port) = unsafe { (string(host), string(portstr)) };
        let port = port.unwrap_or(list.default_port());
        code(match host.ok_or(Error::Invalid).and_then(|host| Authority::new(host, port)) {
            Ok(authority) => list.add(vec![authority]).map_err(|error| add_failed(&error, NAME)),
            Err(error) => {
                refuse(None, NAME, &format!("invalid host and port: {}:{}", text(host), text(Some(port))));
                Err(error)
            }
        })
    })
}

/// Adds the hosts in a string one after the other, and stops at the first that fails. If one is malformed, none is
/// added.
///
/// @param addrlist the list
/// @param addrlist_str as in dpl_addrlist_create_from_str()
/// @return as dpl_addrlist_add(), for the first host that fails; DPL_FAILURE if an argument is NULL
///
/// # Safety
/// `addrlist` is NULL or a list; `addrlist_str` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_add_from_str(
    addrlist: *mut dpl_addrlist_t,
    addrlist_str: *const c_char,
) -> dpl_status_t {
    // SAFETY: `addrlist` is NULL or a list, `addrlist_str` is NULL or a string (contract of this function).
    unsafe { with_hosts(addrlist, addrlist_str, c"dpl_addrlist_add_from_str", AddrList::add) }
}

/// Replaces the hosts of a list by those in a string. A host that is in both, by the same name and port, keeps its
/// connections, and becomes available. Requests that use a host that leaves go on. All names are looked up at the same
/// time, for 5 seconds at most.
///
/// @param addrlist the list; unchanged on failure
/// @param addrlist_str as in dpl_addrlist_create_from_str()
/// @return as dpl_addrlist_add(), for the first host that fails; DPL_FAILURE if an argument is NULL
///
/// # Safety
/// `addrlist` is NULL or a list; `addrlist_str` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_set_from_str(
    addrlist: *mut dpl_addrlist_t,
    addrlist_str: *const c_char,
) -> dpl_status_t {
    // SAFETY: `addrlist` is NULL or a list, `addrlist_str` is NULL or a string (contract of this function).
    unsafe { with_hosts(addrlist, addrlist_str, c"dpl_addrlist_set_from_str", AddrList::set) }
}

/// Puts a host that the caller made into the list, at a random place. The list then owns it. If `addrlist` or `addr` is
/// NULL, or the host's name or port is missing or malformed, that is logged, and the caller still owns it:
/// dpl_addrlist_count_nolock() is then the same as before.
///
/// @param addrlist the list; NULL has no effect
/// @param addr the host. It and each of its `host`, `portstr`, `hbuf` and `h` are blocks from malloc()
///
/// # Safety
/// `addrlist` is NULL or a list whose lock the caller holds; `addr` is NULL or points to a valid
/// `dpl_addr_t` that is in no list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_add_nolock(addrlist: *mut dpl_addrlist_t, addr: *mut dpl_addr_t) {
    const NAME: &CStr = c"dpl_addrlist_add_nolock";
    guard(NAME, (), || {
        let Some(list) = list(addrlist, NAME) else { return };
        // SAFETY: not NULL, so it is a valid `dpl_addr_t` in no list, and the caller holds the lock (contract of this
        // function).
        if addr.is_null() || unsafe { list.adopt(addr) }.is_err() {
            refuse(None, NAME, "the address is NULL, or its host or port is invalid");
        }
    })
}

/// Takes a host out of the list. The caller then owns it, and frees it and its parts with free().
///
/// @param addrlist the list; NULL has no effect
/// @param addr the host; one that is not in the list has no effect
///
/// # Safety
/// `addrlist` is NULL or a list whose lock the caller holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_remove_nolock(addrlist: *mut dpl_addrlist_t, addr: *mut dpl_addr_t) {
    const NAME: &CStr = c"dpl_addrlist_remove_nolock";
    guard(NAME, (), || {
        let Some(list) = list(addrlist, NAME) else { return };
        if !list.unlink(addr) {
            refuse(None, NAME, "this address is not in the list");
        }
    })
}

/// Empties the list and frees its hosts.
///
/// @param addrlist the list; NULL has no effect
///
/// # Safety
/// `addrlist` is NULL or a list whose lock the caller holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dpl_addrlist_clear_nolock(addrlist: *mut dpl_addrlist_t) {
    guard(c"dpl_addrlist_clear_nolock", (), || {
        if let Some(list) = AddrList::of(addrlist) {
            list.clear();
        }
    })
}

/// Returns the list at an address; logs that there is none.
#[track_caller]
pub(super) fn list(addrlist: *mut dpl_addrlist_t, function: &'static CStr) -> Option<&'static AddrList> {
    let list = AddrList::of(addrlist);
    if list.is_none() {
        refuse(None, function, "the list is NULL, was freed before, or was not created by this library");
    }
    list
}

/// Calls `change` with the hosts in a string, if all of them are well-formed.
///
/// # Safety
/// `addrlist` is NULL or a list; `hosts` is NULL or a string.
unsafe fn with_hosts(
    addrlist: *mut dpl_addrlist_t,
    hosts: *const c_char,
    function: &'static CStr,
    change: impl FnOnce(&AddrList, Vec<Authority>) -> Result<(), AddError>,
) -> dpl_status_t {
    guard(function, Error::Failure.status(), || {
        let Some(list) = list(addrlist, function) else { return Error::Failure.status() };
        // SAFETY: `hosts` is NULL or a string (contract of this function).
        let Some(hosts) = (unsafe { string(hosts) }).and_then(|hosts| hosts.to_str().ok()) else {
            refuse(None, function, "the hosts are NULL or not UTF-8");
            return Error::Failure.status();
        };
        let parsed: Result<Vec<_>, _> = parse_list(hosts, list.default_port())
            .map(|entry| {
                if reserve::is_low() {
                    return Err(Error::OutOfMemory);
                }
                if let Some(warning) = entry.warning() {
                    log!(&call_log(None, function), Warning, "{warning}");
                }
                entry.authority.map_err(|fault| {
                    refuse(None, function, &fault);
                    Error::Invalid
                })
            })
            .collect();
        code(
            parsed.and_then(|authorities| {
                change(list, authorities).map_err(|error| add_failed(&error, function))
            }),
        )
    })
}

#[track_caller]
fn add_failed(error: &AddError, function: &'static CStr) -> Error {
    match error {
        AddError::Lookup(unresolved) => {
            refuse(None, function, &unresolved.to_string());
            match unresolved.error {
                LookupError::Local(fault) => fault,
                _ => Error::Failure,
            }
        }
        AddError::OutOfMemory => Error::OutOfMemory,
    }
}
