//! The system's resolver (getaddrinfo(3)).

use std::ffi::CStr;
use std::hint;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{addrinfo, c_int, sockaddr_in, sockaddr_in6};

/// A failed look-up.
#[derive(Debug)]
pub enum ResolverError {
    /// The resolver found no address. The text is the resolver's (gai_strerror(3)).
    NotFound(String),
    /// Memory is short.
    OutOfMemory,
    /// A system call failed.
    System(io::Error),
}

/// Looks up the addresses of a name, with port 0. A name that is an address itself needs no name server.
pub fn addresses(name: &CStr) -> Result<Vec<SocketAddr>, ResolverError> {
    let mut found = Vec::new();
    get_addresses(name, 0, |address| found.push(address))?;
    Ok(found)
}

/// Returns the address that a text is, in any notation that the resolver knows. `None` for a name. Asks no name
/// server.
pub fn numeric(text: &CStr) -> Option<IpAddr> {
    let mut found = None;
    get_addresses(text, libc::AI_NUMERICHOST, |address| found = Some(address.ip())).ok()?;
    found
}

/// Memory in bytes that must be there before a look-up begins. glibc 2.36 follows NULL if the resolver's first blocks
/// cannot be had (`nss_database_check_reload_and_get`), and finds that a name is unknown if others cannot. The figure is
/// more than a look-up in /etc/hosts takes, and than the greatest block of the libraries' reserve.
const NEEDED: usize = 64 * 1024;

/// Calls getaddrinfo(3), and `take` for each address.
fn get_addresses(name: &CStr, flags: c_int, mut take: impl FnMut(SocketAddr)) -> Result<(), ResolverError> {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(NEEDED).map_err(|_| ResolverError::OutOfMemory)?;
    drop(hint::black_box(probe));
    // SAFETY: an addrinfo of zeros is valid: its fields are numbers and pointers.
    let mut hints: addrinfo = unsafe { mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = flags;
    let mut first = ptr::null_mut();
    // SAFETY: the name ends with a NUL, NULL is no service, the hints are readable, and `first` is writable.
    let outcome = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut first) };
    match outcome {
        0 => {}
        libc::EAI_SYSTEM => return Err(ResolverError::System(io::Error::last_os_error())),
        libc::EAI_MEMORY => return Err(ResolverError::OutOfMemory),
        other => {
            // SAFETY: gai_strerror(3) returns a constant string for every number.
            let text = unsafe { CStr::from_ptr(libc::gai_strerror(other)) };
            return Err(ResolverError::NotFound(text.to_string_lossy().into_owned()));
        }
    }
    let mut next = first;
    // SAFETY: getaddrinfo(3) has returned a list that ends with NULL; it is freed below.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: getaddrinfo(3) returns addresses of the family that the entry names.
        if let Some(address) = unsafe { socket_address(entry) } {
            take(address);
        }
        next = entry.ai_next;
    }
    // SAFETY: getaddrinfo(3) has returned the list, and no entry is used any more.
    unsafe { libc::freeaddrinfo(first) };
    Ok(())
}

/// Returns the address of an entry, with port 0. `None` if its family is neither IPv4 nor IPv6.
///
/// # Safety
/// The entry's `ai_addr` is NULL or points to an address of the family that it names.
unsafe fn socket_address(entry: &addrinfo) -> Option<SocketAddr> {
    if entry.ai_addr.is_null() {
        return None;
    }
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: an AF_INET address is a sockaddr_in (contract of this function). Any alignment will do.
            let address = unsafe { entry.ai_addr.cast::<sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: an AF_INET6 address is a sockaddr_in6 (contract of this function). Any alignment will do.
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
        let Ok(found) = addresses(c"fe80::1%lo") else { panic!("not found") };
        let [SocketAddr::V6(address)] = found[..] else { panic!("{found:?}") };
        assert!(address.scope_id() > 0);
    }

    #[test]
    fn a_name_is_not_numeric() {
        assert_eq!(numeric(c"localhost"), None);
        assert_eq!(numeric(c"127.1"), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn a_name_that_is_not_found_has_a_text() {
        let name = std::ffi::CString::new("x".repeat(64)).unwrap();
        assert!(matches!(addresses(&name), Err(ResolverError::NotFound(text)) if !text.is_empty()));
    }
}
