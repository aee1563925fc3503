//! The look-up of hosts that are to be added to a list.

use std::ffi::CString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Host, Hosts};
use crate::net::authority::Authority;
use crate::net::resolve::{Addresses, LookupError};
use crate::os::reserve;
use crate::status::Error;

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
    /// Looks hosts up, all at the same time. For those that are in the list by their name, the addresses there are used.
    /// The timeout is for all of them together.
    pub fn all(
        hosts: &Hosts,
        authorities: Vec<Authority>,
        timeout: Duration,
    ) -> impl Iterator<Item = Result<Resolved, Unresolved>> {
        let (begun, left_out) = Resolved::begin_all(authorities, |authority| match hosts.named(&authority) {
            Some(listed) => Resolved::listed(authority, &listed),
            None => Resolved::begin(authority),
        });
        let looked_up = Resolved::wait(begun, timeout);
        looked_up.map(|(host, failure)| failure.map_or(Ok(host), Err)).chain(left_out.map(Err))
    }

    /// Looks up the hosts of a profile, all at the same time. The timeout is for all of them together. If at least one
    /// has an address, those without one are included, and `warn` is called for each; they are looked up again when
    /// their turn comes. If none has an address, the first failure is returned.
    pub fn of_profile(
        authorities: Vec<Authority>,
        timeout: Duration,
        warn: impl FnMut(&Unresolved),
    ) -> Result<Vec<Resolved>, Unresolved> {
        let (begun, left_out) = Resolved::begin_all(authorities, Resolved::begin);
        if let Some(unresolved) = left_out {
            return Err(unresolved);
        }
        let (hosts, failures): (Vec<_>, Vec<_>) = Resolved::wait(begun, timeout).unzip();
        let mut failures: Vec<Unresolved> = failures.into_iter().flatten().collect();
        if !failures.is_empty() && failures.len() == hosts.len() {
            return Err(failures.swap_remove(0));
        }
        failures.iter().for_each(warn);
        Ok(hosts)
    }

    fn listed(authority: Authority, host: &Host) -> Resolved {
        let addresses = Arc::clone(host.addresses());
        Resolved { authority, known: addresses.known(), addresses }
    }

    /// Begins to look hosts up by `begin`, until memory is short. Returns the first that is left out then.
    fn begin_all(
        authorities: Vec<Authority>,
        begin: impl Fn(Authority) -> Resolved,
    ) -> (Vec<Resolved>, Option<Unresolved>) {
        let mut begun = Vec::new();
        for authority in authorities {
            if reserve::is_low() || begun.try_reserve(1).is_err() {
                let error = LookupError::Local(Error::OutOfMemory);
                let name = authority.host.written().to_owned();
                return (begun, Some(Unresolved { name, error }));
            }
            begun.push(begin(authority));
        }
        (begun, None)
    }

    /// Begins to look a host up.
    fn begin(authority: Authority) -> Resolved {
        let addresses = Addresses::new(authority.host.clone(), authority.number);
        addresses.begin_look_up();
        Resolved { authority, known: addresses.known(), addresses }
    }

    /// Waits for the look-ups of hosts. Returns each host, with the failure if it has no address.
    fn wait(hosts: Vec<Resolved>, timeout: Duration) -> impl Iterator<Item = (Resolved, Option<Unresolved>)> {
        let deadline = Instant::now() + timeout;
        hosts.into_iter().map(move |host| match host.addresses.wait(deadline) {
            Ok(known) => (Resolved { known, ..host }, None),
            Err(error) => {
                let name = host.authority.host.written().to_owned();
                (host, Some(Unresolved { name, error }))
            }
        })
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
