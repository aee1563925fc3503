//! The resolver.

use std::ffi::{CStr, c_char, c_int};
use std::{mem, ptr};

use libc::{addrinfo, sockaddr_in, socklen_t};

use crate::names::DOMAIN;
use crate::real::{Replaced, THREAD, is_simulated, really};
use crate::threads::{What, wait_for};
use crate::world::with;

static GETADDRINFO: Replaced = Replaced::new(c"getaddrinfo");
static FREEADDRINFO: Replaced = Replaced::new(c"freeaddrinfo");

/// An answer with one address; the next one follows by `ai_next`.
#[repr(C)]
struct Answer {
    info: addrinfo,
    address: sockaddr_in,
}

#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    found: *mut *mut addrinfo,
) -> c_int {
    type Function =
        unsafe extern "C" fn(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int;
    // SAFETY: NULL or a string.
    let name = unsafe { node.as_ref().map(|node| CStr::from_ptr(node)) };
    let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
    if !is_simulated() || !name.ends_with(DOMAIN) {
        // SAFETY: libc's function of this name, with the caller's arguments.
        return really(|| unsafe { GETADDRINFO.get::<Function>()(node, service, hints, found) });
    }
    // SAFETY: NULL or hints.
    let flags = unsafe { hints.as_ref() }.map_or(0, |hints| hints.ai_flags);
    if flags & libc::AI_NUMERICHOST != 0 {
        return libc::EAI_NONAME;
    }
    let delay =
        with(|world| world.names.all.iter().find(|known| known.name == name).map_or(0, |known| known.delay));
    wait_for(What::Time, Some(with(|world| world.now) + delay));
    let answer = with(|world| {
        world.trace(|| format!("look-up of {name}"));
        let addresses = world.resolve(name)?;
        let mut first = ptr::null_mut();
        for ip in addresses.iter().rev() {
            // SAFETY: an answer of zeros is valid: numbers and pointers.
            let mut answer: Box<Answer> = Box::new(unsafe { mem::zeroed() });
            answer.address.sin_family = libc::AF_INET as u16;
            answer.address.sin_addr.s_addr = u32::from(*ip).to_be();
            answer.info.ai_family = libc::AF_INET;
            answer.info.ai_socktype = libc::SOCK_STREAM;
            answer.info.ai_addrlen = size_of::<sockaddr_in>() as socklen_t;
            answer.info.ai_next = first;
            let pointer = Box::into_raw(answer);
            // SAFETY: it was just made.
            unsafe { (*pointer).info.ai_addr = (&raw mut (*pointer).address).cast() };
            first = pointer.cast();
            world.names.lent.push(pointer.addr());
        }
        Ok::<_, c_int>(first)
    });
    match answer {
        Ok(first) => {
            // SAFETY: the caller passes a place for the pointer.
            unsafe { *found = first };
            0
        }
        Err(error) => error,
    }
}

#[unsafe(no_mangle)]
extern "C" fn freeaddrinfo(first: *mut addrinfo) {
    type Function = unsafe extern "C" fn(*mut addrinfo);
    really(|| {
        let is_ours = is_ours(first.addr());
        if !is_ours {
            // SAFETY: libc's function of this name, for a list that libc's getaddrinfo has made.
            return unsafe { FREEADDRINFO.get::<Function>()(first) };
        }
        let mut next = first;
        while !next.is_null() {
            // SAFETY: `getaddrinfo` above has made each from a box, and lent it to the caller.
            let answer = unsafe { Box::from_raw(next.cast::<Answer>()) };
            with(|world| world.names.lent.retain(|lent| *lent != next.addr()));
            next = answer.info.ai_next;
        }
    });
}

fn is_ours(address: usize) -> bool {
    THREAD.get().is_some() && with(|world| world.names.lent.contains(&address))
}
