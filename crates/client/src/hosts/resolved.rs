//! The look-up of hosts that are to be added to a list.

use std::ffi::CString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Hosts;
use crate::net::authority::Authority;
use crate::net::resolve::{Addresses, LookupError};

/// A host that was looked up.
pub struct Resolved {
    /// Its name and port.
    pub authority: Authority,
    /// Its addresses, which the host in the list will share.
    pub addresses: Arc<Addresses>,
    /// The addresses that are known now; none if the look-up failed.
    pub known: Arc<[SocketAddr]>,
}

/// A host without an address.
pub struct Unresolved {
    name: CString,
    /// The reason.
    pub error: LookupError,
}

impl Resolved {
    /// Looks a host up, unless a host of that name is in the list: then its addresses are used.
    pub fn new(hosts: &Hosts, authority: Authority, timeout: Duration) -> Result<Resolved, Unresolved> {
        if let Some(listed) = hosts.named(&authority) {
            let addresses = Arc::clone(listed.addresses());
            return Ok(Resolved { authority, known: addresses.known(), addresses });
        }
        let (host, failure) = Resolved::look_up(authority, timeout);
        failure.map_or(Ok(host), Err)
    }

    /// Looks up the hosts of a profile. If at least one has an address, those without one are included, and
    /// `warn` is called for each; they are looked up again when their turn comes. If none has an address, the
    /// first failure is returned.
    pub fn of_profile(
        authorities: Vec<Authority>,
        timeout: Duration,
        warn: impl FnMut(&Unresolved),
    ) -> Result<Vec<Resolved>, Unresolved> {
        let look_up = |authority| Resolved::look_up(authority, timeout);
        let (hosts, failures): (Vec<_>, Vec<_>) = authorities.into_iter().map(look_up).unzip();
        let mut failures: Vec<Unresolved> = failures.into_iter().flatten().collect();
        if !failures.is_empty() && failures.len() == hosts.len() {
            return Err(failures.swap_remove(0));
        }
        failures.iter().for_each(warn);
        Ok(hosts)
    }

    /// Looks a host up. Returns it in any case, and the failure if there is one.
    fn look_up(authority: Authority, timeout: Duration) -> (Resolved, Option<Unresolved>) {
        let addresses = Arc::new(Addresses::new(authority.host.clone(), authority.number));
        let (known, failure) = match addresses.current(timeout) {
            Ok(known) => (known, None),
            Err(error) => {
                (Arc::default(), Some(Unresolved { name: authority.host.written().to_owned(), error }))
            }
        };
        (Resolved { authority, addresses, known }, failure)
    }
}

impl Unresolved {
    /// The text of a warning, in a list that has other hosts.
    pub fn warning(&self) -> String {
        format!("{self}; it is looked up again when its turn comes")
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no address for {}: {}", self.name.to_string_lossy(), self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::authority::parse_list;

    /// Looks up hosts that need no name server: addresses, and, for each `?`, a label that is too long.
    fn of_profile(list: &str) -> (Result<Vec<usize>, String>, usize) {
        let unknown = "x".repeat(64);
        let list = list.replace('?', &unknown);
        let authorities = parse_list(&list, c"80").map(|entry| entry.authority.unwrap()).collect();
        let mut warnings = 0;
        let hosts = Resolved::of_profile(authorities, Duration::ZERO, |unresolved| {
            assert!(unresolved.warning().contains(&unknown));
            warnings += 1;
        });
        let counts = hosts.map(|hosts| hosts.iter().map(|host| host.known.len()).collect());
        (counts.map_err(|unresolved| unresolved.to_string()), warnings)
    }

    #[test]
    fn one_host_with_an_address_is_enough() {
        assert_eq!(of_profile("127.0.0.1"), (Ok(vec![1]), 0));
        assert_eq!(of_profile("?:1;127.0.0.1;?:2"), (Ok(vec![0, 1, 0]), 2));
        assert_eq!(of_profile(""), (Ok(vec![]), 0));
    }

    #[test]
    fn hosts_without_any_address_are_refused() {
        let (hosts, warnings) = of_profile("?:1;?:2");
        assert!(hosts.is_err_and(|error| error.starts_with("no address for x")));
        assert_eq!(warnings, 0);
    }
}
