//! `struct hostent`: made for C, and read from C.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

use libc::{c_char, c_void, hostent};

use super::memory::Block;
use droplet_client::status::Error;

/// A `hostent` and the memory that it points to, as two blocks from malloc(3).
pub struct OwnedHostent {
    /// The struct.
    pub entry: Block<hostent>,
    /// The memory that it points to.
    pub buffer: Block<c_char>,
}

/// Size of the longest address of either family in bytes.
const LONGEST_ADDRESS: usize = 16;

impl OwnedHostent {
    /// Makes an entry with this name and room for `room` addresses; see [`show`]. A host without an address has
    /// 0.0.0.0, because programs follow the first pointer without a check.
    pub fn new(name: &CStr, addresses: &[SocketAddr], room: usize) -> Result<OwnedHostent, Error> {
        let text = name.to_bytes_with_nul();
        // Contents of the buffer: an empty list of aliases, the list of addresses, the addresses, the name.
        let pointers = (1 + room + 1) * size_of::<*mut c_char>();
        let octets = room * LONGEST_ADDRESS;
        let buffer: Block<c_char> = Block::of_size(pointers + octets + text.len())?;
        let entry: Block<hostent> = Block::new()?;
        // SAFETY: every write stays in the sizes computed above. malloc(3) aligns for pointers, which come first.
        unsafe {
            let aliases = buffer.as_ptr().cast::<*mut c_char>();
            aliases.write(ptr::null_mut());
            let h_name = buffer.as_ptr().byte_add(pointers + octets);
            h_name.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            entry.as_ptr().write(hostent {
                h_name,
                h_aliases: aliases,
                h_addrtype: libc::AF_UNSPEC,
                h_length: 0,
                h_addr_list: aliases.add(1),
            });
            let none = [SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)];
            show(entry.as_ptr(), if addresses.is_empty() { &none } else { addresses }, room);
        }
        Ok(OwnedHostent { entry, buffer })
    }
}

/// Replaces the addresses of an entry by those of the same family as the first, as many as it has room for.
///
/// The memory stays the same, so a program that still has a pointer into it reads an old or a new address.
///
/// # Safety
/// `entry` came from [`OwnedHostent::new`] with this room, and nobody else writes to it.
pub unsafe fn show(entry: *mut hostent, addresses: &[SocketAddr], room: usize) {
    let Some(first) = addresses.first() else { return };
    let family = addresses.iter().filter(|it| it.is_ipv4() == first.is_ipv4());
    // SAFETY: behind the list of `room` pointers and a NULL lie `room` addresses (contract of this function).
    unsafe {
        let list = (*entry).h_addr_list;
        let mut octets = list.add(room + 1).cast::<c_char>();
        let mut count = 0;
        for address in family.take(room) {
            match address.ip() {
                IpAddr::V4(ip) => octets.cast::<[u8; 4]>().write(ip.octets()),
                IpAddr::V6(ip) => octets.cast::<[u8; 16]>().write(ip.octets()),
            }
            list.add(count).write(octets);
            octets = octets.add(LONGEST_ADDRESS);
            count += 1;
        }
        list.add(count).write(ptr::null_mut());
        (*entry).h_addrtype = if first.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        (*entry).h_length = if first.is_ipv4() { 4 } else { 16 };
    }
}

/// Returns the addresses of an entry.
///
/// # Safety
/// `entry` is NULL or points to a `hostent` as gethostbyname(3) describes it.
pub unsafe fn addresses(entry: *const hostent) -> Vec<IpAddr> {
    let mut found = Vec::new();
    // SAFETY: `entry` is NULL or a valid `hostent` (contract of this function): its list ends with NULL, and each
    // address has the length of the family.
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

    fn socket_addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 80)).collect()
    }

    /// Shows each of these sets of addresses in turn, and returns the addresses that C reads in the end.
    fn shown_in_turn(room: usize, turns: &[&[&str]]) -> Vec<String> {
        let first = socket_addresses(turns[0]);
        let OwnedHostent { entry, buffer } = OwnedHostent::new(c"name", &first, room).unwrap();
        // SAFETY: just made, and both parts are alive.
        let read = unsafe {
            let entry = entry.as_ptr();
            for turn in &turns[1..] {
                show(entry, &socket_addresses(turn), room);
            }
            assert_eq!(CStr::from_ptr((*entry).h_name), c"name");
            assert!((*(*entry).h_aliases).is_null());
            addresses(entry).iter().map(IpAddr::to_string).collect()
        };
        drop(buffer);
        read
    }

    #[test]
    fn addresses_can_be_read_back() {
        assert_eq!(shown_in_turn(2, &[&["127.0.0.1", "127.0.0.2"]]), ["127.0.0.1", "127.0.0.2"]);
        assert_eq!(shown_in_turn(1, &[&["::1"]]), ["::1"]);
    }

    #[test]
    fn addresses_are_of_one_family() {
        assert_eq!(shown_in_turn(3, &[&["::1", "127.0.0.1", "::2"]]), ["::1", "::2"]);
    }

    #[test]
    fn addresses_are_replaced() {
        assert_eq!(shown_in_turn(2, &[&["127.0.0.1"], &["::1", "::2"]]), ["::1", "::2"]);
        assert_eq!(shown_in_turn(2, &[&["::1", "::2"], &["127.0.0.1"]]), ["127.0.0.1"]);
        assert_eq!(shown_in_turn(1, &[&["127.0.0.1"], &[]]), ["127.0.0.1"], "none at all");
    }

    #[test]
    fn no_address_reads_as_0_0_0_0() {
        assert_eq!(shown_in_turn(1, &[&[]]), ["0.0.0.0"]);
        assert_eq!(shown_in_turn(1, &[&[], &["::1"]]), ["::1"]);
    }

    #[test]
    fn addresses_without_room_are_left_out() {
        assert_eq!(shown_in_turn(1, &[&["::1"], &["127.0.0.1", "127.0.0.2"]]), ["127.0.0.1"]);
    }
}
