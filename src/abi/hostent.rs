//! `struct hostent`: built for C to read, and read from C.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

use libc::{c_char, c_void, hostent};

use super::memory::Block;
use crate::status::Error;

/// A `hostent` with the memory that it points into. Each is one block from malloc.
pub struct OwnedHostent {
    /// The struct.
    pub entry: Block<hostent>,
    /// What it points to.
    pub buffer: Block<c_char>,
}

/// The bytes of an address, as `h_addr_list` has them.
fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

impl OwnedHostent {
    /// An entry of this name. All its addresses are of one family, that of the first.
    pub fn new(name: &CStr, addresses: &[SocketAddr]) -> Result<OwnedHostent, Error> {
        let family = addresses.first().ok_or(Error::NotFound)?.is_ipv4();
        let addresses: Vec<_> =
            addresses.iter().filter(|it| it.is_ipv4() == family).map(|it| octets(it.ip())).collect();
        let length = addresses[0].len();
        let text = name.to_bytes_with_nul();

        // The buffer: no alias, the list of addresses, the addresses, the name.
        let pointers = (1 + addresses.len() + 1) * size_of::<*mut c_char>();
        let buffer: Block<c_char> = Block::of_size(pointers + addresses.len() * length + text.len())?;
        let entry: Block<hostent> = Block::new()?;
        // SAFETY: every write stays in the sizes computed above; malloc aligns for pointers, which come
        // first.
        unsafe {
            let aliases = buffer.as_ptr().cast::<*mut c_char>();
            aliases.write(ptr::null_mut());
            let list = aliases.add(1);
            let mut next = buffer.as_ptr().byte_add(pointers);
            for (index, octets) in addresses.iter().enumerate() {
                list.add(index).write(next);
                next.cast::<u8>().copy_from_nonoverlapping(octets.as_ptr(), length);
                next = next.add(length);
            }
            list.add(addresses.len()).write(ptr::null_mut());
            next.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            let h_addrtype = if family { libc::AF_INET } else { libc::AF_INET6 };
            entry.as_ptr().write(hostent {
                h_name: next,
                h_aliases: aliases,
                h_addrtype,
                h_length: length as i32,
                h_addr_list: list,
            });
        }
        Ok(OwnedHostent { entry, buffer })
    }
}

/// The addresses of an entry.
///
/// # Safety
/// `entry` is NULL or points to a `hostent` as gethostbyname(3) describes it.
pub unsafe fn addresses(entry: *const hostent) -> Vec<IpAddr> {
    let mut found = Vec::new();
    // SAFETY: the caller's promise: the list ends with NULL, and each address has the family's length.
    unsafe {
        let Some(entry) = entry.as_ref() else { return found };
        let mut next = entry.h_addr_list;
        while !next.is_null() && !(*next).is_null() {
            let octets = (*next).cast::<c_void>();
            match entry.h_addrtype {
                libc::AF_INET => found.push(Ipv4Addr::from(octets.cast::<[u8; 4]>().read()).into()),
                libc::AF_INET6 => found.push(Ipv6Addr::from(octets.cast::<[u8; 16]>().read()).into()),
                _ => return found,
            }
            next = next.add(1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(texts: &[&str]) -> Vec<String> {
        let all: Vec<SocketAddr> =
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 80)).collect();
        let OwnedHostent { entry, buffer } = OwnedHostent::new(c"name", &all).unwrap();
        // SAFETY: just made, and both parts are alive.
        let read = unsafe {
            let entry = entry.as_ptr();
            assert_eq!(CStr::from_ptr((*entry).h_name), c"name");
            assert!((*(*entry).h_aliases).is_null());
            addresses(entry).iter().map(IpAddr::to_string).collect()
        };
        drop(buffer);
        read
    }

    #[test]
    fn what_is_built_can_be_read() {
        assert_eq!(round_trip(&["127.0.0.1", "127.0.0.2"]), ["127.0.0.1", "127.0.0.2"]);
        assert_eq!(round_trip(&["::1"]), ["::1"]);
    }

    #[test]
    fn one_family_only() {
        assert_eq!(round_trip(&["::1", "127.0.0.1", "::2"]), ["::1", "::2"]);
        assert!(OwnedHostent::new(c"name", &[]).is_err());
    }
}
