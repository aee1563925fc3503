//! The system's resolver.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{addrinfo, c_int, sockaddr_in, sockaddr_in6};

/// Why it has no address.
#[derive(Debug)]
pub enum Failure {
    /// Its own words.
    Resolver(String),
    /// Out of memory.
    OutOfMemory,
    /// A system call failed.
    System(io::Error),
}

/// The addresses of a name, without asking anybody if it writes one out.
pub fn addresses(name: &CStr, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let mut found = Vec::new();
    get_addresses(name, 0, |address| found.push(with_port(address, port)))?;
    Ok(found)
}

/// The address that a text writes out, in any of the resolver's notations. Nobody is asked.
pub fn numeric(text: &CStr) -> Option<IpAddr> {
    let mut found = None;
    get_addresses(text, libc::AI_NUMERICHOST, |address| found = Some(address.ip())).ok()?;
    found
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// getaddrinfo(3), for stream sockets.
fn get_addresses(name: &CStr, flags: c_int, mut take: impl FnMut(SocketAddr)) -> Result<(), Failure> {
    // SAFETY: zero is a value of each field: a number or NULL.
    let mut hints: addrinfo = unsafe { mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = flags;
    let mut first = ptr::null_mut();
    // SAFETY: the name ends with a NUL, a NULL service asks for no port, and both structs live through the call.
    let outcome = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut first) };
    match outcome {
        0 => {}
        libc::EAI_SYSTEM => return Err(Failure::System(io::Error::last_os_error())),
        libc::EAI_MEMORY => return Err(Failure::OutOfMemory),
        other => {
            // SAFETY: it gives a constant string for every number.
            let text = unsafe { CStr::from_ptr(libc::gai_strerror(other)) };
            return Err(Failure::Resolver(text.to_string_lossy().into_owned()));
        }
    }
    let mut next = first;
    // SAFETY: getaddrinfo(3) gave a list that ends with NULL, and nobody else has it.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: an entry's address is of its family.
        if let Some(address) = unsafe { socket_address(entry) } {
            take(address);
        }
        next = entry.ai_next;
    }
    // SAFETY: as above; no entry is used any more.
    unsafe { libc::freeaddrinfo(first) };
    Ok(())
}

/// # Safety
/// The entry's `ai_addr` is NULL or points to an address of the family that it names.
unsafe fn socket_address(entry: &addrinfo) -> Option<SocketAddr> {
    if entry.ai_addr.is_null() {
        return None;
    }
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: the caller's promise; whatever its alignment, it is copied.
            let address = unsafe { entry.ai_addr.cast::<sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { entry.ai_addr.cast::<sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, 0, 0, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_becomes_its_number() {
        let Ok(found) = addresses(c"fe80::1%lo", 80) else { panic!("not found") };
        let [SocketAddr::V6(address)] = found[..] else { panic!("{found:?}") };
        assert!(address.scope_id() > 0);
        assert_eq!(address.port(), 80);
    }

    #[test]
    fn a_name_is_no_number() {
        assert_eq!(numeric(c"localhost"), None);
        assert_eq!(numeric(c"127.1"), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn what_is_not_found_is_told_in_words() {
        let name = std::ffi::CString::new("x".repeat(64)).unwrap();
        assert!(matches!(addresses(&name, 80), Err(Failure::Resolver(text)) if !text.is_empty()));
    }
}
