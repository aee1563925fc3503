//! Which host of a list is meant: the one of that name, or the one at that address.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Host, Hosts};
use crate::net::authority::Authority;
use crate::net::resolve::Addresses;

impl Host {
    /// Whether it has this name and port.
    pub fn is_called(&self, authority: &Authority) -> bool {
        self.addresses().port() == authority.number && self.addresses().name().is_same(&authority.host)
    }
}

impl Hosts {
    /// The host of this name and port.
    pub fn named(&self, authority: &Authority) -> Option<Arc<Host>> {
        let entries = self.entries.lock();
        let found = entries.iter().find(|entry| entry.host.is_called(authority))?;
        Some(Arc::clone(&found.host))
    }

    /// The host that these addresses belong to; see [`at_any_of`].
    pub fn at_any_of(&self, addresses: &[SocketAddr]) -> Option<Arc<Host>> {
        at_any_of(&self.all(), addresses).cloned()
    }

    /// The host that a name leads to, which takes a look-up.
    pub fn reached_by(&self, authority: &Authority, patience: Duration) -> Option<Arc<Host>> {
        let addresses = Addresses::new(authority.host.clone(), authority.number);
        self.at_any_of(&addresses.current(patience).ok()?)
    }
}

/// The host that these addresses belong to: the one that shares the most of them and has the fewest others. Of
/// several the one whose first address is theirs.
pub fn at_any_of<'a>(hosts: &'a [Arc<Host>], addresses: &[SocketAddr]) -> Option<&'a Arc<Host>> {
    let ranked = hosts.iter().rev().filter_map(|host| {
        let known = host.addresses().known();
        let shared = addresses.iter().filter(|address| is_among(&known, address)).count();
        let is_first = known.first().zip(addresses.first()).is_some_and(|(one, other)| is_same(one, other));
        (shared > 0).then_some(((shared, Reverse(known.len()), is_first), host))
    });
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, host)| host)
}

/// The host that has all of these addresses, of which there are some: who adds them adds nothing.
pub fn at_all_of<'a>(hosts: &'a [Arc<Host>], addresses: &[SocketAddr]) -> Option<&'a Arc<Host>> {
    at_any_of(hosts, addresses).filter(|host| {
        let known = host.addresses().known();
        addresses.iter().all(|address| is_among(&known, address))
    })
}

fn is_among(known: &[SocketAddr], address: &SocketAddr) -> bool {
    known.iter().any(|other| is_same(other, address))
}

/// Whether both are the same. C's addresses have no zone, and are the same in any.
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
    use super::*;
    use crate::net::host_name::HostName;

    fn list(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| format!("{address}:80").parse().unwrap()).collect()
    }

    /// A host called by the number of its place.
    fn hosts(all: &[&[&str]]) -> Vec<Arc<Host>> {
        let named = |(place, addresses): (usize, &&[&str])| {
            let name = HostName::new(c"name").unwrap();
            let addresses = Arc::new(Addresses::with_known(name, list(addresses), 80));
            Host::new(c"80".to_owned(), addresses, place)
        };
        all.iter().enumerate().map(named).collect()
    }

    fn any(hosts: &[Arc<Host>], addresses: &[&str]) -> Option<usize> {
        at_any_of(hosts, &list(addresses)).map(|host| host.handle())
    }

    fn all(hosts: &[Arc<Host>], addresses: &[&str]) -> Option<usize> {
        at_all_of(hosts, &list(addresses)).map(|host| host.handle())
    }

    const A: &str = "127.0.0.1";
    const B: &str = "127.0.0.2";
    const C: &str = "127.0.0.3";

    #[test]
    fn any_address_leads_to_its_host() {
        let hosts = hosts(&[&[A, B], &[C], &[]]);
        assert_eq!((any(&hosts, &[A]), any(&hosts, &[B]), any(&hosts, &[C])), (Some(0), Some(0), Some(1)));
        assert_eq!(any(&hosts, &["127.0.0.4"]), None);
        assert_eq!(any(&hosts, &[]), None);
    }

    #[test]
    fn the_best_match_counts() {
        let hosts = hosts(&[&[A, B], &[B], &[B, C]]);
        assert_eq!(any(&hosts, &[B, A]), Some(0), "the same addresses in another order");
        assert_eq!(any(&hosts, &[B]), Some(1), "it has no other");
        assert_eq!(any(&hosts, &[C, B]), Some(2));
        assert_eq!(
            any(&[hosts[2].clone(), hosts[0].clone()], &[B]),
            Some(2),
            "its first one, as in the original"
        );
    }

    #[test]
    fn only_all_addresses_are_nothing_new() {
        let hosts = hosts(&[&[A, B], &[]]);
        assert_eq!((all(&hosts, &[B]), all(&hosts, &[B, A])), (Some(0), Some(0)));
        assert_eq!((all(&hosts, &[A, C]), all(&hosts, &[])), (None, None));
    }

    #[test]
    fn a_zone_counts_where_both_have_one() {
        let hosts = hosts(&[&["[fe80::1%1]"]]);
        assert_eq!(any(&hosts, &["[fe80::1]"]), Some(0));
        assert_eq!(any(&hosts, &["[fe80::1%2]"]), None);
    }
}
