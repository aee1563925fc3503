//! The search for a host of a list, by name or by address.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Host, Hosts};
use crate::net::authority::Authority;
use crate::net::resolve::Addresses;

impl Host {
    /// True if it has this name and port.
    pub fn is_called(&self, authority: &Authority) -> bool {
        self.addresses().port() == authority.number && self.addresses().name().is_same(&authority.host)
    }
}

impl Hosts {
    /// Finds the host of this name and port.
    pub fn named(&self, authority: &Authority) -> Option<Arc<Host>> {
        let breakers = self.breakers.lock();
        let found = breakers.iter().find(|breaker| breaker.host.is_called(authority))?;
        Some(Arc::clone(&found.host))
    }

    /// Finds the host that best matches some addresses. It has at least one of them. The host with the most of
    /// them wins, then the one with the fewest other addresses, then the one whose first address is also first
    /// here, then the first in the list.
    pub fn with_any(&self, addresses: &[SocketAddr]) -> Option<Arc<Host>> {
        host_with_any(&self.all(), addresses).cloned()
    }

    /// Looks up the addresses of a name, for as long as the timeout, and finds the host that best matches them.
    pub fn find_by_look_up(&self, authority: &Authority, timeout: Duration) -> Option<Arc<Host>> {
        let addresses = Addresses::new(authority.host.clone(), authority.number);
        self.with_any(&addresses.wait(Instant::now() + timeout).ok()?)
    }
}

/// [`Hosts::with_any`] for the hosts of a list.
fn host_with_any<'a>(hosts: &'a [Arc<Host>], addresses: &[SocketAddr]) -> Option<&'a Arc<Host>> {
    let ranked = hosts.iter().rev().filter_map(|host| {
        let known = host.addresses().known();
        let shared = addresses.iter().filter(|address| is_among(&known, address)).count();
        let is_first = known.first().zip(addresses.first()).is_some_and(|(one, other)| is_same(one, other));
        (shared > 0).then_some(((shared, Reverse(known.len()), is_first), host))
    });
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, host)| host)
}

/// Finds a host that already has all of these addresses, so that adding them would add nothing. `None` for no
/// address at all.
pub fn host_with_all<'a>(hosts: &'a [Arc<Host>], addresses: &[SocketAddr]) -> Option<&'a Arc<Host>> {
    host_with_any(hosts, addresses).filter(|host| {
        let known = host.addresses().known();
        addresses.iter().all(|address| is_among(&known, address))
    })
}

fn is_among(known: &[SocketAddr], address: &SocketAddr) -> bool {
    known.iter().any(|other| is_same(other, address))
}

/// True if two addresses are the same. Addresses from C have no zone (scope id) and match in any zone.
fn is_same(one: &SocketAddr, other: &SocketAddr) -> bool {
    let zone = |address: &SocketAddr| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    let zones_agree = zone(one) == zone(other) || zone(one) == 0 || zone(other) == 0;
    one.ip() == other.ip() && one.port() == other.port() && zones_agree
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;
    use crate::net::host_name::HostName;

    fn list(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| format!("{address}:80").parse().unwrap()).collect()
    }

    /// Makes hosts with these addresses; the handle of each is its place.
    fn hosts(all: &[&[&str]]) -> Vec<Arc<Host>> {
        let named = |(place, addresses): (usize, &&[&str])| {
            let name = HostName::new(c"name").unwrap();
            let addresses = Addresses::with_known(name, list(addresses), 80);
            Host::new(c"80".to_owned(), addresses, place)
        };
        all.iter().enumerate().map(named).collect()
    }

    fn any(hosts: &[Arc<Host>], addresses: &[&str]) -> Option<usize> {
        host_with_any(hosts, &list(addresses)).map(|host| host.handle())
    }

    fn all(hosts: &[Arc<Host>], addresses: &[&str]) -> Option<usize> {
        host_with_all(hosts, &list(addresses)).map(|host| host.handle())
    }

    const A: &str = "127.0.0.1";
    const B: &str = "127.0.0.2";
    const C: &str = "127.0.0.3";

    #[test]
    fn a_host_is_found_by_any_of_its_addresses() {
        let hosts = hosts(&[&[A, B], &[C], &[]]);
        assert_eq!((any(&hosts, &[A]), any(&hosts, &[B]), any(&hosts, &[C])), (Some(0), Some(0), Some(1)));
        assert_eq!(any(&hosts, &["127.0.0.4"]), None);
        assert_eq!(any(&hosts, &[]), None);
    }

    #[test]
    fn the_best_match_is_found() {
        let hosts = hosts(&[&[A, B], &[B], &[B, C]]);
        assert_eq!(any(&hosts, &[B, A]), Some(0), "the same addresses in another order");
        assert_eq!(any(&hosts, &[B]), Some(1), "it has no other address");
        assert_eq!(any(&hosts, &[C, B]), Some(2));
        assert_eq!(
            any(&[hosts[2].clone(), hosts[0].clone()], &[B]),
            Some(2),
            "its first address, as in the original"
        );
    }

    #[test]
    fn a_host_with_all_addresses_is_found() {
        let hosts = hosts(&[&[A, B], &[]]);
        assert_eq!((all(&hosts, &[B]), all(&hosts, &[B, A])), (Some(0), Some(0)));
        assert_eq!((all(&hosts, &[A, C]), all(&hosts, &[])), (None, None));
    }

    #[test]
    fn zones_are_compared_if_both_addresses_have_one() {
        let hosts = hosts(&[&["[fe80::1%1]"]]);
        assert_eq!(any(&hosts, &["[fe80::1]"]), Some(0));
        assert_eq!(any(&hosts, &["[fe80::1%2]"]), None);
    }

    #[test]
    fn an_address_without_a_zone_matches_in_any_zone() {
        let zone = |id| SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, id));
        let same = |one, other| is_same(&zone(one), &zone(other));
        assert_eq!([same(5, 5), same(0, 5), same(5, 0), same(0, 0)], [true; 4]);
        assert!(!same(5, 6));
    }
}
