//! The name of a host: a DNS name or an address.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv6Addr};

use crate::os::sys::resolver;
use crate::status::Error;

/// The largest length of a DNS name in characters. RFC 1035, section 2.3.4 allows 255 bytes. A name of 253 characters
/// takes them: in a message a byte with its length stands before each label, which is one more than there are dots, and a
/// zero stands at the end (section 3.1).
const MAX_LENGTH: usize = 253;

/// The name of a host, in the form that is looked up and in the form that is sent to the peer.
#[derive(Clone, Debug)]
pub struct HostName {
    /// The name without brackets.
    written: CString,
    /// The name without brackets, final dot and zone.
    peer_form: CString,
    /// The address, if the name is one.
    address: Option<IpAddr>,
    has_zone: bool,
}

impl HostName {
    /// Reads a name or an address, with or without brackets around it.
    ///
    /// Addresses have all notations of the resolver: `127.1` and `0x7f000001` are 127.0.0.1 (inet_aton(3)).
    pub fn new(text: &CStr) -> Result<HostName, Error> {
        let name = HostName::parse(text.to_bytes())?;
        // No DNS name has a colon.
        let is_malformed = name.address.is_none() && name.peer_form.as_bytes().contains(&b':');
        if is_malformed { Err(Error::Invalid) } else { Ok(name) }
    }

    fn parse(text: &[u8]) -> Result<HostName, Error> {
        let written = without_brackets(text);
        let undotted = without_final_dot(written);
        if undotted.is_empty() || written.iter().any(is_odd) {
            return Err(Error::Invalid);
        }
        let peer_form = without_zone(undotted);
        let address = address(peer_form);
        let has_zone = peer_form.len() < undotted.len();
        let written = if address.is_some() { undotted } else { written };
        let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Error::Invalid);
        Ok(HostName { written: c_string(written)?, peer_form: c_string(peer_form)?, address, has_zone })
    }

    /// Returns the virtual host of a bucket. The one of an IPv6 address is not a name that can be found.
    pub fn virtual_host(&self, bucket: &[u8]) -> Result<HostName, Error> {
        self.check_bucket(bucket)?;
        HostName::parse(&[bucket, b".", self.written.as_bytes()].concat())
    }

    /// Returns the reason why a bucket has no virtual host on this one, if there is one. May be called under a lock.
    pub fn check_bucket(&self, bucket: &[u8]) -> Result<(), Error> {
        let length = bucket.len() + b".".len() + self.undotted().len();
        match () {
            () if bucket.iter().any(is_odd) => Err(Error::Invalid),
            () if length > MAX_LENGTH => Err(Error::NameTooLong),
            () => Ok(()),
        }
    }

    /// Returns the bucket, with its letters in their case, if this is a virtual host of `host`.
    pub fn bucket_under(&self, host: &HostName) -> Option<&[u8]> {
        let (own, host) = (self.undotted(), host.undotted());
        let (bucket, suffix) = own.split_at_checked(own.len().checked_sub(host.len())?)?;
        bucket.strip_suffix(b".").filter(|_| suffix.eq_ignore_ascii_case(host))
    }

    /// Returns the form that is looked up: the text without brackets. A final dot marks an absolute name
    /// (resolv.conf(5), `ndots`).
    pub fn written(&self) -> &CStr {
        &self.written
    }

    /// Returns the form that is sent to the peer. It has no final dot, which is no part of a server name (RFC 6066,
    /// section 3), and no zone, which has a meaning on this machine only (RFC 6874, section 1).
    pub fn peer_form(&self) -> &CStr {
        &self.peer_form
    }

    /// Returns the address, if the name is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the address, if it needs no look-up. One with a zone does: the number of the zone may change.
    pub fn literal(&self) -> Option<IpAddr> {
        self.address.filter(|_| !self.has_zone)
    }

    /// True if both are the same name. The case of letters does not count (RFC 4343).
    pub fn is_same(&self, other: &HostName) -> bool {
        self.undotted().eq_ignore_ascii_case(other.undotted())
    }

    /// Returns a key that is equal for the same names only.
    pub fn key(&self) -> Vec<u8> {
        self.undotted().to_ascii_lowercase()
    }

    fn undotted(&self) -> &[u8] {
        without_final_dot(self.written.as_bytes())
    }
}

/// True for a character that no name has.
fn is_odd(byte: &u8) -> bool {
    byte.is_ascii_control() || matches!(byte, b' ' | b'[' | b']')
}

fn without_brackets(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(name)
}

fn without_final_dot(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

/// Returns an IPv6 address without its zone (RFC 4007, section 11). Other names have none.
fn without_zone(name: &[u8]) -> &[u8] {
    match name.iter().position(|byte| *byte == b'%') {
        Some(place) if is_ipv6(&name[..place]) => &name[..place],
        _ => name,
    }
}

fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Returns the address that a text is. `None` for a name. An IPv4 address that is mapped to IPv6 becomes the IPv4
/// address, which is what the packets carry.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let exact = std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok());
    // The resolver knows more notations. All of them begin with a digit or have a colon.
    let may_be = text.first().is_some_and(u8::is_ascii_digit) || text.contains(&b':');
    let resolved = || resolver::numeric(&CString::new(text).ok().filter(|_| may_be)?);
    exact.or_else(resolved).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<HostName> {
        HostName::new(&CString::new(text).unwrap()).ok()
    }

    /// Returns the form that is looked up, the form for the peer, and the address.
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
    fn a_final_dot_is_part_of_the_look_up_only() {
        assert_eq!(forms("s3.example."), some("s3.example.", "s3.example", None));
        assert_eq!(forms("s3.example"), some("s3.example", "s3.example", None));
        let bucket = named("s3.example.").unwrap().virtual_host(b"b").unwrap();
        assert_eq!((bucket.written(), bucket.peer_form()), (c"b.s3.example.", c"b.s3.example"));
        assert_eq!(forms("127.0.0.1."), some("127.0.0.1", "127.0.0.1", Some("127.0.0.1")));
    }

    #[test]
    fn addresses_have_all_notations_of_the_resolver() {
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
    fn a_zone_is_not_sent_to_the_peer() {
        assert_eq!(forms("[fe80::1%lo]"), some("fe80::1%lo", "fe80::1", Some("fe80::1")));
        assert_eq!(forms("fe80::1%nowhere"), some("fe80::1%nowhere", "fe80::1", Some("fe80::1")));
        assert_eq!(named("fe80::1%lo").unwrap().literal(), None, "its number may change");
        assert!(named("fe80::1").unwrap().literal().is_some());
        assert_eq!(forms("a%b"), some("a%b", "a%b", None));
        assert_eq!(forms("127.0.0.1%lo"), some("127.0.0.1%lo", "127.0.0.1%lo", None), "only IPv6 has zones");
    }

    #[test]
    fn invalid_names_are_rejected() {
        for text in ["", ".", "[]", "a:b", "[::1", "::1]", "a b", "a\rb", "\t", "::1::", "a:b%lo"] {
            assert!(named(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn case_and_a_final_dot_make_no_other_name() {
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
    fn a_virtual_host_is_a_valid_name() {
        let host = |name: &str, bucket: &str| named(name).unwrap().virtual_host(bucket.as_bytes()).err();
        assert_eq!(host("h.example", "b\r\nX: 1"), Some(Error::Invalid));
        assert_eq!(host("::1", "b"), None);
        let longest = "b".repeat(MAX_LENGTH - ".h.example".len());
        assert_eq!(host("h.example.", &longest), None);
        assert_eq!(host("h.example", &(longest + "b")), Some(Error::NameTooLong));
        let bucket = |name: &str| Some(named(name)?.bucket_under(&named("h.example.")?)?.to_owned());
        assert_eq!(bucket("b.c.H.example"), Some(b"b.c".to_vec()));
        assert_eq!((bucket("h.example"), bucket("xh.example"), bucket("b.i.example")), (None, None, None));
    }
}
