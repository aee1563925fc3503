//! What a host is called: a DNS name, or an address written out.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv6Addr};

use crate::os::sys::resolver;
use crate::status::Error;

/// The longest name that DNS knows, in characters (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// The name of a host, in the form that is looked up and in the one that the peer is told.
#[derive(Clone, Debug)]
pub struct HostName {
    /// Without brackets.
    written: CString,
    /// Without a final dot or a zone as well.
    peer_form: CString,
    /// The address, if it is one that is written out.
    address: Option<IpAddr>,
    has_zone: bool,
}

impl HostName {
    /// What a text stands for. Brackets around it say nothing more.
    ///
    /// Whatever the resolver takes as an address is one: `127.1` and `0x7f000001` are 127.0.0.1 (inet_aton(3)).
    pub fn new(text: &CStr) -> Result<HostName, Error> {
        let name = HostName::parse(text.to_bytes())?;
        // No DNS name has a colon.
        let is_malformed = name.address.is_none() && name.peer_form.as_bytes().contains(&b':');
        if is_malformed { Err(Error::Invalid) } else { Ok(name) }
    }

    fn parse(text: &[u8]) -> Result<HostName, Error> {
        let written = without_brackets(text);
        let is_odd = |byte: &u8| byte.is_ascii_control() || matches!(byte, b' ' | b'[' | b']');
        let undotted = without_final_dot(written);
        if undotted.is_empty() || written.iter().any(is_odd) {
            return Err(Error::Invalid);
        }
        let (unzoned, zone) = split_zone(undotted);
        let address = address(unzoned);
        let has_zone = address.is_some() && zone.is_some();
        let peer_form = if has_zone { unzoned } else { undotted };
        let written = if address.is_some() { undotted } else { written };
        let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Error::Invalid);
        Ok(HostName { written: c_string(written)?, peer_form: c_string(peer_form)?, address, has_zone })
    }

    /// The virtual host of a bucket. That of an IPv6 address is no name, and will not be found.
    pub fn virtual_host(&self, bucket: &[u8]) -> Result<HostName, Error> {
        let name = HostName::parse(&[bucket, b".", self.written.as_bytes()].concat())?;
        if name.peer_form.count_bytes() > LONGEST_NAME { Err(Error::NameTooLong) } else { Ok(name) }
    }

    /// The bucket, if this is a virtual host of that host. Buckets are told apart by the case of their letters.
    pub fn bucket_under(&self, host: &HostName) -> Option<&[u8]> {
        let (own, host) = (self.undotted(), host.undotted());
        let (bucket, suffix) = own.split_at_checked(own.len().checked_sub(host.len())?)?;
        bucket.strip_suffix(b".").filter(|_| suffix.eq_ignore_ascii_case(host))
    }

    /// As somebody wrote it, without brackets. It is looked up in this form: a final dot says that the name is
    /// a whole one (resolv.conf(5), `ndots`).
    pub fn written(&self) -> &CStr {
        &self.written
    }

    /// What the peer is told: without a final dot, which is no part of a server name (RFC 6066, section 3), and
    /// without a zone, which says something to this machine alone (RFC 6874, section 1).
    pub fn peer_form(&self) -> &CStr {
        &self.peer_form
    }

    /// The address, if one is written out.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The address, if no look-up can tell more. The number of a zone changes with the interfaces.
    pub fn literal(&self) -> Option<IpAddr> {
        self.address.filter(|_| !self.has_zone)
    }

    /// Whether both are the same name. Letters of either case are the same (RFC 4343).
    pub fn is_same(&self, other: &HostName) -> bool {
        self.undotted().eq_ignore_ascii_case(other.undotted())
    }

    /// The same for names that are the same, and no others.
    pub fn key(&self) -> Vec<u8> {
        self.undotted().to_ascii_lowercase()
    }

    fn undotted(&self) -> &[u8] {
        without_final_dot(self.written.as_bytes())
    }
}

fn without_brackets(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(name)
}

fn without_final_dot(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

/// An address, and the zone that it counts in (RFC 4007, section 11).
fn split_zone(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    match name.iter().position(|byte| *byte == b'%') {
        Some(place) if is_ipv6(&name[..place]) => (&name[..place], Some(&name[place + 1..])),
        _ => (name, None),
    }
}

fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// The address that a text writes out. One of IPv4 that is mapped to IPv6 is one of IPv4: that is what the
/// packets carry.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let exact = std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok());
    // The resolver knows more notations; all of them begin with a digit or have a colon.
    let may_be = text.first().is_some_and(u8::is_ascii_digit) || text.contains(&b':');
    let asked = || resolver::numeric(&CString::new(text).ok().filter(|_| may_be)?);
    exact.or_else(asked).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<HostName> {
        HostName::new(&CString::new(text).unwrap()).ok()
    }

    /// What is looked up, what the peer is told, and the address.
    fn forms(text: &str) -> Option<(String, String, Option<String>)> {
        let name = named(text)?;
        let text = |text: &CStr| text.to_str().unwrap().to_owned();
        Some((
            text(name.written()),
            text(name.peer_form()),
            name.address().map(|address| address.to_string()),
        ))
    }

    fn some(
        looked_up: &str,
        peer_form: &str,
        address: Option<&str>,
    ) -> Option<(String, String, Option<String>)> {
        Some((looked_up.to_owned(), peer_form.to_owned(), address.map(str::to_owned)))
    }

    #[test]
    fn a_final_dot_is_for_the_look_up_alone() {
        assert_eq!(forms("s3.example."), some("s3.example.", "s3.example", None));
        assert_eq!(forms("s3.example"), some("s3.example", "s3.example", None));
        let bucket = named("s3.example.").unwrap().virtual_host(b"b").unwrap();
        assert_eq!((bucket.written(), bucket.peer_form()), (c"b.s3.example.", c"b.s3.example"));
        assert_eq!(forms("127.0.0.1."), some("127.0.0.1", "127.0.0.1", Some("127.0.0.1")));
    }

    #[test]
    fn what_the_resolver_takes_as_an_address_is_one() {
        for text in ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"] {
            assert_eq!(forms(text), some(text, text, Some("127.0.0.1")));
        }
        assert_eq!(forms("[::1]"), some("::1", "::1", Some("::1")));
        assert_eq!(
            forms("[::ffff:127.0.0.1]"),
            some("::ffff:127.0.0.1", "::ffff:127.0.0.1", Some("127.0.0.1"))
        );
        for text in ["localhost", "127.0.0.1.example", "1e100", "256.256.256.256", "7f.example"] {
            assert_eq!(forms(text), some(text, text, None));
        }
    }

    #[test]
    fn a_zone_is_for_this_machine_alone() {
        assert_eq!(forms("[fe80::1%lo]"), some("fe80::1%lo", "fe80::1", Some("fe80::1")));
        assert_eq!(forms("fe80::1%nowhere"), some("fe80::1%nowhere", "fe80::1", Some("fe80::1")));
        assert_eq!(named("fe80::1%lo").unwrap().literal(), None, "its number may change");
        assert!(named("fe80::1").unwrap().literal().is_some());
        assert_eq!(forms("a%b"), some("a%b", "a%b", None));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", ".", "[]", "a:b", "[::1", "::1]", "a b", "a\rb", "\t", "::1::", "a:b%lo"] {
            assert!(named(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn names_are_the_same_in_either_case_and_with_a_final_dot() {
        let same = |one: &str, other: &str| {
            let (one, other) = (named(one).unwrap(), named(other).unwrap());
            assert_eq!(one.is_same(&other), one.key() == other.key());
            one.is_same(&other)
        };
        assert!(same("S3.example", "s3.EXAMPLE."));
        assert!(!same("s3.example", "s4.example"));
        assert!(!same("fe80::1%1", "fe80::1%2"));
    }

    #[test]
    fn virtual_hosts_are_names() {
        let host = |name: &str, bucket: &str| named(name).unwrap().virtual_host(bucket.as_bytes()).err();
        assert_eq!(host("h.example", "b\r\nX: 1"), Some(Error::Invalid));
        assert_eq!(host("::1", "b"), None);
        let longest = "b".repeat(LONGEST_NAME - ".h.example".len());
        assert_eq!(host("h.example.", &longest), None);
        assert_eq!(host("h.example", &(longest + "b")), Some(Error::NameTooLong));
        let bucket = |name: &str| Some(named(name)?.bucket_under(&named("h.example.")?)?.to_owned());
        assert_eq!(bucket("b.c.H.example"), Some(b"b.c".to_vec()));
        assert_eq!((bucket("h.example"), bucket("xh.example"), bucket("b.i.example")), (None, None, None));
    }
}
